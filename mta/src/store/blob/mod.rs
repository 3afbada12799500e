//! Bodies too large for a row. Named by message id, never shared between receptions.
//!
//! - [`directory`]: as files;
//! - [`memory`]: for simulation and tests.

use std::ops::Range;

use bytes::Bytes;
use futures::future::BoxFuture;

pub mod directory;
pub mod memory;

pub use directory::DirectoryBlobs;
pub use memory::MemoryBlobs;

use super::types::StoreError;
use crate::message::MessageId;

/// A place for blobs.
pub trait Blobs: Send + Sync + 'static {
    /// Starts a blob.
    fn create(&self, id: MessageId) -> BoxFuture<'_, Result<Box<dyn BlobWriter>, StoreError>>;
    /// Octets of a blob, cut to what there is.
    fn read(&self, id: MessageId, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>>;
    /// Removes a blob; one that is not there is no error.
    fn remove(&self, id: MessageId) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A blob being written. Dropped without [`BlobWriter::finish`], it leaves nothing.
pub trait BlobWriter: Send + Sync {
    /// Adds octets.
    fn write(&mut self, octets: Bytes) -> BoxFuture<'_, Result<(), StoreError>>;
    /// The blob is whole and synced to disk, its directory entry too, when this returns.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// The range of the octets, cut to what there is.
pub(super) fn cut(octets: &Bytes, range: Range<u64>) -> Bytes {
    let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(octets.len());
    let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
    octets.slice(start..end)
}
