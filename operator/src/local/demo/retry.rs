//! Case 3: the next host answers 451 once; the message stays in the queue and the retry succeeds.

use paquebot_mta_api::journey::Step;

use super::{
    DemoError,
    gateway::{Gateway, Mood},
    message::plain,
    mua::submit,
    report::Report,
    system::{has, journey, queued, until},
    world::{ALICE, BUSY_GATE, World},
};

/// What it shows.
pub const TITLE: &str =
    "The next host of busy.example.org answers 451 once: the message waits in the queue, and the retry succeeds";
const TO: &str = "bob@busy.example.org";

/// Through a gateway that greylists.
pub async fn run(world: &mut World) -> Result<Report, DemoError> {
    let (at, next) = world.gate(BUSY_GATE);
    let gate = Gateway::start(at, next, world.com.place.address, Mood::Busy).await.map_err(DemoError::Ports)?;
    let letter = plain(ALICE, TO, "A second try", "The gate is busy at first.");
    submit(&mut world.com.submission().await?, &world.com.user(ALICE)?, TO, &letter.octets).await?;
    let row = queued(&world.com, &letter.id, |row| row.attempts > 0).await?;
    let both = [&world.com, &world.org];
    let stops = journey(&both, &letter.id, |stops| has(stops, &[Step::Stored, Step::Delivered])).await?;
    let gone = until(async || {
        let rows = world.com.queue().await?;
        Ok(rows.iter().all(|row| row.message_id != letter.id).then_some(()))
    })
    .await?;

    let mut report = Report::default();
    let error = row.map(|row| row.last_error).unwrap_or_default();
    report.check(error.contains("451"), format!("the queue kept it: {error}"));
    let deferred =
        |stop: &crate::cli::journey::Stop| stop.event.step == Step::Deferred && stop.event.detail.contains("451");
    report.check(stops.iter().filter(|stop| deferred(stop)).count() == 1, "it was deferred once, for the 451");
    report.check(has(&stops, &[Step::Stored]), "the retry succeeded");
    report.check(gate.met() == 2, "the next host was tried twice");
    report.check(gone.is_some(), "the queue has it no more");
    report.journey("", stops);
    Ok(report)
}
