//! Blobs in memory: for simulation and tests. Lost with the process.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};

use super::{BlobWriter, Blobs};
use crate::{message::MessageId, store::types::StoreError};

/// Blobs in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobs {
    blobs: Arc<Mutex<HashMap<MessageId, Bytes>>>,
}

impl MemoryBlobs {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.held().len()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<MessageId, Bytes>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blobs for MemoryBlobs {
    fn create(&self, id: MessageId) -> BoxFuture<'_, Result<Box<dyn BlobWriter>, StoreError>> {
        let writer = Writing { blobs: self.clone(), id, octets: Vec::new() };
        async move { Ok(Box::new(writer) as Box<dyn BlobWriter>) }.boxed()
    }

    fn read(&self, id: MessageId, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        let blob = self.held().get(&id).cloned();
        async move {
            let blob = blob.ok_or_else(|| StoreError::Corrupt(format!("the body of {id} is gone")))?;
            Ok(super::cut(&blob, range))
        }
        .boxed()
    }

    fn remove(&self, id: MessageId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.held().remove(&id);
        async { Ok(()) }.boxed()
    }
}

struct Writing {
    blobs: MemoryBlobs,
    id: MessageId,
    octets: Vec<u8>,
}

impl BlobWriter for Writing {
    fn write(&mut self, octets: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        self.octets.extend_from_slice(&octets);
        async { Ok(()) }.boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        self.blobs.held().insert(self.id, self.octets.into());
        async { Ok(()) }.boxed()
    }
}
