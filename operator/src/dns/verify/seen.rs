//! What was asked, and what each authoritative server answered: the input of the comparison.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::dns::Record;

/// Characters of a value that are shown at most: enough for an RSA key of 2048 bits.
const SHOWN_MAX: usize = 500;

/// A name and a type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// In lower case, without the last dot.
    pub name: String,
    /// The type, as [`crate::dns::Data::kind`] has it.
    pub kind: &'static str,
}

impl Question {
    /// The question whose answer should contain the record.
    pub fn of(record: &Record) -> Self {
        Self { name: record.name.to_ascii_lowercase(), kind: record.data.kind() }
    }
}

/// All that was seen.
pub type Seen = BTreeMap<Question, Looked>;

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// The servers of the zone were asked.
    At {
        /// The zone's name, without the last dot.
        zone: String,
        /// Each server's answer.
        answers: Vec<(Server, Answer)>,
    },
    /// No zone holds the name; why, in words.
    NoZone(String),
    /// The servers could not be found, because no resolver answered; why, in words.
    NoResolver(String),
}

/// An authoritative server at one address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Its name in the zone's NS records, without the last dot.
    pub name: String,
    /// One of its addresses; none where it has none.
    pub address: Option<IpAddr>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{} ({address})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What one server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// With authority: these values, perhaps none.
    Values {
        /// The values at the end of the aliases.
        values: Vec<Value>,
        /// The name to which CNAME records led, where there are any.
        alias: Option<String>,
    },
    /// It answered without authority, or refused; what it said.
    Lame(String),
    /// It did not answer, or nothing that could be understood; what happened.
    Unreachable(String),
}

/// A record's value as it came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// A mail exchanger.
    Mx {
        /// The lowest is tried first.
        preference: u16,
        /// In lower case, without the last dot; empty for the root (RFC 7505).
        host: String,
    },
    /// A text, its strings joined.
    Txt(Vec<u8>),
    /// A service.
    Srv {
        /// The lowest is tried first.
        priority: u16,
        /// The share among equals.
        weight: u16,
        /// The port.
        port: u16,
        /// In lower case, without the last dot; empty for the root (RFC 2782).
        target: String,
    },
}

impl Value {
    /// As people read it: on one line, printable, cut where it is long.
    pub fn shown(&self) -> String {
        let root = |name: &str| if name.is_empty() { ".".to_owned() } else { name.to_owned() };
        match self {
            Self::A(address) => address.to_string(),
            Self::Aaaa(address) => address.to_string(),
            Self::Mx { preference, host } => format!("{preference} {}", root(host)),
            Self::Txt(text) => shown(&String::from_utf8_lossy(text)),
            Self::Srv { priority, weight, port, target } => format!("{priority} {weight} {port} {}", root(target)),
        }
    }
}

/// Text of strangers for people: no control characters, no end of line, bounded.
pub fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut kept: String = text.chars().take(SHOWN_MAX).map(clean).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        kept.push('…');
    }
    kept
}
