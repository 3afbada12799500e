//! What is written to the store and read from it.

use std::sync::Arc;

use paquebot_mta_api::{
    address::Address,
    admin::{self, Listed},
    directory::Entry,
    journey::Event,
};
use uuid::Uuid;

use crate::{
    message::{Message, MessageId},
    time::Micros,
};

/// What can go wrong in a store; the same for every backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Cannot be reached or cannot answer now. Temporary.
    #[error("the store cannot answer now: {0}")]
    Unavailable(String),
    /// No space left. Temporary.
    #[error("the store is full: {0}")]
    Full(String),
    /// The rows are held by another incarnation, or the epoch is an old one. What was asked did not happen.
    #[error("another process holds this now")]
    Fenced,
    /// It is there already, or in a state that forbids it.
    #[error("conflict: {0}")]
    Conflict(String),
    /// What was read cannot be right.
    #[error("the stored data is broken: {0}")]
    Corrupt(String),
}

/// One start of one process. A row names its holder, and an outcome applies only where it is the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub Uuid);

/// The id of a person's mailbox with all its folders (RFC 8474 would say account).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub Uuid);

/// A mailbox of an account: INBOX, Junk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(pub i64);

/// A unique identifier in a mailbox (RFC 9051 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub u32);

/// A modification sequence (RFC 7162 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModSeq(pub u64);

/// A recipient of a message, by its place in the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipientIndex(pub u32);

/// What came with a message by SMTP. Immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The reverse-path; `None` for `<>`.
    pub reverse_path: Option<Address>,
    /// When it was accepted.
    pub accepted: Micros,
    /// The domain that it belongs to (tenancy): the sender's at submission, else the first recipient's.
    pub domain: Uuid,
    /// Whether an address of it needs SMTPUTF8.
    pub smtputf8: bool,
    /// Whether the verdict sends local copies to Junk.
    pub junk: bool,
}

/// A recipient as it is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecipient {
    /// Its place in the envelope.
    pub index: RecipientIndex,
    /// Where it goes, aliases expanded.
    pub address: Address,
    /// What the client said in RCPT.
    pub original: String,
    /// The account, where it is ours; `None`: by MX.
    pub account: Option<AccountId>,
}

/// A message to be queued. Applying it twice is harmless: ids are made by the process.
#[derive(Debug, Clone)]
pub struct Accept {
    /// The message; a blob body is in the blob store already.
    pub message: Arc<Message>,
    /// Its envelope.
    pub envelope: Arc<Envelope>,
    /// At least one.
    pub recipients: Vec<NewRecipient>,
    /// Who tries at once from memory; `None`: whoever claims it first. One that is not alive (it never beat, it
    /// expired, it was released) holds nothing, and its attempt will be fenced.
    pub holder: Option<Incarnation>,
    /// The journey so far.
    pub events: Vec<Event>,
}

/// What one attempt, or a decision about it, did to recipients of one message.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The message.
    pub message: MessageId,
    /// Applies only where this is the holder of each of the recipients, else [`StoreError::Fenced`] and nothing happens.
    pub holder: Incarnation,
    /// What became of each.
    pub outcomes: Vec<(RecipientIndex, Outcome)>,
    /// Bounces and delay notices: queued in the same transaction.
    pub notices: Vec<Accept>,
    /// The journey's new steps.
    pub events: Vec<Event>,
}

/// What became of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The next host said 250, or the sender was told: the row goes.
    Done,
    /// Into the mailbox, in this transaction; twice for one (message, account) is once. The row goes.
    Stored {
        /// Whose.
        account: AccountId,
        /// Which mailbox of it: `INBOX`, `Junk`; made if absent.
        mailbox: String,
        /// For the copy's Delivered-To.
        delivered_to: Address,
    },
    /// Tried again later; the holder gives it up.
    Deferred {
        /// When.
        next_attempt: Micros,
        /// The reply or fault, one line.
        error: String,
        /// Whether the sender has been told of the delay.
        warned: bool,
    },
    /// Undeliverable and nobody to tell: into the dead letters, 14 days.
    Dead {
        /// The reply or fault, one line.
        error: String,
    },
}

/// A recipient that this incarnation holds, as the engine works on it.
#[derive(Debug, Clone)]
pub struct Held {
    /// The message.
    pub message: MessageId,
    /// Its place in the envelope.
    pub index: RecipientIndex,
    /// Where it goes.
    pub address: Address,
    /// What the client said in RCPT.
    pub original: String,
    /// The account, where it is ours.
    pub account: Option<AccountId>,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether the sender has been told of a delay.
    pub warned: bool,
}

