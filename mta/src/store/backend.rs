//! What a store's backend does. Two: [`super::sqlite`] and [`super::memory`], held to one conformance suite.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use paquebot_mta_api::journey::{Event, Queued};
use uuid::Uuid;

use super::types::*;
use crate::{message::MessageId, time::Micros};

/// One write. All writes go through the coalescing writer.
#[derive(Debug, Clone)]
pub enum Write {
    /// Queue a message. Gives [`Written::Done`]; the same ids again: done, once.
    Accept(Accept),
    /// Apply an attempt. Gives [`Written::Done`] or [`StoreError::Fenced`].
    Attempt(Attempt),
    /// Hold up to `limit` recipients that are due and held by nobody alive, in this incarnation's shards. Gives [`Written::Claimed`].
    Claim {
        /// Who.
        incarnation: Incarnation,
        /// Rows due by then.
        now: Micros,
        /// Rows at most.
        limit: usize,
    },
    /// The incarnation lives, until `ttl` from now by the store's clock; its share of the shards is claimed,
    /// rows of dead incarnations in them are freed. Gives [`Written::Done`]; [`StoreError::Fenced`] once it has expired.
    Beat {
        /// Who.
        incarnation: Incarnation,
        /// How long it may stay silent.
        ttl: Duration,
    },
    /// The incarnation ends: its rows and shards are free at once. Gives [`Written::Done`].
    Release(Incarnation),
    /// Change the directory. Gives [`Written::Revision`] or [`Written::Refused`].
    Directory(DirectoryChange),
    /// Take or renew the POP3 lease of an account, held by `session` until `ttl` from now. Gives [`Written::Done`] or [`StoreError::Conflict`].
    Lock {
        /// Whose maildrop.
        account: AccountId,
        /// Who.
        session: Uuid,
        /// How long without renewal.
        ttl: Duration,
    },
    /// Give the POP3 lease back. Gives [`Written::Done`].
    Unlock {
        /// Whose maildrop.
        account: AccountId,
        /// Who.
        session: Uuid,
    },
    /// Remove messages from a mailbox, all or none, leaving tombstones; with `session`, only while it holds
    /// the POP3 lease, else [`StoreError::Fenced`]. Gives [`Written::Done`].
    Expunge {
        /// Whose.
        account: AccountId,
        /// Which mailbox.
        mailbox: MailboxId,
        /// Which messages; those already gone don't matter.
        uids: Vec<Uid>,
        /// The POP3 session.
        session: Option<Uuid>,
        /// The journey's new steps.
        events: Vec<Event>,
    },
    /// Append to journeys. Gives [`Written::Done`].
    Events(Vec<Event>),
    /// Drop what is past its time: journeys and dead letters (14 days), tombstones, the mail of accounts that the directory
    /// has not had for 30 days, messages that nothing refers to; at most `limit` of each. Gives [`Written::Count`] of what went.
    Sweep {
        /// Now.
        now: Micros,
        /// Of each kind at most.
        limit: usize,
    },
}

/// What a write gave.
#[derive(Debug, Clone)]
pub enum Written {
    /// It is done.
    Done,
    /// The rows now held.
    Claimed(Vec<Held>),
    /// The directory's revision after the change.
    Revision(u64),
    /// The directory's change was refused and did not happen.
    Refused(DirectoryRefusal),
    /// How many.
    Count(u64),
}

/// What became of each write of a batch, in its order.
pub type BatchResult = Result<Vec<Result<Written, StoreError>>, StoreError>;

/// A backend.
pub trait Backend: Send + Sync + 'static {
    /// Applies a batch in one transaction, synced to disk when this returns. `Err`: nothing of the batch happened,
    /// and the writer tries item by item.
    fn apply(&self, batch: Arc<[Write]>) -> BoxFuture<'_, BatchResult>;

    /// A message by its id; [`StoreError::Conflict`] when it is gone.
    fn message(&self, id: MessageId) -> BoxFuture<'_, Result<Stored, StoreError>>;

    /// When the next recipient of the incarnation's shards is due that nobody holds.
    fn next_due(&self, incarnation: Incarnation) -> BoxFuture<'_, Result<Option<Micros>, StoreError>>;

    /// The directory.
    fn directory(&self) -> BoxFuture<'_, Result<DirectorySet, StoreError>>;

    /// What the directory has, without what it says.
    fn directory_listing(&self, of: ListingOf) -> BoxFuture<'_, Result<DirectoryListing, StoreError>>;

    /// The directory's revision.
    fn directory_revision(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// The queue, oldest first, after the given message.
    fn queue(
        &self,
        after: Option<(MessageId, RecipientIndex)>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(RecipientIndex, Queued)>, StoreError>>;

    /// The queue's depth and its oldest message's acceptance.
    fn queue_depth(&self) -> BoxFuture<'_, Result<(u64, Option<Micros>), StoreError>>;

    /// A journey, in order of time, at most `limit` steps.
    fn journey(&self, of: JourneyOf, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>>;

    /// A mailbox's state; `None` when nothing was ever put there.
    fn mailbox(&self, account: AccountId, name: &str) -> BoxFuture<'_, Result<Option<MailboxState>, StoreError>>;

    /// A mailbox's messages by ascending UID, at most `limit`.
    fn mails(&self, mailbox: MailboxId, limit: usize) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>>;

    /// One message of a mailbox, even if it was removed since (tombstone); [`StoreError::Conflict`] when it is gone.
    fn mail(&self, mailbox: MailboxId, uid: Uid) -> BoxFuture<'_, Result<MailContent, StoreError>>;

    /// Octets that an account uses.
    fn usage(&self, account: AccountId) -> BoxFuture<'_, Result<u64, StoreError>>;
}
