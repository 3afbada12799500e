//! Who we are to the store: an incarnation, its heartbeat, and until when an attempt may start.
//!
//! Judged by the monotonic clock from before each beat, so always more strictly than the store does.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::Incarnation;

/// How long the store waits for a silent process before others take over.
pub const CLAIM_TTL: Duration = Duration::from_secs(30);
/// How often a process says that it lives.
pub const BEAT_INTERVAL: Duration = Duration::from_secs(10);
/// No attempt starts later than this after the last good beat: the last third is for those under way.
pub const START_WITHIN: Duration = Duration::from_secs(20);

/// The lease of this process.
#[derive(Debug)]
pub struct Lease {
    term: Mutex<Term>,
    changed: Notify,
}

/// One incarnation's time.
#[derive(Debug, Clone)]
pub struct Term {
    /// Who.
    pub incarnation: Incarnation,
    /// Before its last good beat; `None`: none yet.
    beaten: Option<Instant>,
    /// Cancelled when the incarnation is no more: whatever it has under way stops at once.
    pub over: CancellationToken,
}

impl Term {
    fn new() -> Self {
        Self { incarnation: Incarnation(Uuid::now_v7()), beaten: None, over: CancellationToken::new() }
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.beaten.is_some_and(|beaten| now < beaten + START_WITHIN)
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self { term: Mutex::new(Term::new()), changed: Notify::new() }
    }
}

impl Lease {
    fn term(&self) -> MutexGuard<'_, Term> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The term of now.
    pub fn current(&self) -> Term {
        self.term().clone()
    }

    /// Who may start attempts now; `None`: nobody.
    pub fn holder(&self) -> Option<Incarnation> {
        let term = self.term();
        term.is_fresh(Instant::now()).then_some(term.incarnation)
    }

    /// A beat that began at `before` was good.
    pub fn beaten(&self, who: Incarnation, before: Instant) {
        let mut term = self.term();
        if term.incarnation == who {
            term.beaten = Some(before);
            self.changed.notify_waiters();
        }
    }

    /// That incarnation is no more; a new one begins, which holds nothing yet. `false`: it was over already.
    pub fn over(&self, who: Incarnation) -> bool {
        let mut term = self.term();
        if term.incarnation != who {
            return false;
        }
        term.over.cancel();
        *term = Term::new();
        self.changed.notify_waiters();
        true
    }

    /// Waits until an attempt for this holder may start; `false`: never, its rows are others' now.
    pub async fn may_start(&self, holder: Incarnation) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let term = self.current();
            if term.incarnation != holder || term.over.is_cancelled() {
                return false;
            }
            if term.is_fresh(Instant::now()) {
                return true;
            }
            changed.await;
        }
    }
}
