//! A message while it arrives: header in memory, small body in memory, large body into the blob store.
//!
//! Constant memory whatever the size. A fault of the blob store is kept and told at the end, so that the
//! client's octets are still read to there. It decides nothing.

use bytes::{Bytes, BytesMut};

use super::{
    Body, INLINE_BODY_BYTES_MAX, MessageId,
    canonical::{BodyHasher, BodyHashes},
    header::{HeaderCollector, HeaderError},
};
use crate::store::{BlobWriter, Store, StoreError};

/// Octets gathered before they go to the blob store.
const BLOB_PART_BYTES: usize = 64 * 1024;

/// Why a message was not collected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// The header is not one that we take: 552 5.3.4 or 554 5.6.0, never to be tried again.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The body could not be kept: 4xx.
    #[error("the body could not be kept: {0}")]
    Store(#[from] StoreError),
}

/// A message that has come whole.
#[derive(Debug, Clone)]
pub struct Collected {
    /// Its id.
    pub id: MessageId,
    /// The header as received, its empty line included where one came.
    pub header: Bytes,
    /// The body; a blob is whole and synced.
    pub body: Body,
    /// For DKIM.
    pub body_hashes: BodyHashes,
    /// Whether header or body has octets above 127.
    pub eight_bit: bool,
    /// Whether the header has octets above 127.
    pub utf8_header: bool,
    /// Octets received.
    pub size_bytes: u64,
}

/// Collects a message while it arrives. Dropped before [`Incoming::finish`], it leaves nothing.
pub struct Incoming {
    id: MessageId,
    store: Store,
    header: HeaderCollector,
    body: Sink,
    body_bytes: u64,
    received_bytes: u64,
    eight_bit_body: bool,
    hasher: BodyHasher,
    fault: Option<StoreError>,
}

/// Where the body goes.
enum Sink {
    Memory(BytesMut),
    Blob {
        writer: Box<dyn BlobWriter>,
        part: BytesMut,
    },
    /// After a fault: nowhere.
    Nowhere,
}

impl Incoming {
    /// Begins a message.
    pub fn new(store: Store, id: MessageId) -> Self {
        Self {
            id,
            store,
            header: HeaderCollector::default(),
            body: Sink::Memory(BytesMut::new()),
            body_bytes: 0,
            received_bytes: 0,
            eight_bit_body: false,
            hasher: BodyHasher::default(),
            fault: None,
        }
    }

    /// The message's id.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The header, once it is complete: look-ups can start before the body has come.
    pub fn header(&self) -> Option<&[u8]> {
        (self.header.is_complete() && self.header.error().is_none()).then(|| self.header.octets())
    }

    /// Takes the next octets.
    pub async fn data(&mut self, octets: &[u8]) {
        self.received_bytes += octets.len() as u64;
        let taken = self.header.feed(octets);
        let body = octets.get(taken..).unwrap_or_default();
        if body.is_empty() || self.header.error().is_some() {
            return;
        }
        self.body_bytes += body.len() as u64;
        self.eight_bit_body |= !body.is_ascii();
        self.hasher.feed(body);
        if let Err(fault) = self.keep(body).await {
            self.body = Sink::Nowhere;
            self.fault.get_or_insert(fault);
        }
    }

    /// The message has come whole.
    pub async fn finish(self) -> Result<Collected, CollectError> {
        if let Some(error) = self.header.error() {
            return Err(error.into());
        }
        if let Some(fault) = self.fault {
            return Err(fault.into());
        }
        let body = match self.body {
            Sink::Memory(octets) => Body::Inline(octets.freeze()),
            Sink::Blob { mut writer, part } => {
                if !part.is_empty() {
                    writer.write(part.freeze()).await?;
                }
                writer.finish().await?;
                Body::Blob { size_bytes: self.body_bytes }
            }
            Sink::Nowhere => return Err(StoreError::Unavailable("the body was not kept".into()).into()),
        };
        let header: Bytes = self.header.into_octets().into();
        let utf8_header = !header.is_ascii();
        Ok(Collected {
            id: self.id,
            eight_bit: utf8_header || self.eight_bit_body,
            utf8_header,
            header,
            body,
            body_hashes: self.hasher.finish(),
            size_bytes: self.received_bytes,
        })
    }

