//! One task a MailServer: compares its directory with what it is to be, writes the difference through one pod, and asks
//! all pods what they serve. Decides nothing itself: [`super::compare`] and [`due`] do. Never ends by an error; an error
//! is reported and tried again, later each time.

mod ask;
mod due;
mod run;
mod sync;

use std::{sync::Arc, time::Duration};

use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    client::{Client, Identity},
    passwords::Passwords,
    report::Report,
    target::{Leadership, Target},
};

/// MailServers that are compared at once.
pub const COMPARED_AT_ONCE: usize = 8;
/// Keys of passwords that are derived at once: it must leave processors for the rest.
pub const DERIVED_AT_ONCE: usize = 2;

/// What all engines of an operator have in common.
pub struct Shared {
    /// The operator's certificate.
    pub identity: Arc<Identity>,
    /// Whether this process may write.
    pub leadership: Arc<dyn Leadership>,
    /// Where passwords come from.
    pub passwords: Arc<dyn Passwords>,
    /// How often.
    pub pace: Pace,
    comparing: Semaphore,
    deriving: Semaphore,
}

impl Shared {
    /// With the usual pace and bounds.
    pub fn new(identity: Arc<Identity>, leadership: Arc<dyn Leadership>, passwords: Arc<dyn Passwords>) -> Self {
        Self {
            identity,
            leadership,
            passwords,
            pace: Pace::default(),
            comparing: Semaphore::new(COMPARED_AT_ONCE),
            deriving: Semaphore::new(DERIVED_AT_ONCE),
        }
    }
}

/// How often an engine does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After a change of the target: what comes within it counts as one change.
    pub gather: Duration,
    /// After a write, until all pods serve it; then twice as long each time, up to `seldom`.
    pub soon: Duration,
    /// Between questions when all is well.
    pub seldom: Duration,
    /// Between comparisons when all is well.
    pub compare: Duration,
    /// After a fault at most; the first is tried again after `soon`.
    pub backoff_max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(100),
            soon: Duration::from_secs(1),
            seldom: Duration::from_secs(30),
            compare: Duration::from_secs(5 * 60),
            backoff_max: Duration::from_secs(60),
        }
    }
}

/// A running engine; stops when it is dropped.
#[derive(Debug)]
pub struct Engine {
    report: watch::Receiver<Report>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Engine {
    /// Starts one for the MailServer of this target, which stays the same.
    pub fn start(shared: Arc<Shared>, targets: watch::Receiver<Target>) -> Self {
        let (reports, report) = watch::channel(Report::default());
        let stop = CancellationToken::new();
        let client = Client::new(shared.identity.clone(), targets.borrow().server);
        let run = run::Run::new(shared, client, targets, reports);
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            stopped.run_until_cancelled(run.forever()).await;
        });
        Self { report, stop, task: AbortOnDropHandle::new(task) }
    }

    /// What is known; changes are notified.
    pub fn report(&self) -> watch::Receiver<Report> {
        self.report.clone()
    }

    /// Whether it runs; it ends by itself only where its targets end, or by a panic.
    pub fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    /// Ends it, and waits for the end. A change that is on its way may still be applied.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}
