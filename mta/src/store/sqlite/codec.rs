//! How a message lies in its row: one version octet, one codec octet, the lengths of prefix, header and inline body,
//! then the three, compressed where that helps. Never decides what is stored.

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    message::{Body, HEADER_BYTES_MAX, INLINE_BODY_BYTES_MAX, Message, MessageId},
    store::types::{Envelope, StoreError},
    time::Micros,
};

const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const HEAD_OCTETS: usize = 14;
/// Contents shorter than this gain nothing by compression.
const COMPRESS_FROM_BYTES: usize = 512;
/// zstd's fastest: the processor is shared with TLS and signing.
const COMPRESS_LEVEL: i32 = 1;
/// Octets of a row's content at most, unpacked: a broken row must not ask for more memory.
const CONTENT_BYTES_MAX: usize = 4 * HEADER_BYTES_MAX + INLINE_BODY_BYTES_MAX;

pub(super) const EIGHT_BIT: i64 = 1;
pub(super) const UTF8_HEADER: i64 = 2;
pub(super) const SMTPUTF8: i64 = 4;
pub(super) const JUNK: i64 = 8;
pub(super) const BODY_IN_BLOB: i64 = 16;

/// Packs contents; keeps its working memory.
pub(super) struct Packer(Option<zstd::bulk::Compressor<'static>>);

impl Packer {
    pub fn new() -> Self {
        Self(zstd::bulk::Compressor::new(COMPRESS_LEVEL).ok())
    }

    /// The row's content.
    pub fn pack(&mut self, message: &Message) -> Result<Vec<u8>, StoreError> {
        let body: &[u8] = match &message.body {
            Body::Inline(octets) => octets,
            Body::Blob { .. } => &[],
        };
        let parts = [&message.prefix[..], &message.header[..], body];
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > CONTENT_BYTES_MAX {
            return Err(StoreError::Conflict(format!(
                "a row holds {CONTENT_BYTES_MAX} octets of a message, this one has {length}"
            )));
        }
        let mut packed = Vec::with_capacity(HEAD_OCTETS + length);
        packed.extend_from_slice(&[VERSION, PLAIN]);
        for part in parts {
            packed.extend_from_slice(&(part.len() as u32).to_be_bytes());
        }
        for part in parts {
            packed.extend_from_slice(part);
        }
        Ok(self.smaller(&packed).unwrap_or(packed))
    }

    fn smaller(&mut self, packed: &[u8]) -> Option<Vec<u8>> {
        let (head, content) = packed.split_at_checked(HEAD_OCTETS)?;
        if content.len() < COMPRESS_FROM_BYTES {
            return None;
        }
        let compressed = self.0.as_mut()?.compress(content).ok()?;
        if compressed.len() >= content.len() {
            return None;
        }
        let mut smaller = Vec::with_capacity(HEAD_OCTETS + compressed.len());
        smaller.extend_from_slice(head);
        smaller.extend_from_slice(&compressed);
        *smaller.get_mut(1)? = ZSTD;
        Some(smaller)
    }
}

/// A row of `message`.
pub(super) struct Row {
    pub id: MessageId,
    pub domain: Uuid,
    pub accepted: Micros,
    pub reverse_path: String,
    pub message_id: String,
    pub flags: i64,
    pub size_bytes: u64,
    pub content: Vec<u8>,
}

impl Row {
    /// The message and its envelope.
    pub fn open(self) -> Result<(Message, Envelope), StoreError> {
        let broken = || StoreError::Corrupt(format!("the row of message {} cannot be read", self.id));
        let (prefix, header, body) = unpack(&self.content).ok_or_else(broken)?;
        let head = (prefix.len() + header.len()) as u64;
        let body = match self.flags & BODY_IN_BLOB {
            0 => Body::Inline(body),
            _ => Body::Blob { size_bytes: self.size_bytes.checked_sub(head).ok_or_else(broken)? },
        };
        let reverse_path = match self.reverse_path.as_str() {
            "" => None,
            path => Some(path.parse().map_err(|_| broken())?),
        };
        let has = |flag| self.flags & flag != 0;
        let envelope = Envelope {
            reverse_path,
            accepted: self.accepted,
            domain: self.domain,
            smtputf8: has(SMTPUTF8),
            junk: has(JUNK),
        };
        let (eight_bit, utf8_header) = (has(EIGHT_BIT), has(UTF8_HEADER));
        let message =
            Message { id: self.id, prefix, header, body, message_id: self.message_id, eight_bit, utf8_header };
        Ok((message, envelope))
    }
}

/// The flags of a message and its envelope.
pub(super) fn flags(message: &Message, envelope: &Envelope) -> i64 {
    [
        (message.eight_bit, EIGHT_BIT),
        (message.utf8_header, UTF8_HEADER),
        (envelope.smtputf8, SMTPUTF8),
        (envelope.junk, JUNK),
        (matches!(message.body, Body::Blob { .. }), BODY_IN_BLOB),
    ]
    .into_iter()
    .filter_map(|(set, flag)| set.then_some(flag))
    .sum()
}

fn unpack(packed: &[u8]) -> Option<(Bytes, Bytes, Bytes)> {
    let (head, content) = packed.split_at_checked(HEAD_OCTETS)?;
    let (kind, lengths) = head.split_at_checked(2)?;
    let mut parts = [0_usize; 3];
    for (part, octets) in parts.iter_mut().zip(lengths.chunks_exact(4)) {
        *part = u32::from_be_bytes(octets.try_into().ok()?) as usize;
    }
    let length: usize = parts.iter().sum();
    if length > CONTENT_BYTES_MAX {
        return None;
    }
    let mut content: Bytes = match kind {
        [VERSION, PLAIN] => Bytes::copy_from_slice(content),
        [VERSION, ZSTD] => zstd::bulk::decompress(content, length).ok()?.into(),
        _ => return None,
    };
    if content.len() != length {
        return None;
    }
    let [prefix, header, _] = parts;
    let prefix = content.split_to(prefix);
    let header = content.split_to(header);
    Some((prefix, header, content))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(prefix: Vec<u8>, header: Vec<u8>, body: Vec<u8>) -> Message {
        Message {
            id: MessageId::new(),
            prefix: prefix.into(),
            header: header.into(),
            body: Body::Inline(body.into()),
            message_id: String::new(),
            eight_bit: false,
            utf8_header: false,
        }
    }

    proptest! {
        #[test]
        fn comes_back_as_it_was(prefix: Vec<u8>, header: Vec<u8>, body: Vec<u8>, times in 1_usize..50) {
            let body = body.repeat(times);
            let packed = Packer::new().pack(&message(prefix.clone(), header.clone(), body.clone())).unwrap();
            let back = unpack(&packed).unwrap();
            prop_assert_eq!((&back.0[..], &back.1[..], &back.2[..]), (&prefix[..], &header[..], &body[..]));
        }

        #[test]
        fn broken_rows_are_no_panic(packed: Vec<u8>) {
            let _ = unpack(&packed);
        }

        #[test]
        fn a_changed_length_is_noticed(at in 2_usize..14, bit in 0_u8..8) {
            let mut packed = Packer::new().pack(&message(vec![1; 300], vec![2; 300], vec![3; 3000])).unwrap();
            packed[at] ^= 1 << bit;
            prop_assert!(unpack(&packed).is_none());
        }
    }

    #[test]
    fn text_gets_smaller() {
        let packed = Packer::new().pack(&message(vec![], vec![b'a'; 1000], vec![b'b'; 10_000])).unwrap();
        assert!(packed.len() < 200, "{}", packed.len());
        assert_eq!(packed[..2], [VERSION, ZSTD]);
    }
}
