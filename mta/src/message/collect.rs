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
