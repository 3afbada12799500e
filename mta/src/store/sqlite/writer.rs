//! The one thread that writes: one transaction a batch, committed and synced before anybody is told.
//!
//! A failed sync leaves the kernel's and the disk's idea of a page apart, and a later sync may say that all is
//! well (so-called fsyncgate). So an I/O error while writing ends the process: what was acknowledged is on disk,
//! what was not is answered by nobody, and the next start reads what is really there.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::{Options, checkpoint::Checkpointer, codec::Packer, error, open::Directory, write::Tx};
use crate::{
    message::MessageId,
    store::{
        backend::{BatchResult, Write},
        seal::SealKey,
        types::StoreError,
    },
};

/// A batch's results, and the blobs that nothing refers to any more.
pub(super) type Applied = (BatchResult, Vec<MessageId>);

/// A batch to apply.
pub(super) struct Job {
    pub batch: Arc<[Write]>,
    pub reply: oneshot::Sender<Applied>,
}

/// The thread. Ends, and is waited for, when this is dropped.
pub(super) struct WriterThread {
    jobs: Option<mpsc::SyncSender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl WriterThread {
    pub fn start(directory: Arc<Directory>, seal: Arc<SealKey>, options: Options) -> Result<Self, StoreError> {
        let mut conn = directory.writer(options.pages_max)?;
        let checkpointer = Checkpointer::start(directory.clone(), &mut conn, options.clone())?;
        let (jobs, waiting) = mpsc::sync_channel(1);
        let run = move || {
            let mut worker = Worker { conn, seal, options, packer: Packer::new() };
            for Job { batch, reply } in waiting {
                let _ = reply.send(worker.apply(&batch));
                checkpointer.after_commit(&worker.conn);
            }
            drop(worker);
            drop(checkpointer);
            drop(directory);
        };
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(run)
            .map_err(|error| StoreError::Unavailable(format!("no thread for the store: {error}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub fn send(&self, job: Job) -> Result<(), StoreError> {
        let ended = || StoreError::Unavailable("the store's thread has ended".into());
        self.jobs.as_ref().ok_or_else(ended)?.try_send(job).map_err(|_| ended())
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    conn: Connection,
    seal: Arc<SealKey>,
    options: Options,
    packer: Packer,
}

impl Worker {
    /// A panic undoes the batch and ends nothing else.
    fn apply(&mut self, batch: &[Write]) -> Applied {
        catch_unwind(AssertUnwindSafe(|| self.transaction(batch))).unwrap_or_else(|_| {
            self.packer = Packer::new();
            (Err(StoreError::Unavailable("a write panicked and was undone".into())), Vec::new())
        })
    }

    fn transaction(&mut self, batch: &[Write]) -> Applied {
        let Self { conn, seal, options, packer } = self;
        let failed_disk = |error: rusqlite::Error| {
            if error::is_io(&error) {
                (options.on_disk_failure)(&error.to_string());
            }
            (Err(error::of(error)), Vec::new())
        };
        let transaction = match conn.transaction_with_behavior(TransactionBehavior::Immediate) {
            Ok(transaction) => transaction,
            Err(error) => return failed_disk(error),
        };
        let clock = options.clock.now();
        let mut tx = Tx {
            conn: &transaction,
            clock,
            seal,
            packer,
            blobs_gone: Vec::new(),
            alive: None,
            disk_failed: Cell::new(false),
        };
        let results = write_all(&mut tx, batch);
        if tx.disk_failed.get() {
            (options.on_disk_failure)("an I/O error while writing");
        }
        let blobs_gone = tx.blobs_gone;
        match results {
            Ok(results) => match transaction.commit() {
                Ok(()) => (Ok(results), blobs_gone),
                Err(error) => failed_disk(error),
            },
            Err(error) => (Err(error), Vec::new()),
        }
    }
}

/// `Err` as soon as a write failed half done: the transaction goes, and the coalescing writer tries each alone.
fn write_all(tx: &mut Tx<'_>, batch: &[Write]) -> BatchResult {
    let mut results = Vec::with_capacity(batch.len());
    for write in batch {
        let before = tx.conn.total_changes();
        let result = tx.write(write);
        if let Err(error) = &result
            && (tx.conn.total_changes() != before || tx.conn.is_autocommit())
        {
            return Err(error.clone());
        }
        results.push(result);
    }
    Ok(results)
}
