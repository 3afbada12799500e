//! Whether the world sees the records: asked at every authoritative server, compared as a receiver understands them.
//!
//! In the order in which to read:
//!
//! - [`seen`]: a question, and what each server answered.
//! - [`meaning`]: one record and one answer: Verified, Missing, Different, Conflicting, and in which way. Pure.
//! - [`judge`]: [`compare`], all records and all servers, a sentence for each that says what to put where. Pure.
//! - [`summary`]: the condition `DNSVerified` and the status of each record. Pure.
//! - [`schedule`]: when to look again; [`checks`]: for thousands of domains, a few at a time. Pure.
//! - [`message`]: questions and answers as octets (RFC 1035 §4). Pure.
//! - [`ask`]: one question to one server, by UDP, then TCP.
//! - [`find`]: the authoritative servers of a name, through a resolver.
//! - [`engine`]: [`verify`], which asks everything and decides nothing.
//! - [`table`]: as people see it.
//!
//! DNSSEC is not validated, and TTLs do not count: receivers differ in the one and do not look at the other.

use std::net::IpAddr;

use serde::Serialize;

mod ask;
pub mod checks;
mod engine;
mod find;
mod judge;
mod meaning;
mod message;
pub mod schedule;
mod seen;
mod summary;
mod table;

pub use checks::{Checks, Outcome, fingerprint};
pub use engine::{Options, verify};
pub use judge::compare;
pub use seen::{Answer, Looked, Question, Seen, Server, Value};
pub use summary::{CONDITION, disabled, not_checked, record_statuses, summary};
pub use table::{cause, verification_table};

/// What is true of a record, or of one server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum State {
    /// Answered as wanted.
    Verified,
    /// Not there.
    Missing,
    /// There, and a receiver understands something else.
    Different,
    /// There, together with something that makes it void or leads elsewhere.
    Conflicting,
    /// A server of the zone does not serve the zone (lame).
    Lame,
    /// A server does not answer.
    Unreachable,
    /// There is no zone that could hold the record.
    NoZone,
    /// Not looked at yet, or no resolver answered.
    Unknown,
}

impl State {
    /// As a status has it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Verified => "Verified",
            Self::Missing => "Missing",
            Self::Different => "Different",
            Self::Conflicting => "Conflicting",
            Self::Lame => "Lame",
            Self::Unreachable => "Unreachable",
            Self::NoZone => "NoZone",
            Self::Unknown => "Unknown",
        }
    }
}

/// What came of a look at all records of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// One for each wanted record, in their order.
    pub records: Vec<Checked>,
}

impl Verification {
    /// Whether every record in the domain's own zones is as wanted. None is not.
    pub fn holds(&self) -> bool {
        let mut own = self.records.iter().filter(|it| !it.elsewhere).peekable();
        own.peek().is_some() && own.all(|it| it.state == State::Verified)
    }
}

/// A record, and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The record's id.
    pub id: String,
    /// Its name, without the last dot.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The value as people read it.
    pub wanted: String,
    /// It belongs in a zone of somebody else: looked at, and not counted.
    pub elsewhere: bool,
    /// The worst of the servers' states.
    pub state: State,
    /// What to put where; none where it is verified.
    pub reason: Option<String>,
    /// The zone that holds the name, where one was found.
    pub zone: Option<String>,
    /// What each server answered.
    pub servers: Vec<SeenAt>,
}

/// What one server answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenAt {
    /// The server's name.
    pub server: String,
    /// The address that was asked; none where the name has none.
    pub address: Option<IpAddr>,
    /// How its answer compares.
    pub state: State,
    /// In which way, in words.
    pub detail: Option<String>,
    /// The values of the name, cut where they are long.
    pub values: Vec<String>,
}
