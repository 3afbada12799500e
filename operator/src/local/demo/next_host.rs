//! Case 2: the preferred next host refuses connections, the less preferred one takes the message.

use paquebot_mta_api::journey::Step;

use super::{
    DemoError,
    message::plain,
    mua::submit,
    report::Report,
    system::{has, journey},
    world::{ALICE, World},
};

/// What it shows.
pub const TITLE: &str =
    "The preferred MX of down.example.org refuses connections, the less preferred one takes the message";
const TO: &str = "bob@down.example.org";

/// One attempt is enough.
pub async fn run(world: &mut World) -> Result<Report, DemoError> {
    let letter = plain(ALICE, TO, "By the other door", "The first one is shut.");
    submit(&mut world.com.submission().await?, &world.com.user(ALICE)?, TO, &letter.octets).await?;
    let both = [&world.com, &world.org];
    let stops = journey(&both, &letter.id, |stops| has(stops, &[Step::Stored, Step::Delivered])).await?;

    let mut report = Report::default();
    let both_hosts = stops.iter().any(|stop| {
        stop.event.step == Step::Routed
            && stop.event.detail.contains("gate4.gates.example")
            && stop.event.detail.contains("mail.example.org")
    });
    report.check(both_hosts, "both next hosts came from DNS");
    report.check(has(&stops, &[Step::Delivered, Step::Stored]), "the message arrived");
    report.check(!has(&stops, &[Step::Deferred]), "at the first attempt: a host that refuses costs no retry");
    report.journey("", stops);
    Ok(report)
}
