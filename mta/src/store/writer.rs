//! The coalescing writer: no timer; a batch is whatever arrived while the last one committed.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{
    backend::{Backend, Write, Written},
    types::StoreError,
};

/// Writes that may wait for their batch; one more is refused, which SMTP says as 451 4.3.1.
pub const WAITING_MAX: usize = 4096;
/// Writes of one batch.
pub const BATCH_MAX: usize = 512;

type Reply = oneshot::Sender<Result<Written, StoreError>>;

/// The way to the one task that writes.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<(Write, Reply)>,
}

impl Writer {
    /// Starts the task; it ends when the last `Writer` is dropped and all is written.
    pub fn start(backend: Arc<dyn Backend>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(run(backend, waiting));
        Self { queue }
    }

    /// Writes, and returns when it is on disk. A caller that is cancelled may have written all the same.
    pub async fn write(&self, write: Write) -> Result<Written, StoreError> {
        let (reply, result) = oneshot::channel();
        self.queue
            .try_send((write, reply))
            .map_err(|_| StoreError::Unavailable("too many writes are waiting".into()))?;
        result.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the writer has ended".into())))
    }
}

async fn run(backend: Arc<dyn Backend>, mut waiting: mpsc::Receiver<(Write, Reply)>) {
    let mut arrived = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut arrived, BATCH_MAX).await > 0 {
        let (writes, replies): (Vec<_>, Vec<_>) = arrived.drain(..).unzip();
        let results = apply(backend.as_ref(), writes.into()).await;
        for (reply, result) in replies.into_iter().zip(results) {
            let _ = reply.send(result);
        }
    }
}

/// All in one transaction; where that fails, each alone, so that one bad write fails itself only.
async fn apply(backend: &dyn Backend, batch: Arc<[Write]>) -> Vec<Result<Written, StoreError>> {
    match backend.apply(batch.clone()).await {
        Ok(results) => results,
        Err(error) if batch.len() == 1 => vec![Err(error)],
        Err(_) => {
            let mut results = Vec::with_capacity(batch.len());
            for write in batch.iter() {
                let alone = backend.apply(Arc::new([write.clone()])).await;
                results.push(
                    alone.and_then(|mut one| one.pop().unwrap_or(Err(StoreError::Unavailable("no result".into())))),
                );
            }
            results
        }
    }
}
