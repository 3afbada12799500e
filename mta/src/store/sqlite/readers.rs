//! A few connections that only read, on blocking threads. Readers never wait for the writer, nor it for them.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::open::Directory;
use crate::store::types::StoreError;

/// Reads at one time.
pub const READERS: usize = 4;

/// The pool.
#[derive(Clone)]
pub(super) struct Readers {
    free: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
    directory: Arc<Directory>,
}

impl Readers {
    pub fn open(directory: Arc<Directory>) -> Result<Self, StoreError> {
        let idle = (0..READERS).map(|_| directory.reader()).collect::<Result<_, _>>()?;
        Ok(Self { free: Arc::new(Semaphore::new(READERS)), idle: Arc::new(Mutex::new(idle)), directory })
    }

    /// Reads with one of them. No transaction outlives `read`.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended = |_| StoreError::Unavailable("the store is closing".into());
        let permit = self.free.clone().acquire_owned().await.map_err(ended)?;
        let pool = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let idle = || pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
            // A panic in `read` loses its connection only.
            let conn = idle().pop();
            let conn = conn.map_or_else(|| pool.directory.reader(), Ok)?;
            let result = read(&conn);
            idle().push(conn);
            drop(permit);
            result
        });
        task.await.map_err(|error| StoreError::Unavailable(format!("a read did not end: {error}")))?
    }
}
