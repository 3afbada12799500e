//! Copies the write-ahead log into the database, on a thread and a connection of its own, so that the writer
//! starts again at the log's beginning and the file is overwritten, not appended to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
        mpsc,
    },
    thread,
};

use rusqlite::{Connection, wal::CheckpointMode};

use super::{Options, error, open::Directory};
use crate::store::types::StoreError;

/// Pages in the log from which it is copied.
const CHECKPOINT_PAGES: i32 = 2048;

/// The thread. Ends, and is waited for, when this is dropped.
pub(super) struct Checkpointer {
    pages: Arc<AtomicI32>,
    rest: Arc<AtomicBool>,
    wake: Option<mpsc::SyncSender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    options: Options,
}

impl Checkpointer {
    pub fn start(directory: Arc<Directory>, writer: &mut Connection, options: Options) -> Result<Self, StoreError> {
        let pages = Arc::new(AtomicI32::new(0));
        let seen = pages.clone();
        let hook = move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        };
        writer.wal_hook(Some(hook)).map_err(error::of)?;
        let conn = directory.checkpointer()?;
        let rest = Arc::new(AtomicBool::new(false));
        let (wake, woken) = mpsc::sync_channel(1);
        let (left, failing) = (rest.clone(), options.clone());
        let run = move || {
            for () in woken {
                checkpoint(&conn, CheckpointMode::PASSIVE, &failing);
                left.store(true, Ordering::Relaxed);
            }
            drop(conn);
            drop(directory);
        };
        let thread = thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(run)
            .map_err(|error| StoreError::Unavailable(format!("no thread for the store: {error}")))?;
        Ok(Self { pages, rest, wake: Some(wake), thread: Some(thread), options })
    }

    /// Called by the writer between two batches. What came while the thread copied is little, and only between
    /// two commits can all of it be copied; then no reader may be left in the log, so that it starts anew.
    pub fn after_commit(&self, writer: &Connection) {
        if self.pages.load(Ordering::Relaxed) < CHECKPOINT_PAGES {
            self.rest.store(false, Ordering::Relaxed);
            return;
        }
        if self.rest.swap(false, Ordering::Relaxed) {
            checkpoint(writer, CheckpointMode::RESTART, &self.options);
        } else if let Some(wake) = &self.wake {
            let _ = wake.try_send(());
        }
    }
}

/// Busy readers are no failure: the next time will do.
fn checkpoint(conn: &Connection, mode: CheckpointMode, options: &Options) {
    if let Err(error) = conn.wal_checkpoint_v2(None::<&str>, mode) {
        if error::is_io(&error) {
            (options.on_disk_failure)(&error.to_string());
        }
        if error.sqlite_error_code() != Some(rusqlite::ErrorCode::DatabaseBusy) {
            tracing::warn!(%error, "the write-ahead log was not copied: it grows until it is");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
