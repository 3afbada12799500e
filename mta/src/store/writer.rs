//! The coalescing writer: no timer; a batch is whatever arrived while the last one committed.
//!
//! A result is sent only once the backend has said what happened. Where a backend cannot say (a connection lost
//! while it committed), it looks its ids up before it answers; still unknown, it says
//! [`StoreError::Unavailable`]: the caller answers 451 and tries nothing from memory, and the client's repeat
//! is a new reception. On SQLite a commit is never in doubt: it happened, it was undone, or the process ended.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Instant,
};

use futures::FutureExt;
use paquebot_mta_api::journey::Event;
use tokio::sync::{mpsc, oneshot};

use super::{
    backend::{Backend, BatchResult, Write, Written},
    lossy::Lossy,
    types::{Accept, StoreError},
};
use crate::{admin::metrics::SharedMetrics, message::Body};

/// Writes that may wait for their batch; one more is refused, which SMTP says as 451 4.3.1.
pub const WAITING_MAX: usize = 4096;
/// Writes of one batch.
pub const BATCH_MAX: usize = 512;
/// Octets of messages in one batch, unless one message alone has more: the others must not wait long for it.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

type Reply = oneshot::Sender<Result<Written, StoreError>>;
type Waiting = (Write, Reply);

/// The way to the one task that writes.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Waiting>,
    lossy: Lossy,
    metrics: Arc<OnceLock<SharedMetrics>>,
}

impl Writer {
    /// Starts the task; it ends when the last `Writer` is dropped and all is written.
    pub fn start(backend: Arc<dyn Backend>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let (lossy, metrics) = (Lossy::default(), Arc::default());
        let task = Task { backend, lossy: lossy.clone(), metrics: Arc::clone(&metrics) };
        tokio::spawn(task.run(waiting));
        Self { queue, lossy, metrics }
    }

    /// Tells commit times and batch sizes from now on; the first call counts.
    pub fn observe(&self, metrics: SharedMetrics) {
        let _ = self.metrics.set(metrics);
    }

    /// Writes, and returns when it is on disk. A caller that is cancelled may have written all the same.
    pub async fn write(&self, write: Write) -> Result<Written, StoreError> {
        let (reply, result) = oneshot::channel();
        self.queue
            .try_send((write, reply))
            .map_err(|_| StoreError::Unavailable("too many writes are waiting".into()))?;
        result.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the writer has ended".into())))
    }

    /// Writes these with the next batch, or after a while; forgets them where too many wait. Costs no sync.
    pub fn note_lossy(&self, events: Vec<Event>) {
        self.lossy.add(events);
    }
}

struct Task {
    backend: Arc<dyn Backend>,
    lossy: Lossy,
    metrics: Arc<OnceLock<SharedMetrics>>,
}

impl Task {
    async fn run(self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut arrived = Vec::with_capacity(BATCH_MAX);
        let mut open = true;
        while open {
            if arrived.is_empty() {
                tokio::select! {
                    biased;
                    count = waiting.recv_many(&mut arrived, BATCH_MAX) => open = count > 0,
                    () = self.lossy.long_enough() => {}
                }
            } else {
                let more = BATCH_MAX.saturating_sub(arrived.len()).max(1);
                // Not awaited longer than what is there: the rest of the last batch must not wait.
                let _ = waiting.recv_many(&mut arrived, more).now_or_never();
            }
            self.commit(&mut arrived).await;
        }
    }

    /// One batch from the front of what arrived.
    async fn commit(&self, arrived: &mut Vec<Waiting>) {
        let count = fits(arrived.iter().map(|(write, _)| weight(write)));
        let (mut writes, replies): (Vec<_>, Vec<_>) = arrived.drain(..count).unzip();
        let strangers = self.lossy.take();
        if !strangers.is_empty() {
            writes.push(Write::Events(strangers));
        }
        if writes.is_empty() {
            return;
        }
        let begun = Instant::now();
        let size = writes.len();
        let results = self.apply(writes.into(), replies.len()).await;
        if let Some(metrics) = self.metrics.get() {
            metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
            metrics.batch_writes.observe(size as f64);
        }
        for (reply, result) in replies.into_iter().zip(results) {
            let _ = reply.send(result);
        }
    }

    /// All in one transaction; where that fails, each alone, so that one bad write fails itself only.
    /// Gives the results of the first `awaited` writes; nobody waits for the others.
    async fn apply(&self, batch: Arc<[Write]>, awaited: usize) -> Vec<Result<Written, StoreError>> {
        match self.apply_caught(batch.clone()).await {
            Some(Ok(results)) => return results,
            Some(Err(error)) if batch.len() <= 1 => return vec![Err(error)],
            Some(Err(error)) => tracing::warn!(%error, writes = batch.len(), "a batch failed; each write alone now"),
            None => return vec![Err(panicked()); awaited],
        }
        let mut results = Vec::with_capacity(awaited);
        for write in batch.iter().take(awaited) {
            let alone = self.apply_caught(Arc::new([write.clone()])).await.unwrap_or_else(|| Err(panicked()));
            results
                .push(alone.and_then(|mut one| one.pop().unwrap_or(Err(StoreError::Unavailable("no result".into())))));
        }
        results
    }

    /// `None`: the backend panicked. The task lives on.
    async fn apply_caught(&self, batch: Arc<[Write]>) -> Option<BatchResult> {
        let applied = AssertUnwindSafe(async { self.backend.apply(batch).await }).catch_unwind().await;
        applied.inspect_err(|_| tracing::error!("the store's backend panicked in a batch")).ok()
    }
}

fn panicked() -> StoreError {
    StoreError::Unavailable("the store failed in a way that it should not; its log says more".into())
}

/// How many from the front fit into one batch: at least one of those there are.
fn fits(weights: impl Iterator<Item = usize>) -> usize {
    let mut octets = 0_usize;
    let fitting = weights.take(BATCH_MAX).take_while(|weight| {
        let first = octets == 0;
        octets = octets.saturating_add((*weight).max(1));
        first || octets <= BATCH_BYTES_MAX
    });
    fitting.count()
}

/// Octets that a write brings to disk, about.
fn weight(write: &Write) -> usize {
    match write {
        Write::Accept(accept) => accept_weight(accept),
        Write::Attempt(attempt) => attempt.notices.iter().map(accept_weight).sum(),
        _ => 0,
    }
}

fn accept_weight(accept: &Accept) -> usize {
    let body = match &accept.message.body {
        Body::Inline(octets) => octets.len(),
        Body::Blob { .. } => 0,
    };
    accept.message.prefix.len() + accept.message.header.len() + body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_by_count_and_octets() {
        const MIB: usize = 1024 * 1024;
        for (weights, count) in [
            (vec![], 0),
            (vec![0; 3], 3),
            (vec![0; 2 * BATCH_MAX], BATCH_MAX),
            (vec![50 * MIB], 1),
            (vec![50 * MIB, 0], 1),
            (vec![0, 50 * MIB], 1),
            (vec![MIB, MIB, MIB, MIB, MIB], 4),
        ] {
            assert_eq!(fits(weights.iter().copied()), count, "{} writes", weights.len());
        }
    }
}
