//! POP3 (RFC 1939, RFC 2449): server.
//!
//! - this page: what the machine asks its owner;
//! - [`server`]: the machine;
//! - [`command`]: commands as clients write them;
//! - [`maildrop`]: a session's snapshot and its marks.

pub mod command;
pub mod maildrop;
pub mod server;

pub use server::{ServerMachine, Settings};

use crate::sasl::{LoginAnswer, LoginAsk};

/// A question of the POP3 server machine.
#[derive(Debug)]
pub enum Ask {
    /// A login exchange (USER and PASS, or AUTH, RFC 5034). Answer: [`Answer::Login`].
    Login(LoginAsk),
    /// Logged in: lock the maildrop and list it (RFC 1939 §4). Answer: [`Answer::Opened`] or [`Answer::Refused`].
    Open,
    /// RETR or TOP of the message with this index (from 0): can it be read? Answer: [`Answer::Done`]; then the
    /// machine puts bulk output with this index as handle. Or [`Answer::Refused`].
    Fetch(usize),
    /// QUIT in the TRANSACTION state: delete these indices, all or none (RFC 1939 §6), and unlock the maildrop, so that
    /// the client may come back at once; asked with no index too. Answer: [`Answer::Done`] or [`Answer::Refused`].
    Commit(Vec<usize>),
}

/// The owner's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Ask::Login`].
    Login(LoginAnswer),
    /// To [`Ask::Open`]: the snapshot, message number 1 first.
    Opened(Vec<Listed>),
    /// It is done.
    Done,
    /// It cannot be done.
    Refused(Refusal),
}

/// One message of the maildrop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Octets as stored.
    pub size_bytes: u64,
    /// The unique-id: uidvalidity "." uid (RFC 1939 §7, UIDL).
    pub unique_id: String,
}

/// Why the owner refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Another session has the maildrop: `[IN-USE]` (RFC 2449 §8.1.1).
    InUse,
    /// The store cannot now: `[SYS/TEMP]` (RFC 3206 §4).
    Temporary,
    /// The stored data is broken: `[SYS/PERM]` (RFC 3206 §4).
    Permanent,
}
