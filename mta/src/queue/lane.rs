//! What a session with a next host sees of the queue: the next transaction, and where to leave results.
//!
//! The session speaks SMTP and knows no queue; the lane knows the queue and speaks no SMTP.

use std::{sync::Arc, time::Duration};

use paquebot_proto::{
    EnhancedCode, Reply,
    smtp::client_ask::{Capabilities, Outcome, Transaction},
};

use super::{
    engine::Shared,
    job::{Destination, Job, Place, Recipient},
    outcome::{self, Failure, Found, Needs, Said},
    route::Target,
    settle::{LookedUp, Settlement},
    worker,
};
use crate::{message::Message, store::Store};

/// Messages of one connection at most: others may want it, and hosts count.
const MESSAGES_PER_CONNECTION_MAX: usize = 200;
/// An idle connection is kept that long.
const IDLE: Duration = Duration::from_secs(4);

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should: nothing more for it.
    Finished,
    /// A kept connection was gone when the next message came, or the host had enough of it: the same host again.
    Stale,
    /// The host's fault: the next host.
    HostFailed,
}

/// One worker's view of the queue.
pub struct Lane {
    shared: Arc<Shared>,
    destination: Destination,
    routed: LookedUp,
    host: Arc<str>,
    via: Arc<str>,
    /// Under way in this session.
    current: Option<Job>,
    /// To be tried in the next transaction: here, or at the next host.
    carried: Option<Job>,
    /// Why the host is of no use.
    fault: Option<Failure>,
    last_failure: Option<Failure>,
    transactions: usize,
    ready_now: bool,
    ready_ever: bool,
}

impl Lane {
    pub(super) fn new(shared: Arc<Shared>, destination: Destination, routed: LookedUp) -> Self {
        Self {
            shared,
            destination,
            routed,
            host: "".into(),
            via: "".into(),
            current: None,
            carried: None,
            fault: None,
            last_failure: None,
            transactions: 0,
            ready_now: false,
            ready_ever: false,
        }
    }

    pub(super) fn connect_to(&mut self, target: &Target) {
        self.host = target.host.as_str().into();
        self.via = format!("{} [{}]", target.host, target.address).into();
        self.fault = None;
        self.transactions = 0;
        self.ready_now = false;
    }

    /// Reads how the session ended. What was under way without a result is carried on.
    pub(super) fn end(&mut self) -> End {
        if let Some(job) = self.current.take() {
            self.carry(job);
            self.fault.get_or_insert_with(|| outcome::of_session(&self.host, "the connection broke", None));
        }
        let stale = self.ready_now && self.transactions > 1 && self.carried.is_some();
        match self.fault.take() {
            None if self.ready_now && self.carried.is_none() => End::Finished,
            // The host's transactions go on: too many recipients for those of one connection.
            None if self.ready_now => End::Stale,
            fault => {
                self.last_failure = fault.or(self.last_failure.take());
                if stale {
                    End::Stale
                } else if self.ready_now && self.carried.is_none() {
                    End::Finished
                } else {
                    End::HostFailed
                }
            }
        }
    }

    /// All that is under way without a result.
    pub(super) fn into_jobs(self) -> Vec<Job> {
        self.current.into_iter().chain(self.carried).collect()
    }

    pub(super) fn last_failure(&self) -> Option<Failure> {
        self.last_failure.clone()
    }

    pub(super) fn take_carried(&mut self) -> Option<Job> {
        self.carried.take()
    }

    pub(super) fn has_been_ready(&self) -> bool {
        self.ready_ever
    }

    fn carry(&mut self, mut job: Job) {
        match &mut self.carried {
            Some(carried) => carried.recipients.append(&mut job.recipients),
            None => self.carried = Some(job),
        }
    }

    /// The store, for bodies.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The engine is draining: no session begins another transaction.
    pub fn draining(&self) -> tokio_util::sync::CancellationToken {
        self.shared.draining.clone()
    }

    /// The message of the transaction under way.
    pub fn message(&self) -> Option<&Arc<Message>> {
        self.current.as_ref().map(|job| &job.message)
    }

    /// The session is up and free: the next transaction; `None`: nothing more for it.
    pub async fn next(&mut self, capabilities: &Capabilities) -> Option<Transaction> {
        if !self.ready_now {
            self.ready_now = true;
            self.ready_ever = true;
            let tls = if capabilities.tls { "with TLS" } else { "without TLS" };
            self.via = format!("{} {tls}", self.via).into();
            self.shared.line().open(&self.destination);
        }
        loop {
            let enough = self.transactions >= MESSAGES_PER_CONNECTION_MAX || self.shared.draining.is_cancelled();
            if self.fault.is_some() || enough {
                return None;
            }
            let job = match self.carried.take() {
                Some(job) => job,
                None if self.transactions > 0 && self.shared.line().is_crowded() => return None,
                None => worker::next_job(&self.shared, &self.destination, IDLE).await?,
            };
            let needs = needs(&job);
            if let Some(failure) = outcome::lacking(&self.host, capabilities, needs) {
                let found = vec![Found::Failed(failure); job.recipients.len()];
                self.settle(job, found).await;
                continue;
            }
            self.transactions += 1;
            let transaction = transaction(&job, needs);
            self.current = Some(job);
            return Some(transaction);
        }
    }

