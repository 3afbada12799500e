//! The bounded queue of what a machine wants written.

use std::{collections::VecDeque, ops::Range};

/// Octets of small output above which the driver writes before it feeds on.
pub const OUTPUT_BYTES_HIGH: usize = 16 * 1024;

/// What is to be written to the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// These octets.
    Bytes(Vec<u8>),
    /// Octets that the driver fetches from the owner.
    Bulk(Bulk),
}

/// Bulk output, named instead of held: the machine never sees a stored body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// What to write, in the owner's terms (a message number, an index).
    pub handle: u64,
    /// Which octets of it; an end beyond the last octet means all the rest.
    pub range: Range<u64>,
    /// How it is written.
    pub framing: Framing,
}

/// How bulk output stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As it is.
    Raw,
    /// Dot-stuffed and ended by CRLF "." CRLF (RFC 5321 §4.5.2, RFC 1939 §3); after the header's
    /// empty line at most so many lines of the body, if given (RFC 1939 §7, TOP).
    Dot {
        /// Lines of the body at most.
        body_lines_max: Option<u64>,
    },
}

/// Output in the order in which it is to be written.
#[derive(Debug, Default)]
pub struct OutputQueue {
    items: VecDeque<Output>,
    bytes: usize,
}

impl OutputQueue {
    /// Adds octets; neighbours are joined, so that a pipelined group leaves in one write.
    pub fn push(&mut self, octets: &[u8]) {
        self.bytes += octets.len();
        if let Some(Output::Bytes(last)) = self.items.back_mut() {
            last.extend_from_slice(octets);
        } else {
            self.items.push_back(Output::Bytes(octets.to_vec()));
        }
    }

    /// Adds bulk output.
    pub fn push_bulk(&mut self, bulk: Bulk) {
        self.items.push_back(Output::Bulk(bulk));
    }

    /// The next output to write.
    pub fn pop(&mut self) -> Option<Output> {
        let item = self.items.pop_front()?;
        if let Output::Bytes(octets) = &item {
            self.bytes -= octets.len();
        }
        Some(item)
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the driver must write before it feeds on: much small output, or any bulk.
    pub fn is_full(&self) -> bool {
        self.bytes >= OUTPUT_BYTES_HIGH || self.items.iter().any(|item| matches!(item, Output::Bulk(_)))
    }
}
