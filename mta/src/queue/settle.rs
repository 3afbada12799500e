//! What an attempt found, turned into what is written: outcomes, events, notices.
//!
//! [`plan`] is pure; [`notices`] builds and signs what the sender is told. Nothing is written here.

use std::sync::Arc;

use paquebot_mta_api::{
    config::Retry,
    journey::{Actor, Event, Step},
};

use super::{
    job::{Job, Place, Recipient},
    notice::{self, Writer},
    outcome::{self, Failure, Fate, Found, History},
    schedule::Dice,
};
use crate::{
    deliver::local,
    queue::dsn::Kind,
    store::{Accept, Attempt, NewRecipient, Outcome},
    time::Micros,
};

/// A look-up of a destination: many messages may use it.
#[derive(Debug, Clone)]
pub struct LookedUp {
    /// The DNS answers used, in words.
    pub words: Arc<str>,
    /// When they came.
    pub at: Micros,
}

/// What an attempt found for the recipients of a job.
#[derive(Debug)]
pub struct Settlement {
    /// The job, with exactly these recipients.
    pub job: Job,
    /// One for each recipient, in their order.
    pub found: Vec<Found>,
    /// The look-up that led there.
    pub routed: Option<LookedUp>,
    /// The host that was spoken to; `None`: none, or a mailbox here.
    pub host: Option<Arc<str>>,
    /// Over what: address and TLS, in words.
    pub via: Arc<str>,
}

/// What is to be written.
#[derive(Debug)]
pub struct Plan {
    /// Without notices yet.
    pub attempt: Attempt,
    /// Places in the job of those whose sender is told that it failed.
    pub failed: Vec<usize>,
    /// Places of those whose sender is told of the delay.
    pub delayed: Vec<usize>,
    /// For metrics: what became of each.
    pub counts: Vec<&'static str>,
}

/// Decides for each recipient. `has_sender`: whether there is somebody to tell.
pub fn plan(settlement: &Settlement, has_sender: bool, retry: &Retry, now: Micros, dice: Dice) -> Plan {
    let job = &settlement.job;
    let mut plan = Plan {
        attempt: Attempt {
            message: job.message.id,
            holder: job.holder,
            outcomes: Vec::with_capacity(job.recipients.len()),
            notices: Vec::new(),
            events: Vec::with_capacity(job.recipients.len() + 1),
        },
        failed: Vec::new(),
        delayed: Vec::new(),
        counts: Vec::with_capacity(job.recipients.len()),
    };
    if let Some(looked_up) = settlement.routed.as_ref().filter(|_| !job.route_told) {
        // Over a kept connection the answers may be older than the message.
        let at = looked_up.at.max(job.since);
        let event = event(job, None, Actor::Mta, Step::Routed, looked_up.words.to_string(), at);
        plan.attempt.events.push(event);
    }
    for (place, (recipient, found)) in job.recipients.iter().zip(&settlement.found).enumerate() {
        let history = History {
            accepted: job.envelope.accepted,
            attempts: recipient.attempts,
            warned: recipient.warned,
            has_sender,
        };
        let fate = outcome::fate(found, &history, retry, now, dice);
        plan.add(settlement, place, recipient, found, fate, now);
    }
    plan
}

impl Plan {
    fn add(
        &mut self,
        settlement: &Settlement,
        place: usize,
        recipient: &Recipient,
        found: &Found,
        fate: Fate,
        now: Micros,
    ) {
        let job = &settlement.job;
        let words = match found {
            Found::Accepted(words) => words.clone(),
            Found::Failed(failure) => failure.to_string(),
        };
        let via = &settlement.via;
        let (outcome, count, actor, step, detail) = match fate {
            Fate::Done => match recipient.place {
                Place::Mailbox(account) => {
                    let outcome = local::copy(&job.envelope, recipient, account);
                    let mailbox = if job.envelope.junk { local::JUNK } else { local::INBOX };
                    (outcome, "stored", Actor::Mda, Step::Stored, mailbox.to_owned())
                }
                _ => (Outcome::Done, "delivered", Actor::Mta, Step::Delivered, format!("{via}: {words}")),
            },
            Fate::Deferred { next_attempt, warn } => {
                let pause = (next_attempt - now).as_secs_f64();
                if warn {
                    self.delayed.push(place);
                }
                let warned = recipient.warned || warn;
                let detail = format!("{words}; next attempt in {}", in_words(pause));
                let outcome = Outcome::Deferred { next_attempt, error: words, warned };
                (outcome, "deferred", Actor::Mta, Step::Deferred, detail)
            }
            Fate::Returned => {
                self.failed.push(place);
                (Outcome::Done, "returned", Actor::Mta, Step::Returned, words)
            }
            Fate::Dead => (Outcome::Dead { error: words.clone() }, "dead", Actor::Mta, Step::Dead, words),
        };
        self.attempt.outcomes.push((recipient.index, outcome));
        self.attempt.events.push(event(job, Some(recipient), actor, step, detail, now));
        self.counts.push(count);
    }
}

/// The notices that the plan calls for: a message for up to [`super::dsn::RECIPIENTS_MAX`] recipients.
pub async fn notices(
    writer: &Writer,
    settlement: &Settlement,
    plan: &Plan,
    addressees: &[NewRecipient],
    now: Micros,
) -> Vec<Accept> {
    let until = settlement.job.envelope.accepted + std::time::Duration::from_millis(writer.retry.give_up_after_ms);
    let mut notices = Vec::new();
    for (kind, places) in [(Kind::Failed, &plan.failed), (Kind::Delayed { until }, &plan.delayed)] {
        for some in places.chunks(super::dsn::RECIPIENTS_MAX) {
            let reported: Vec<(&Recipient, &Failure)> =
                some.iter().filter_map(|place| reported(settlement, *place)).collect();
            notices.extend(notice::write(writer, &settlement.job, kind, &reported, addressees, now).await);
        }
    }
    notices
}

fn reported(settlement: &Settlement, place: usize) -> Option<(&Recipient, &Failure)> {
    match (settlement.job.recipients.get(place)?, settlement.found.get(place)?) {
        (recipient, Found::Failed(failure)) => Some((recipient, failure)),
        _ => None,
    }
}

/// What `Warned` says in the journey.
pub fn warned_events(settlement: &Settlement, plan: &Plan, now: Micros) -> Vec<Event> {
    let recipients = plan.delayed.iter().filter_map(|place| settlement.job.recipients.get(*place));
    recipients
        .map(|recipient| {
            let detail = "the sender was told of the delay".to_owned();
            event(&settlement.job, Some(recipient), Actor::Mta, Step::Warned, detail, now)
        })
        .collect()
}

fn event(job: &Job, recipient: Option<&Recipient>, actor: Actor, step: Step, detail: String, at: Micros) -> Event {
    Event {
        at_us: at.0,
        message: job.message.id.0,
        message_id: job.message.message_id.clone(),
        recipient: recipient.map(|it| it.address.to_string()),
        actor,
        step,
        detail,
    }
}

fn in_words(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
