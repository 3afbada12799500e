//! Case 6: the server is killed after its `250` and before delivery; started again, it delivers.

use std::time::Instant;

use paquebot_mta_api::journey::Step;

use super::{
    DemoError,
    gateway::{Gateway, Mood},
    message::plain,
    mua::{fetch, submit},
    report::Report,
    system::{has, journey, until},
    world::{ALICE, BOB, LATE_GATE, World},
};
use crate::local::demo::message::field;

/// What it shows.
pub const TITLE: &str =
    "The server is killed (SIGKILL) after its 250, in the middle of an attempt; started again, it delivers";
const TO: &str = "bob@late.example.org";

/// The next host takes the connection and stays silent, so that the attempt is under way when the server dies.
pub async fn run(world: &mut World) -> Result<Report, DemoError> {
    let (at, next) = world.gate(LATE_GATE);
    let gate = Gateway::start(at, next, world.com.place.address, Mood::Silent).await.map_err(DemoError::Ports)?;
    let letter = plain(ALICE, TO, "Still here", "This message survives its server.");
    let user = world.com.user(ALICE)?;
    let reply = submit(&mut world.com.submission().await?, &user, TO, &letter.octets).await?;
    until(async || Ok((gate.met() > 0).then_some(()))).await?;
    let before = world.com.events(&letter.id).await?;
    world.com.kill().await?;
    gate.recover();
    let started = Instant::now();
    world.com.restart().await?;
    let serving_ms = started.elapsed().as_millis();
    let both = [&world.com, &world.org];
    let stops = journey(&both, &letter.id, |stops| has(stops, &[Step::Stored, Step::Delivered])).await?;
    let mails = fetch(&mut world.org.pop3().await?, &world.org.user(BOB)?).await?;
    let copies = mails.iter().filter(|mail| field(mail, "message-id") == [format!("<{}>", letter.id)]).count();

    let mut report = Report::default();
    report.check(reply.starts_with("250"), format!("example.com took it: {reply}"));
    let delivered = before.iter().any(|stop| stop.event.step == Step::Delivered);
    report.check(!delivered && gate.met() > 0, "it was killed in the middle of an attempt");
    report.check(copies == 1, format!("started again (serving after {serving_ms} ms), it delivered: bob has {copies}"));
    report.journey("", stops);
    Ok(report)
}