    async fn keep(&mut self, body: &[u8]) -> Result<(), StoreError> {
        if let Sink::Memory(octets) = &mut self.body {
            if octets.len() + body.len() <= INLINE_BODY_BYTES_MAX {
                octets.extend_from_slice(body);
                return Ok(());
            }
            let part = std::mem::take(octets);
            let writer = self.store.create_blob(self.id).await?;
            self.body = Sink::Blob { writer, part };
        }
        if let Sink::Blob { writer, part } = &mut self.body {
            part.extend_from_slice(body);
            if part.len() >= BLOB_PART_BYTES {
                writer.write(part.split().freeze()).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{ops::Range, sync::Arc};

    use futures::future::BoxFuture;

    use super::*;
    use crate::store::{Blobs, memory::Memory};

    fn store() -> Store {
        let memory = Memory::new();
        let blobs = memory.blobs();
        Store::new(Arc::new(memory), blobs)
    }

    async fn collect(store: &Store, message: &[u8], part: usize) -> Collected {
        let mut incoming = Incoming::new(store.clone(), MessageId::new());
        for octets in message.chunks(part) {
            incoming.data(octets).await;
        }
        incoming.finish().await.unwrap()
    }

    async fn body(store: &Store, collected: &Collected) -> Vec<u8> {
        let message = super::super::Message {
            id: collected.id,
            prefix: Bytes::new(),
            header: collected.header.clone(),
            body: collected.body.clone(),
            message_id: String::new(),
            eight_bit: collected.eight_bit,
            utf8_header: collected.utf8_header,
        };
        store.read_body(&message, 0..u64::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn small_and_large_bodies_in_any_split() {
        let store = store();
        for size in [0, 1, INLINE_BODY_BYTES_MAX, INLINE_BODY_BYTES_MAX + 1, 3 * INLINE_BODY_BYTES_MAX] {
            let sent = b"line \r\n".iter().copied().cycle().take(size).collect::<Vec<u8>>();
            let message = [b"From: a@b.example\r\n\r\n", sent.as_slice()].concat();
            let mut hashes = Vec::new();
            for part in [1, 7, 16 * 1024, message.len()] {
                let collected = collect(&store, &message, part).await;
                assert_eq!(&collected.header[..], b"From: a@b.example\r\n\r\n");
                assert_eq!(matches!(collected.body, Body::Inline(_)), size <= INLINE_BODY_BYTES_MAX, "{size}");
                assert_eq!(body(&store, &collected).await, sent);
                assert_eq!(collected.body.size_bytes(), size as u64);
                assert_eq!(collected.size_bytes, message.len() as u64);
                assert!(!collected.eight_bit && !collected.utf8_header);
                hashes.push(collected.body_hashes);
            }
            assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }

    #[tokio::test]
    async fn octets_above_127_are_seen() {
        let store = store();
        for (message, eight_bit, utf8_header) in [
            ("From: a\r\n\r\nplain", false, false),
            ("From: a\r\n\r\nü", true, false),
            ("From: ü\r\n\r\nplain", true, true),
            ("From: ü", true, true),
        ] {
            let collected = collect(&store, message.as_bytes(), 1).await;
            assert_eq!((collected.eight_bit, collected.utf8_header), (eight_bit, utf8_header), "{message}");
        }
    }

    #[tokio::test]
    async fn a_huge_header_is_refused_at_the_end() {
        let mut incoming = Incoming::new(store(), MessageId::new());
        for _ in 0..10_000 {
            incoming.data(&b"X: y\r\n".repeat(100)).await;
        }
        incoming.data(b"\r\nbody").await;
        assert_eq!(incoming.header(), None);
        assert!(matches!(incoming.finish().await, Err(CollectError::Header(_))));
    }

    /// A disk that is full after so many octets.
    struct FullDisk;

    impl Blobs for FullDisk {
        fn create(&self, _: MessageId) -> BoxFuture<'_, Result<Box<dyn BlobWriter>, StoreError>> {
            Box::pin(async { Err(StoreError::Full("no space".into())) })
        }
        fn read(&self, _: MessageId, _: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
            Box::pin(async { Err(StoreError::Full("no space".into())) })
        }
        fn remove(&self, _: MessageId) -> BoxFuture<'_, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }
    }

    #[tokio::test]
    async fn a_fault_is_told_at_the_end_and_nothing_is_kept_meanwhile() {
        let mut incoming = Incoming::new(Store::new(Arc::new(Memory::new()), Arc::new(FullDisk)), MessageId::new());
        incoming.data(b"From: a\r\n\r\n").await;
        for _ in 0..50 {
            incoming.data(&vec![b'x'; INLINE_BODY_BYTES_MAX]).await;
        }
        assert!(matches!(incoming.body, Sink::Nowhere));
        assert_eq!(incoming.finish().await.unwrap_err(), CollectError::Store(StoreError::Full("no space".into())));
    }
}
