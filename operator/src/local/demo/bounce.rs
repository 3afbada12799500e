//! Case 4: the recipient does not exist: the sender gets a bounce (RFC 3464) that she can read.

use paquebot_mta_api::journey::Step;

use super::{
    DemoError,
    message::{field, parts, plain},
    mua::{fetch, submit},
    report::Report,
    system::{has, journey, until},
    world::{ALICE, World},
};

/// What it shows.
pub const TITLE: &str = "nobody@example.org does not exist: alice gets a bounce that she can read";
const TO: &str = "nobody@example.org";

/// Submits, waits for the bounce, reads it.
pub async fn run(world: &mut World) -> Result<Report, DemoError> {
    let letter = plain(ALICE, TO, "Is anybody there?", "Hello?");
    let alice = world.com.user(ALICE)?;
    submit(&mut world.com.submission().await?, &alice, TO, &letter.octets).await?;
    let com = &world.com;
    let bounce = until(async || {
        let mails = fetch(&mut com.pop3().await?, &alice).await?;
        Ok(mails.into_iter().find(|mail| field(mail, "content-type").concat().contains("multipart/report")))
    })
    .await?;
    let both = [&world.com, &world.org];
    let stops = journey(&both, &letter.id, |stops| stops.iter().any(|stop| stop.event.step == Step::Returned)).await?;

    let mut report = Report::default();
    report.check(stops.iter().any(|stop| stop.event.step == Step::Returned), "the message was returned");
    report.check(!has(&stops, &[Step::Deferred]), "at once: 550 is final");
    report.check(bounce.is_some(), "alice fetched the bounce by POP3");
    report.journey("", stops);
    if let Some(bounce) = bounce {
        let text = String::from_utf8_lossy(parts(&bounce).1).into_owned();
        for line in ["Final-Recipient: rfc822; nobody@example.org", "Action: failed", "Status: 5.1.1"] {
            let there = text.lines().any(|have| have.trim_end().eq_ignore_ascii_case(line));
            report.check(there, format!("it says: {line}"));
        }
        report.check(text.contains(&letter.id), "it names the message");
        report.check(field(&bounce, "return-path") == ["<>"], "it has the null reverse-path");
        let id = field(&bounce, "message-id").concat();
        let id = id.trim_matches(['<', '>']);
        let stops =
            journey(&[&world.com], id, |stops| stops.iter().any(|stop| stop.event.step == Step::Fetched)).await?;
        report.check(has(&stops, &[Step::Signed]), "it is signed, as all mail of example.com");
        report.journey("And the bounce:", stops);
    }
    Ok(report)
}
