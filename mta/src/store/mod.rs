//! What is on disk: messages, queue, mailboxes, directory, journeys.
//!
//! Read in this order:
//! - this page: the [`Store`] that all of the server uses;
//! - [`types`]: what is written and read;
//! - [`writer`]: the coalescing writer: one transaction for all that waits; `lossy`: what may be lost;
//! - [`backend`]: what a backend does; `memory` and `sqlite` do it, held to one conformance suite;
//! - [`blob`]: bodies too large for a row;
//! - [`rules`]: what every backend decides alike: shards, retention, a copy's own fields;
//! - [`clock`]: by which expiry is judged;
//! - [`memory`]: the backend for simulation and tests;
//! - [`sqlite`]: the embedded backend;
//! - [`seal`]: private keys at rest.

use std::{ops::Range, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use paquebot_mta_api::journey::{Event, Queued};
use uuid::Uuid;

pub mod backend;
pub mod blob;
pub mod clock;
mod lossy;
pub mod memory;
pub mod rules;
pub mod seal;
pub mod sqlite;
pub mod types;
pub mod writer;

pub use backend::{Backend, Write, Written};
pub use blob::{BlobWriter, Blobs, DirectoryBlobs, MemoryBlobs};
pub use clock::Clock;
pub use memory::Memory;
pub use seal::SealKey;
pub use sqlite::Sqlite;
pub use types::*;
pub use writer::Writer;

use crate::{
    admin::metrics::SharedMetrics,
    message::{Body, Message, MessageId},
    time::Micros,
};

/// The store, as all of the server sees it. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    blobs: Arc<dyn Blobs>,
    writer: Writer,
}

impl Store {
    /// A store over this backend and these blobs. Needs a tokio runtime.
    pub fn new(backend: Arc<dyn Backend>, blobs: Arc<dyn Blobs>) -> Self {
        let writer = Writer::start(backend.clone());
        Self { backend, blobs, writer }
    }

    /// A store in memory with its blobs; `memory` can outlive it, as a disk outlives a process.
    pub fn in_memory(memory: Arc<Memory>) -> Self {
        let blobs = memory.blobs();
        Self::new(memory, blobs)
    }

    /// The embedded store in this directory; both the directory and the file of the seal key are made if absent.
    pub fn open_sqlite(directory: &Path, seal_key: &Path) -> Result<Self, StoreError> {
        let (sqlite, blobs) = Sqlite::open(directory, SealKey::load_or_make(seal_key)?)?;
        Ok(Self::new(sqlite, blobs))
    }

    /// Tells commit times and batch sizes to these metrics from now on.
    pub fn observe(&self, metrics: SharedMetrics) {
        self.writer.observe(metrics);
    }

    /// Queues a message; on disk when this returns `Ok`.
    pub async fn accept(&self, accept: Accept) -> Result<(), StoreError> {
        self.writer.write(Write::Accept(accept)).await.map(drop)
    }

    /// Applies an attempt, all or nothing.
    pub async fn attempt(&self, attempt: Attempt) -> Result<(), StoreError> {
        self.writer.write(Write::Attempt(attempt)).await.map(drop)
    }

    /// Holds up to `limit` recipients that are due.
    pub async fn claim(&self, incarnation: Incarnation, now: Micros, limit: usize) -> Result<Vec<Held>, StoreError> {
        match self.writer.write(Write::Claim { incarnation, now, limit }).await? {
            Written::Claimed(held) => Ok(held),
            _ => Ok(Vec::new()),
        }
    }

    /// The incarnation lives; see [`Write::Beat`].
    pub async fn beat(&self, incarnation: Incarnation, ttl: Duration) -> Result<(), StoreError> {
        self.writer.write(Write::Beat { incarnation, ttl }).await.map(drop)
    }

    /// The incarnation ends: others may take over at once.
    pub async fn release(&self, incarnation: Incarnation) -> Result<(), StoreError> {
        self.writer.write(Write::Release(incarnation)).await.map(drop)
    }

    /// Changes the directory; gives its new revision.
    pub async fn change_directory(&self, change: DirectoryChange) -> Result<u64, DirectoryError> {
        match self.writer.write(Write::Directory(change)).await? {
            Written::Revision(revision) => Ok(revision),
            Written::Refused(refusal) => Err(refusal.into()),
            _ => Ok(self.backend.directory_revision().await?),
        }
    }

    /// Takes or renews the POP3 lease; [`StoreError::Conflict`] when another session has it.
    pub async fn lock(&self, account: AccountId, session: Uuid, ttl: Duration) -> Result<(), StoreError> {
        self.writer.write(Write::Lock { account, session, ttl }).await.map(drop)
    }