/// A message as it is read back.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The message.
    pub message: Arc<Message>,
    /// Its envelope.
    pub envelope: Arc<Envelope>,
}

/// A mailbox's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxState {
    /// Its id.
    pub id: MailboxId,
    /// Changes when UIDs start anew (RFC 9051 §2.3.1.1).
    pub uid_validity: u32,
    /// The UID of the next message.
    pub uid_next: Uid,
    /// The highest modification sequence.
    pub modseq: ModSeq,
}

/// A message in a mailbox: the narrow row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its UID.
    pub uid: Uid,
    /// Of its last change.
    pub modseq: ModSeq,
    /// The message.
    pub message: MessageId,
    /// Octets as stored, the copy's own fields (Return-Path, Delivered-To) included.
    pub size_bytes: u64,
    /// When it was put there.
    pub internal_date: Micros,
}

/// What is read of a message in a mailbox: the copy's own fields, then the message.
#[derive(Debug, Clone)]
pub struct MailContent {
    /// Return-Path and Delivered-To of this copy, each ended by CRLF.
    pub copy_fields: bytes::Bytes,
    /// The message.
    pub message: Arc<Message>,
}

/// A change of the directory: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DirectoryChange {
    /// The writer's epoch; a lower one than the store has seen is refused.
    pub epoch: u64,
    /// The revision on which the change was decided; `None`: whatever it is (a writer that has the store to itself).
    pub base: Option<u64>,
    /// Keys to delete ([`paquebot_mta_api::directory::Value::key`]): before anything is put.
    pub delete: Vec<String>,
    /// Entries to put, new or replaced; one of another owner is only replaced where its key is also deleted.
    pub put: Vec<Entry>,
    /// The set is complete with this change; it stays so.
    pub complete: bool,
}

/// Why a change of the directory was refused: nothing of it happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryRefusal {
    /// Another writer took over.
    #[error("epoch {seen} was here already: another writer took over; stop writing")]
    Fenced {
        /// The highest epoch that the store has seen.
        seen: u64,
    },
    /// The base is not what the store has.
    #[error("the store has revision {revision} now: compare again")]
    Moved {
        /// What it has.
        revision: u64,
    },
    /// A name is another owner's.
    #[error("{key} belongs to {owner}: delete it in the same change, or leave it")]
    Owned {
        /// The key that is in the way.
        key: String,
        /// Whose it is.
        owner: Uuid,
    },
}

/// A change of the directory did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The store does not take it.
    #[error(transparent)]
    Refused(#[from] DirectoryRefusal),
    /// The store cannot.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// For writers that have the store to themselves: to them any refusal is a conflict.
impl From<DirectoryError> for StoreError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Refused(DirectoryRefusal::Fenced { .. }) => Self::Fenced,
            DirectoryError::Refused(refusal) => Self::Conflict(refusal.to_string()),
            DirectoryError::Store(error) => error,
        }
    }
}

/// The directory as stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DirectorySet {
    /// Grows with each change; 0 before the first.
    pub revision: u64,
    /// Whether a complete set was ever there.
    pub complete: bool,
    /// All that can be read, private keys opened. One that is not what was written has the all-zero digest.
    pub entries: Vec<Entry>,
    /// Keys of those that cannot be read.
    pub unreadable: Vec<String>,
}

/// Which entries are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingOf {
    /// All.
    All,
    /// Those of one bucket ([`admin::bucket`]).
    Bucket(usize),
    /// The hosted domains: who holds which name.
    Domains,
}

impl ListingOf {
    /// Domains' keys begin so.
    pub const DOMAINS: &str = "domain/";

    /// Whether this key is one of them.
    pub fn has(self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Bucket(bucket) => admin::bucket(key) == bucket,
            Self::Domains => key.starts_with(Self::DOMAINS),
        }
    }
}

/// The store's directory without what its entries say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirectoryListing {
    /// The highest writer's epoch that the store has seen.
    pub epoch: u64,
    /// Its revision.
    pub revision: u64,
    /// Whether a complete set was ever there.
    pub complete: bool,
    /// By ascending key. One that is not what was written has the all-zero digest.
    pub entries: Vec<Listed>,
}

/// Which journey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JourneyOf {
    /// By the Message-ID field, without brackets.
    MessageIdField(String),
    /// By the id of one reception.
    Message(MessageId),
}
