//! A message, immutable: prefix (our trace fields and signatures), header, body.
//! Its octets never change after they were signed or stored.
//!
//! - [`header`]: raw header fields, and the header's end in a stream.
//! - [`addresses`]: the addresses of a field.
//! - [`fields`]: what fields say: authors, Message-ID, Received.
//! - [`mend`]: what is removed from a header and added to it.
//! - [`received`]: the Received field that we add; [`date`]: dates.
//! - [`canonical`]: DKIM's canonical forms, for signing and verifying.
//! - [`collect`]: a message while it arrives.

pub mod addresses;
pub mod canonical;
pub mod collect;
pub mod date;
pub mod fields;
pub mod header;
pub mod mend;
pub mod received;

pub use collect::{CollectError, Collected, Incoming};

use bytes::Bytes;
use uuid::Uuid;

/// Octets of a header at most: a header is held in memory.
pub const HEADER_BYTES_MAX: usize = 256 * 1024;
/// Bodies above this stream into the blob store while they arrive; smaller ones lie in a row.
pub const INLINE_BODY_BYTES_MAX: usize = 128 * 1024;

/// A message's id: UUIDv7, one a reception; shown to clients as the queue id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub Uuid);

impl MessageId {
    /// A new id.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for MessageId {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

/// A message. On the wire it is prefix, header, body, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One a reception.
    pub id: MessageId,
    /// Our Received, Authentication-Results and DKIM-Signature fields, each ended by CRLF.
    pub prefix: Bytes,
    /// The header as it is passed on, with the empty line that ends it (where there is one).
    pub header: Bytes,
    /// What follows the empty line.
    pub body: Body,
    /// The Message-ID field without brackets, empty where there is none.
    pub message_id: String,
    /// Whether header or body has octets above 127.
    pub eight_bit: bool,
    /// Whether the header has octets above 127: needs SMTPUTF8 at the next host (RFC 6531 §3.6).
    pub utf8_header: bool,
}

impl Message {
    /// Octets in all.
    pub fn size_bytes(&self) -> u64 {
        (self.prefix.len() + self.header.len()) as u64 + self.body.size_bytes()
    }
}

/// A message's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Here: at most [`INLINE_BODY_BYTES_MAX`] octets.
    Inline(Bytes),
    /// In the blob store, under the message's id; written and synced before the message is committed.
    Blob {
        /// Octets.
        size_bytes: u64,
    },
}

impl Body {
    /// Octets.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Inline(octets) => octets.len() as u64,
            Self::Blob { size_bytes } => *size_bytes,
        }
    }
}