    /// The transaction's results, one for each recipient in their order.
    pub async fn done(&mut self, outcomes: &[Outcome]) {
        let Some(job) = self.current.take() else { return };
        let missing = Outcome { reply: None, command: "MAIL FROM" };
        let mut settled: (Vec<Recipient>, Vec<Found>) = Default::default();
        let (mut again, mut too_many) = (Vec::new(), Vec::new());
        for (place, recipient) in job.recipients.iter().enumerate() {
            match outcome::of_transaction(&self.host, outcomes.get(place).unwrap_or(&missing)) {
                Said::Recipient(found) => {
                    settled.0.push(recipient.clone());
                    settled.1.push(found);
                }
                Said::TooMany(failure) => too_many.push((recipient.clone(), failure)),
                Said::Host(failure) => {
                    self.fault = Some(failure);
                    again.push(recipient.clone());
                }
            }
        }
        // Each further transaction has taken somebody: there are at most as many as recipients.
        if settled.1.iter().any(|found| matches!(found, Found::Accepted(_))) {
            again.extend(too_many.into_iter().map(|(recipient, _)| recipient));
        } else {
            for (recipient, failure) in too_many {
                settled.0.push(recipient);
                settled.1.push(Found::Failed(failure));
            }
        }
        if !again.is_empty() {
            // One step for both where the others are settled below.
            let route_told = job.route_told || !settled.0.is_empty();
            self.carry(Job { route_told, ..job.with(again) });
        }
        if !settled.0.is_empty() {
            self.settle(job.with(settled.0), settled.1).await;
        }
    }

    /// The message's own octets cannot be read: our fault, so no other host is tried with it, and the next pause is
    /// for the operator to bring them back; in the end its sender is told the reason.
    pub async fn unreadable(&mut self, error: &std::io::Error) {
        let Some(job) = self.current.take() else { return };
        tracing::error!(message = %job.message.id, %error, "a queued message cannot be read");
        // RFC 3463 §3.4: X.3.0, other mail system status.
        let failure = Failure::ours(EnhancedCode(4, 3, 0), format!("the stored message cannot be read: {error}"));
        let found = vec![Found::Failed(failure); job.recipients.len()];
        self.settle(job, found).await;
    }

    /// The session is of no more use.
    pub async fn failed(&mut self, reason: &str, reply: Option<&Reply>, outcomes: &[Outcome]) {
        if !outcomes.is_empty() {
            self.done(outcomes).await;
        }
        if self.fault.is_none() && (self.current.is_some() || !self.ready_now) {
            self.fault = Some(outcome::of_session(&self.host, reason, reply));
        }
    }

    /// Whether the session ever got as far as to be ready.
    pub fn is_ready(&self) -> bool {
        self.ready_now
    }

    async fn settle(&self, job: Job, found: Vec<Found>) {
        let settlement = Settlement {
            job,
            found,
            routed: Some(self.routed.clone()),
            host: Some(self.host.clone()),
            via: self.via.clone(),
        };
        worker::settle(&self.shared, settlement).await;
    }
}

/// Where this recipient goes.
fn path(recipient: &Recipient) -> String {
    match &recipient.place {
        Place::Remote(address) => address.to_string(),
        Place::Mailbox(_) | Place::Nowhere(_) => recipient.address.to_string(),
    }
}

fn needs(job: &Job) -> Needs {
    let reverse_path = job.envelope.reverse_path.as_ref();
    let in_path = reverse_path.is_some_and(|address| address.needs_smtputf8())
        || job.recipients.iter().any(|recipient| !path(recipient).is_ascii());
    Needs {
        size_bytes: job.message.size_bytes(),
        smtputf8: in_path || job.message.utf8_header,
        eight_bit: job.message.eight_bit || job.message.utf8_header,
    }
}

fn transaction(job: &Job, needs: Needs) -> Transaction {
    Transaction {
        reverse_path: job.envelope.reverse_path.as_ref().map(ToString::to_string).unwrap_or_default(),
        recipients: job.recipients.iter().map(path).collect(),
        size_bytes: needs.size_bytes,
        body_8bit: needs.eight_bit,
        smtputf8: needs.smtputf8,
        message: 0,
    }
}