    /// Gives the POP3 lease back.
    pub async fn unlock(&self, account: AccountId, session: Uuid) -> Result<(), StoreError> {
        self.writer.write(Write::Unlock { account, session }).await.map(drop)
    }

    /// Removes messages from a mailbox, all or none; see [`Write::Expunge`].
    pub async fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: Vec<Uid>,
        session: Option<Uuid>,
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        self.writer.write(Write::Expunge { account, mailbox, uids, session, events }).await.map(drop)
    }

    /// Appends to journeys.
    pub async fn note(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.writer.write(Write::Events(events)).await.map(drop)
    }

    /// Appends to journeys with the next batch, or forgets: for refusals of strangers, which must not cost a sync.
    pub fn note_lossy(&self, events: Vec<Event>) {
        self.writer.note_lossy(events);
    }

    /// Drops what is past its time; gives how much went.
    pub async fn sweep(&self, now: Micros, limit: usize) -> Result<u64, StoreError> {
        match self.writer.write(Write::Sweep { now, limit }).await? {
            Written::Count(count) => Ok(count),
            _ => Ok(0),
        }
    }

    /// A message by its id; [`StoreError::Conflict`] when it is gone.
    pub async fn message(&self, id: MessageId) -> Result<Stored, StoreError> {
        self.backend.message(id).await
    }

    /// When the next recipient is due that nobody holds.
    pub async fn next_due(&self, incarnation: Incarnation) -> Result<Option<Micros>, StoreError> {
        self.backend.next_due(incarnation).await
    }

    /// The directory.
    pub async fn directory(&self) -> Result<DirectorySet, StoreError> {
        self.backend.directory().await
    }

    /// What the directory has, without what it says: read from the store each time, so that edits by hand are seen.
    pub async fn directory_listing(&self, of: ListingOf) -> Result<DirectoryListing, StoreError> {
        self.backend.directory_listing(of).await
    }

    /// The directory's revision: cheap to ask.
    pub async fn directory_revision(&self) -> Result<u64, StoreError> {
        self.backend.directory_revision().await
    }

    /// The queue, oldest first.
    pub async fn queue(
        &self,
        after: Option<(MessageId, RecipientIndex)>,
        limit: usize,
    ) -> Result<Vec<(RecipientIndex, Queued)>, StoreError> {
        self.backend.queue(after, limit).await
    }

    /// The queue's depth and its oldest message's acceptance.
    pub async fn queue_depth(&self) -> Result<(u64, Option<Micros>), StoreError> {
        self.backend.queue_depth().await
    }

    /// A journey, in order of time.
    pub async fn journey(&self, of: JourneyOf, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.backend.journey(of, limit).await
    }

    /// A mailbox's state; `None` when nothing was ever put there.
    pub async fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<MailboxState>, StoreError> {
        self.backend.mailbox(account, name).await
    }

    /// A mailbox's messages by ascending UID.
    pub async fn mails(&self, mailbox: MailboxId, limit: usize) -> Result<Vec<Mail>, StoreError> {
        self.backend.mails(mailbox, limit).await
    }

    /// One message of a mailbox.
    pub async fn mail(&self, mailbox: MailboxId, uid: Uid) -> Result<MailContent, StoreError> {
        self.backend.mail(mailbox, uid).await
    }

    /// Octets that an account uses.
    pub async fn usage(&self, account: AccountId) -> Result<u64, StoreError> {
        self.backend.usage(account).await
    }

    /// Starts a blob for a message's body.
    pub async fn create_blob(&self, id: MessageId) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.blobs.create(id).await
    }

    /// Removes the blob of a message that was refused or could not be committed. Where the store has the message, or
    /// cannot tell, the blob stays: the next start removes what no message refers to.
    pub async fn discard(&self, id: MessageId, body: &Body) {
        if matches!(body, Body::Blob { .. }) && matches!(self.backend.message(id).await, Err(StoreError::Conflict(_))) {
            let removed = self.blobs.remove(id).await;
            if let Err(error) = removed {
                tracing::warn!(message = %id, %error, "the body of a refused message stays until the next start");
            }
        }
    }

    /// Octets of a message's body; the range is cut to what there is.
    pub async fn read_body(&self, message: &Message, range: Range<u64>) -> Result<Bytes, StoreError> {
        match &message.body {
            Body::Inline(octets) => Ok(blob::cut(octets, range)),
            Body::Blob { .. } => self.blobs.read(message.id, range).await,
        }
    }
}
