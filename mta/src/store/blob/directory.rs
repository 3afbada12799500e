//! Blobs as files: written aside, synced, renamed, the folder synced; 256 folders by the id's last octet
//! (the first ones of a UUIDv7 are the time and would fill one folder after the other).

use std::{
    fs, io,
    ops::Range,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{BlobWriter, Blobs};
use crate::{message::MessageId, store::types::StoreError};

/// Octets of one read at most.
pub const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Octets that a writer gathers before it writes.
const GATHER_BYTES: usize = 256 * 1024;
const FOLDERS: u16 = 256;
/// What a file is called until it is whole.
const UNFINISHED: &str = "part";

/// Blobs in a directory.
#[derive(Debug)]
pub struct DirectoryBlobs {
    root: Arc<Path>,
}

impl DirectoryBlobs {
    /// Blobs in this directory, made if absent (0700).
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        (0..FOLDERS)
            .try_for_each(|folder| builder.create(root.join(format!("{folder:02x}"))))
            .and_then(|()| fs::File::open(root)?.sync_all())
            .map_err(fault)?;
        Ok(Self { root: root.into() })
    }

    /// Removes what a former process left unfinished, at once; and, on a thread of its own, blobs of which
    /// `has_message` knows nothing. Call it before anything is written: only what is there now is looked at.
    pub(in crate::store) fn sweep(
        &self,
        has_message: impl Fn(MessageId) -> Result<bool, StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let found = self.list().map_err(fault)?;
        let orphans = move || {
            for (id, path) in found {
                if matches!(has_message(id), Ok(false)) {
                    let _ = fs::remove_file(path);
                }
            }
        };
        std::thread::Builder::new().name("store-blobs".into()).spawn(orphans).map(drop).map_err(fault)
    }

    fn list(&self) -> io::Result<Vec<(MessageId, PathBuf)>> {
        let mut found = Vec::new();
        for folder in 0..FOLDERS {
            for file in fs::read_dir(self.root.join(format!("{folder:02x}")))? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                    fs::remove_file(&path)?;
                } else if let Some(id) = path.file_name().and_then(|name| Uuid::try_parse(name.to_str()?).ok()) {
                    found.push((MessageId(id), path));
                }
            }
        }
        Ok(found)
    }

    fn path(&self, id: MessageId) -> PathBuf {
        let [.., last] = id.0.as_bytes();
        self.root.join(format!("{last:02x}")).join(id.to_string())
    }
}

impl Blobs for DirectoryBlobs {
    fn create(&self, id: MessageId) -> BoxFuture<'_, Result<Box<dyn BlobWriter>, StoreError>> {
        let path = self.path(id);
        async move {
            let aside = path.with_extension(UNFINISHED);
            let opened = aside.clone();
            let file =
                blocking(move || fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(opened)).await?;
            let unfinished = Unfinished { aside, path, renamed: false };
            let writing = Writing { file: Arc::new(file), gathered: Vec::new(), broken: false, unfinished };
            Ok(Box::new(writing) as Box<dyn BlobWriter>)
        }
        .boxed()
    }

    fn read(&self, id: MessageId, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        let path = self.path(id);
        let read = move || {
            let file = fs::File::open(path)?;
            let end = range.end.min(file.metadata()?.len());
            let start = range.start.min(end);
            let length = (end - start).min(READ_BYTES_MAX);
            let mut octets = vec![0; usize::try_from(length).unwrap_or(0)];
            file.read_exact_at(&mut octets, start)?;
            Ok::<_, io::Error>(Bytes::from(octets))
        };
        async move {
            match spawn_blocking(read).await.map_err(ended)? {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(StoreError::Corrupt(format!("the body of {id} is gone")))
                }
                other => other.map_err(fault),
            }
        }
        .boxed()
    }

    fn remove(&self, id: MessageId) -> BoxFuture<'_, Result<(), StoreError>> {
        let path = self.path(id);
        let remove = move || match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        blocking(remove).boxed()
    }
}

/// A file that goes unless it was renamed.
struct Unfinished {
    aside: PathBuf,
    path: PathBuf,
    renamed: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.aside);
        }
    }
}

struct Writing {
    file: Arc<fs::File>,
    gathered: Vec<u8>,
    /// A write was begun and not seen to end.
    broken: bool,
    unfinished: Unfinished,
}

impl BlobWriter for Writing {
    fn write(&mut self, octets: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.gathered.extend_from_slice(&octets);
            if self.gathered.len() < GATHER_BYTES {
                return Ok(());
            }
            if std::mem::replace(&mut self.broken, true) {
                return Err(unknown());
            }
            let (file, gathered) = (self.file.clone(), std::mem::take(&mut self.gathered));
            blocking(move || io::Write::write_all(&mut &*file, &gathered)).await?;
            self.broken = false;
            Ok(())
        }
        .boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        let Self { file, gathered, broken, mut unfinished } = *self;
        if broken {
            return async { Err(unknown()) }.boxed();
        }
        let finish = move || {
            io::Write::write_all(&mut &*file, &gathered)?;
            file.sync_all()?;
            fs::rename(&unfinished.aside, &unfinished.path)?;
            unfinished.renamed = true;
            let folder = unfinished.path.parent().ok_or_else(|| io::Error::other("no folder"))?;
            fs::File::open(folder)?.sync_all()
        };
        blocking(finish).boxed()
    }
}

/// After a write that failed or was cancelled nobody knows what the file holds.
fn unknown() -> StoreError {
    StoreError::Unavailable("the body was not written whole".into())
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, StoreError> {
    spawn_blocking(act).await.map_err(ended)?.map_err(fault)
}

fn ended(error: tokio::task::JoinError) -> StoreError {
    StoreError::Unavailable(format!("the blob store did not end its work: {error}"))
}

fn fault(error: io::Error) -> StoreError {
    let text = format!("the blob store: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::Full(text)
        }
        _ => StoreError::Unavailable(text),
    }
}
