//! What goes on beside the sessions: new certificates, changes of the directory by other processes, sweeping.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    directory::{Directory, Snapshot},
    net::tls::Refresh,
    store::{Clock, Store, StoreError},
};

/// How often the certificate's files are read: they are small, and a renewal is no emergency.
const CERTIFICATE_PERIOD: Duration = Duration::from_secs(5);
/// How often the store is asked whether another process changed the directory.
const DIRECTORY_PERIOD: Duration = Duration::from_secs(2);
/// How often what is past its time is dropped: it is kept for days, minutes are nothing.
const SWEEP_PERIOD: Duration = Duration::from_secs(10 * 60);
/// Of each kind in one step: a step is one of many writes in a commit that sessions wait for too.
const SWEEP_STEP_MAX: usize = 1000;
/// Between two steps: sessions go first.
const SWEEP_PAUSE: Duration = Duration::from_millis(200);

/// Loads the store's directory into the snapshot that is served.
#[derive(Clone)]
pub struct DirectoryLoader {
    store: Store,
    directory: Arc<Directory>,
    /// One at a time: an older snapshot never replaces a newer one.
    turn: Arc<Mutex<()>>,
}

impl DirectoryLoader {
    /// From this store into this directory.
    pub fn new(store: Store, directory: Arc<Directory>) -> Self {
        Self { store, directory, turn: Arc::default() }
    }

    /// Loads; gives the revision that is served from now on.
    pub async fn load(&self) -> Result<u64, StoreError> {
        let _turn = self.turn.lock().await;
        let set = self.store.directory().await?;
        let served = self.directory.current();
        if set.revision != served.revision || set.unreadable.len() != served.unreadable {
            let (revision, complete, entries) = (set.revision, set.complete, set.entries.len());
            tracing::info!(revision, complete, entries, "directory");
            if let Some(first) = set.unreadable.first() {
                let unreadable = set.unreadable.len();
                tracing::error!(unreadable, first, "entries of the directory cannot be read and are not served");
            }
            // Tens of thousands of entries are hashed: not on the runtime's threads.
            let made = tokio::task::spawn_blocking(move || Snapshot::from(set)).await;
            self.directory.replace(made.map_err(|error| StoreError::Unavailable(error.to_string()))?);
        }
        Ok(self.directory.current().revision)
    }

    /// Loads where the store has another revision than is served.
    async fn catch_up(&self) -> Result<(), StoreError> {
        if self.store.directory_revision().await? != self.directory.current().revision {
            self.load().await?;
        }
        Ok(())
    }
}

/// Notices changes of the directory by other processes.
pub async fn follow_directory(loader: DirectoryLoader, closing: CancellationToken) {
    let mut ticks = interval(DIRECTORY_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = closing.cancelled() => return,
        }
        if let Err(error) = loader.catch_up().await {
            tracing::warn!(%error, "the directory could not be read: the one before is served");
        }
    }
}

/// Reads files of certificates again when they change; `what` they are for.
pub async fn follow_certificate(
    what: &'static str,
    files: impl Fn() -> Option<Arc<dyn Refresh>>,
    closing: CancellationToken,
) {
    let mut ticks = interval(CERTIFICATE_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = closing.cancelled() => return,
        }
        let Some(files) = files() else { continue };
        match tokio::task::spawn_blocking(move || files.refresh()).await {
            Ok(Ok(true)) => tracing::info!(what, "a new certificate is served"),
            Ok(Err(error)) => tracing::error!(what, %error, "the new certificate is refused, the running one kept"),
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}

/// Drops what is past its time, now and every few minutes: in small steps, so that no commit gets long.
pub async fn sweep(store: Store, clock: Clock, closing: CancellationToken) {
    let mut ticks = interval(SWEEP_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = closing.cancelled() => return,
        }
        tokio::select! {
            () = sweep_all(&store, &clock) => {}
            () = closing.cancelled() => return,
        }
    }
}

/// Step by step, until nothing goes any more.
async fn sweep_all(store: &Store, clock: &Clock) {
    let mut gone = 0;
    loop {
        match store.sweep(clock.now(), SWEEP_STEP_MAX).await {
            Ok(0) => break,
            Ok(some) => gone += some,
            Err(error) => {
                tracing::warn!(%error, "what is past its time stays until the next sweep");
                break;
            }
        }
        sleep(SWEEP_PAUSE).await;
    }
    if gone > 0 {
        tracing::info!(gone, "swept");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use paquebot_mta_api::journey::{Actor, Event, Step};

    use super::*;
    use crate::{
        store::{JourneyOf, memory::Memory, rules::JOURNEY_KEPT},
        time::Micros,
    };

    const EVENTS: usize = 2 * SWEEP_STEP_MAX + 1;

    fn event() -> Event {
        Event {
            at_us: 0,
            message: uuid::Uuid::from_u128(1),
            message_id: "x@y".into(),
            recipient: None,
            actor: Actor::Mta,
            step: Step::Routed,
            detail: String::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn in_steps_when_it_is_time_until_it_is_told_to_end() {
        let time = Arc::new(AtomicI64::new(0));
        let told = time.clone();
        let clock = Clock::new(move || Micros(told.load(Ordering::SeqCst)));
        let memory = Memory::with_clock(clock.clone());
        let blobs = memory.blobs();
        let store = Store::new(Arc::new(memory), blobs);
        store.note(vec![event(); EVENTS]).await.unwrap();
        let left = async || store.journey(JourneyOf::MessageIdField("x@y".into()), EVENTS).await.unwrap().len();
        let closing = CancellationToken::new();
        let task = tokio::spawn(sweep(store.clone(), clock, closing.clone()));
        sleep(SWEEP_PERIOD / 2).await;
        assert_eq!(left().await, EVENTS, "not yet past its time");
        time.store(i64::try_from(JOURNEY_KEPT.as_micros()).unwrap(), Ordering::SeqCst);
        sleep(SWEEP_PERIOD / 2 + SWEEP_PAUSE / 2).await;
        assert_eq!(left().await, EVENTS - SWEEP_STEP_MAX, "one step, then others' turn");
        sleep(SWEEP_PAUSE * 2).await;
        assert_eq!(left().await, 0);
        closing.cancel();
        task.await.unwrap();
    }
}
