//! Case 1: a message with an attachment and a non-ASCII subject, from one user to another, as it was sent.

use paquebot_mta_api::journey::Step;

use super::{
    DemoError,
    message::{field, parts, with_attachment},
    mua::{fetch, submit},
    report::Report,
    system::{has, journey},
    world::{ALICE, BOB, World},
};

/// What it shows.
pub const TITLE: &str = "A message with an attachment, from alice@example.com to bob@example.org";

/// Each octet once, and enough of them to fill several lines.
const ATTACHMENT_OCTETS: u16 = 1024;

/// Submits, waits, fetches, compares.
pub async fn run(world: &mut World) -> Result<Report, DemoError> {
    let attachment: Vec<u8> = (0..ATTACHMENT_OCTETS).map(|n| n.to_le_bytes()[0]).collect();
    let letter = with_attachment(ALICE, BOB, "Grüße aus Köln", &attachment);
    let reply = submit(&mut world.com.submission().await?, &world.com.user(ALICE)?, BOB, &letter.octets).await?;
    let both = [&world.com, &world.org];
    journey(&both, &letter.id, |stops| has(stops, &[Step::Stored, Step::Delivered])).await?;
    let mails = fetch(&mut world.org.pop3().await?, &world.org.user(BOB)?).await?;
    let stops = journey(&both, &letter.id, |stops| has(stops, &[Step::Fetched])).await?;

    let mut report = Report::default();
    report.check(reply.starts_with("250"), format!("example.com took it: {reply}"));
    let mail = mails.iter().find(|mail| field(mail, "message-id") == [format!("<{}>", letter.id)]);
    report.check(mail.is_some(), "bob fetched it by POP3 over TLS");
    if let Some(mail) = mail {
        let (same_body, same_subject) =
            (parts(mail).1 == parts(&letter.octets).1, field(mail, "subject") == field(&letter.octets, "subject"));
        report.check(same_body, "its body is what alice sent, byte for byte");
        report.check(same_subject, "its subject is what alice sent");
        let verdict = field(mail, "authentication-results").into_iter().next().unwrap_or_default();
        let passes = |method: &str| verdict.matches(&format!("{method}=pass")).count();
        report.check(passes("spf") == 1, "SPF passes");
        report.check(passes("dkim") == 2, "DKIM passes twice: RSA and Ed25519");
        report.check(passes("dmarc") == 1, "DMARC passes");
        let signatures = field(mail, "dkim-signature").concat();
        let both = ["a=rsa-sha256", "a=ed25519-sha256"].iter().all(|a| signatures.contains(a));
        report.check(both, "it was signed with rsa-sha256 and with ed25519-sha256");
    }
    let steps = [
        Step::Submitted,
        Step::Signed,
        Step::Routed,
        Step::Delivered,
        Step::Received,
        Step::Verified,
        Step::Stored,
        Step::Fetched,
    ];
    for step in steps {
        let there = has(&stops, &[step]);
        report.check(there, format!("its journey shows: {}", crate::cli::journey::word(step)));
    }
    report.journey("", stops);
    Ok(report)
}
