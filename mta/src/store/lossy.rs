//! Steps that may be lost: refusals of strangers, who must not be able to cost us a sync each.
//! They wait for the next batch, or a while; where too many wait, further ones are forgotten and counted.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use paquebot_mta_api::journey::Event;
use tokio::sync::Notify;

/// Steps that may wait.
pub const LOSSY_MAX: usize = 2048;
/// How long they wait for a batch of somebody else's.
pub const LOSSY_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Default)]
pub(super) struct Lossy {
    waiting: Arc<Mutex<Waiting>>,
    first: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Waiting {
    events: Vec<Event>,
    forgotten: u64,
}

impl Lossy {
    pub fn add(&self, events: Vec<Event>) {
        let mut waiting = self.lock();
        for event in events {
            if waiting.events.len() < LOSSY_MAX {
                waiting.events.push(event);
            } else {
                waiting.forgotten += 1;
            }
        }
        self.first.notify_one();
    }

    /// All that waits.
    pub fn take(&self) -> Vec<Event> {
        let Waiting { events, forgotten } = std::mem::take(&mut *self.lock());
        if forgotten > 0 {
            tracing::warn!(forgotten, "too many refusals at once; some are in no journey");
        }
        events
    }

    /// Ends when something has waited long enough. Cancelled by a batch, which takes what waits with it.
    pub async fn long_enough(&self) {
        self.first.notified().await;
        tokio::time::sleep(LOSSY_WAIT).await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
