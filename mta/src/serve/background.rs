//! What goes on beside the sessions: new certificates, changes of the directory by other processes, sweeping.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::CurrentTls;
use crate::{
    directory::{Directory, Snapshot},
    store::{Store, StoreError},
};

/// How often the certificate's files are read: they are small, and a renewal is no emergency.
const CERTIFICATE_PERIOD: Duration = Duration::from_secs(5);
/// How often the store is asked whether another process changed the directory.
const DIRECTORY_PERIOD: Duration = Duration::from_secs(2);

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
        if set.revision != self.directory.current().revision {
            tracing::info!(revision = set.revision, entries = set.entries.len(), "directory");
            self.directory.replace(Snapshot::new(set.revision, set.entries));
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

/// Reads the certificate again when its files change.
pub async fn follow_certificate(tls: Arc<CurrentTls>, closing: CancellationToken) {
    let mut ticks = interval(CERTIFICATE_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = closing.cancelled() => return,
        }
        let Some(certificates) = tls.certificates() else { continue };
        match tokio::task::spawn_blocking(move || certificates.refresh()).await {
            Ok(Ok(true)) => tracing::info!("a new certificate is served"),
            Ok(Err(error)) => tracing::error!(%error, "the new certificate is refused, the running one kept"),
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}
