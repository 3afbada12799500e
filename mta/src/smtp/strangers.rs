//! Refusals of strangers, noted for `trace`: through a bounded buffer that drops rather than waits, and at most one
//! write a second, so that a flood of refusals costs no disk and delays nobody's `250`.

use std::time::Duration;

use paquebot_mta_api::journey::Event;
use tokio::{sync::mpsc, time::sleep};

use crate::store::Store;

/// Steps that wait; more are dropped.
const WAITING_MAX: usize = 1024;
/// Steps of one write.
const WRITE_MAX: usize = 256;
/// Between two writes.
const PAUSE: Duration = Duration::from_secs(1);

/// The way into the buffer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Strangers {
    waiting: mpsc::Sender<Event>,
}

impl Strangers {
    /// Starts the writing task; it ends with the last clone.
    pub fn start(store: Store) -> Self {
        let (waiting, mut arrived) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            let mut events = Vec::new();
            while arrived.recv_many(&mut events, WRITE_MAX).await > 0 {
                if let Err(error) = store.note(std::mem::take(&mut events)).await {
                    tracing::warn!(%error, "refusals of strangers were not noted");
                }
                sleep(PAUSE).await;
            }
        });
        Self { waiting }
    }

    /// Notes a step, or drops it where too many wait.
    pub fn note(&self, event: Event) {
        let _ = self.waiting.try_send(event);
    }
}
