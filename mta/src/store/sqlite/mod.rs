//! The store on SQLite: one file, one process, one writing thread.
//!
//! - `open`: the data directory, its lock, pragmas, the schema's version;
//! - `writer`: the thread that writes; `write`: what it writes;
//! - `checkpoint`: keeps the write-ahead log short;
//! - `readers`: connections that only read; `read`: what they read;
//! - `codec`: how a message lies in its row; `entry`: how a directory entry does;
//! - `error`: SQLite's errors in the store's words; `sql`: every statement.

use std::{path::Path, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use paquebot_mta_api::journey::{Event, Queued};
use rusqlite::Connection;
use tokio::sync::oneshot;

mod checkpoint;
mod codec;
mod entry;
mod error;
mod open;
mod read;
mod readers;
mod sql;
mod write;
mod writer;

use open::Directory;
use readers::Readers;
use writer::{Job, WriterThread};

use super::{
    backend::{Backend, BatchResult, Write},
    blob::{Blobs, DirectoryBlobs},
    clock::Clock,
    rules,
    seal::SealKey,
    types::*,
};
use crate::{message::MessageId, time::Micros};

/// What can be set; the default is what production uses.
#[derive(Clone)]
pub struct Options {
    /// By which expiry is judged.
    pub clock: Clock,
    /// Pages of 4096 octets that the database may have; `None`: as many as the disk holds.
    pub pages_max: Option<u32>,
    /// Called with the error when the disk failed while writing. Must not return in production: see `writer`.
    pub on_disk_failure: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        let on_disk_failure = Arc::new(|error: &str| {
            tracing::error!(error, "the disk failed; what was not acknowledged is unknown, so the process ends");
            std::process::abort();
        });
        Self { clock: Clock::system(), pages_max: None, on_disk_failure }
    }
}

/// The store on SQLite.
pub struct Sqlite {
    writer: WriterThread,
    readers: Readers,
    blobs: Arc<DirectoryBlobs>,
    seal: Arc<SealKey>,
    clock: Clock,
}

impl Sqlite {
    /// Opens the store in this directory, made if absent. The directory is this process's alone.
    pub fn open(directory: &Path, seal: SealKey) -> Result<(Arc<Self>, Arc<DirectoryBlobs>), StoreError> {
        Self::open_with(directory, seal, Options::default())
    }

    /// Opens the store with these options.
    pub fn open_with(
        directory: &Path,
        seal: SealKey,
        options: Options,
    ) -> Result<(Arc<Self>, Arc<DirectoryBlobs>), StoreError> {
        let held = Directory::take(directory)?;
        let seal = Arc::new(seal);
        let clock = options.clock.clone();
        let writer = WriterThread::start(held.clone(), seal.clone(), options)?;
        let readers = Readers::open(held.clone())?;
        let blobs = Arc::new(DirectoryBlobs::open(&directory.join("blobs"))?);
        held.sync()?;
        let probe = held.reader()?;
        blobs.sweep(move |id| read::has_message(&probe, id))?;
        Ok((Arc::new(Self { writer, readers, blobs: blobs.clone(), seal, clock }), blobs))
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        self.readers.read(read).boxed()
    }
}

impl Backend for Sqlite {
    fn apply(&self, batch: Arc<[Write]>) -> BoxFuture<'_, BatchResult> {
        async move {
            let (reply, applied) = oneshot::channel();
            self.writer.send(Job { batch, reply })?;
            let ended = |_| StoreError::Unavailable("the store's thread has ended".into());
            let (result, blobs_gone) = applied.await.map_err(ended)?;
            if !blobs_gone.is_empty() {
                let blobs = self.blobs.clone();
                // What is left behind by a crash goes at the next start.
                tokio::spawn(async move {
                    for id in blobs_gone {
                        if let Err(error) = blobs.remove(id).await {
                            tracing::warn!(%id, %error, "a body that nothing refers to stays until the next start");
                        }
                    }
                });
            }
            result
        }
        .boxed()
    }

    fn message(&self, id: MessageId) -> BoxFuture<'_, Result<Stored, StoreError>> {
        self.read(move |conn| read::message(conn, id))
    }

    fn next_due(&self, incarnation: Incarnation) -> BoxFuture<'_, Result<Option<Micros>, StoreError>> {
        let clock = self.clock.now();
        self.read(move |conn| read::next_due(conn, clock, incarnation))
    }

    fn directory(&self) -> BoxFuture<'_, Result<DirectorySet, StoreError>> {
        let seal = self.seal.clone();
        self.read(move |conn| read::directory(conn, &seal))
    }

    fn directory_listing(&self, of: ListingOf) -> BoxFuture<'_, Result<DirectoryListing, StoreError>> {
        let seal = self.seal.clone();
        self.read(move |conn| read::directory_listing(conn, &seal, of))
    }

    fn directory_revision(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read(read::directory_revision)
    }

    fn queue(
        &self,
        after: Option<(MessageId, RecipientIndex)>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(RecipientIndex, Queued)>, StoreError>> {
        self.read(move |conn| read::queue(conn, after, limit))
    }

    fn queue_depth(&self) -> BoxFuture<'_, Result<(u64, Option<Micros>), StoreError>> {
        self.read(read::queue_depth)
    }

    fn journey(&self, of: JourneyOf, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.read(move |conn| read::journey(conn, &of, limit))
    }

    fn mailbox(&self, account: AccountId, name: &str) -> BoxFuture<'_, Result<Option<MailboxState>, StoreError>> {
        match rules::mailbox_name(name).map(str::to_owned) {
            Ok(name) => self.read(move |conn| read::mailbox(conn, account, &name)),
            Err(_) => async { Ok(None) }.boxed(),
        }
    }

    fn mails(&self, mailbox: MailboxId, limit: usize) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>> {
        self.read(move |conn| read::mails(conn, mailbox, limit))
    }

    fn mail(&self, mailbox: MailboxId, uid: Uid) -> BoxFuture<'_, Result<MailContent, StoreError>> {
        self.read(move |conn| read::mail(conn, mailbox, uid))
    }

    fn usage(&self, account: AccountId) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read(move |conn| read::usage(conn, account))
    }
}
