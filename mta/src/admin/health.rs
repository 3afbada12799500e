//! Whether the process lives and whether it should get mail; the queue's gauges.
//!
//! Asks, with a deadline; changes nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;

use super::metrics::{Metrics, SharedMetrics};
use crate::{directory::Directory, store::Store, time::Micros};

/// The store must answer a probe by then.
const ANSWER_SECONDS_MAX: Duration = Duration::from_secs(3);

/// The state of this process. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    store: Store,
    directory: Arc<Directory>,
    metrics: SharedMetrics,
    listening: Arc<AtomicBool>,
}

impl Health {
    /// Of these parts; not listening yet.
    pub fn new(store: Store, directory: Arc<Directory>, metrics: SharedMetrics) -> Self {
        Self { store, directory, metrics, listening: Arc::default() }
    }

    /// Whether new sessions are taken.
    pub fn set_listening(&self, listening: bool) {
        self.listening.store(listening, Ordering::Release);
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The process lives and its writer answers: an empty write, which touches no disk.
    pub async fn alive(&self) -> Result<(), String> {
        match timeout(ANSWER_SECONDS_MAX, self.store.note(Vec::new())).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err("the store's writer does not answer".into()),
        }
    }

    /// The process should get mail.
    pub async fn ready(&self) -> Result<(), String> {
        if !self.listening.load(Ordering::Acquire) {
            return Err("not listening: starting, or draining".into());
        }
        if !self.directory.current().complete {
            return Err("no complete directory yet: the operator, or `paquebot up`, brings it".into());
        }
        match timeout(ANSWER_SECONDS_MAX, self.store.queue_depth()).await {
            Ok(result) => result.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err("the store does not answer".into()),
        }
    }

    /// Reads the directory's and the queue's state into the gauges.
    pub async fn refresh(&self) {
        let directory = self.directory.current();
        self.metrics.directory_revision.set(i64::try_from(directory.revision).unwrap_or(i64::MAX));
        self.metrics.directory_entries.set(i64::try_from(directory.entries).unwrap_or(i64::MAX));
        self.metrics.directory_unreadable.set(i64::try_from(directory.unreadable).unwrap_or(i64::MAX));
        let Ok(Ok((depth, oldest))) = timeout(ANSWER_SECONDS_MAX, self.store.queue_depth()).await else {
            return;
        };
        self.metrics.queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        let age = oldest.map_or(Duration::ZERO, |accepted| Micros::now() - accepted);
        self.metrics.queue_oldest_seconds.set(age.as_secs_f64());
    }
}
