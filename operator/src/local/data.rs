//! The data directory of local mode: what is in it, and who may read it (its owner only).
//!
//! Every file is written whole or not at all. One process at a time works on it, held by a lock on `paquebot.lock`.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// The directory: its owner only.
pub const DIRECTORY_MODE: u32 = 0o700;
/// Its files: its owner only.
pub const FILE_MODE: u32 = 0o600;
/// A Unix socket's path has 108 octets at most, the last one zero (unix(7)).
const SOCKET_PATH_OCTETS_MAX: usize = 107;
/// None of the files that are read whole is larger.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Marks a directory as ours, and holds the lock.
const LOCK: &str = "paquebot.lock";

/// What is wrong with the data directory.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Another process works on it.
    #[error("{0} is in use by another paquebot: stop that one, or give another directory with --data")]
    InUse(PathBuf),
    /// It has files that are not ours.
    #[error("{0} has other files in it: give an empty or a new directory with --data")]
    NotOurs(PathBuf),
    /// The socket in it could not be named.
    #[error(
        "{path} is too long for a Unix socket ({octets} octets, {SOCKET_PATH_OCTETS_MAX} at most): give a shorter --data"
    )]
    TooLong {
        /// The socket's path.
        path: PathBuf,
        /// Its length.
        octets: usize,
    },
    /// The file system said no.
    #[error("{path}: {source}; make it readable and writable for this user, or give another directory with --data")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A file is there but cannot be what it should be.
    #[error("{path} cannot be read: {reason}; restore it, or move it away to have a new one made")]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl DataError {
    /// A fault of the file system at this path.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// A file that cannot be what it should be.
    pub fn broken(path: &Path, reason: impl ToString) -> Self {
        Self::Broken { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// The data directory, held by this process until dropped.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Opens it; makes it where it is not there.
    pub fn open(root: &Path) -> Result<Self, DataError> {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(root).map_err(DataError::io(root))?;
        let root = root.canonicalize().map_err(DataError::io(root))?;
        let octets = socket(&root).as_os_str().len();
        if octets > SOCKET_PATH_OCTETS_MAX {
            return Err(DataError::TooLong { path: socket(&root), octets });
        }
        let lock = root.join(LOCK);
        if !lock.exists() && fs::read_dir(&root).map_err(DataError::io(&root))?.next().is_some() {
            return Err(DataError::NotOurs(root));
        }
        fs::set_permissions(&root, Permissions::from_mode(DIRECTORY_MODE)).map_err(DataError::io(&root))?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(&lock)
            .map_err(DataError::io(&lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { root, _lock: file }),
            Err(TryLockError::WouldBlock) => Err(DataError::InUse(root)),
            Err(TryLockError::Error(error)) => Err(DataError::io(&lock)(error)),
        }
    }

    /// The directory itself, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where `queue` and `trace` ask.
    pub fn socket(&self) -> PathBuf {
        socket(&self.root)
    }

    /// Where the mail lies.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The key that seals DKIM keys in the store; the MTA makes it.
    pub fn seal_key(&self) -> PathBuf {
        self.root.join("seal.key")
    }

    /// The generated passwords.
    pub fn passwords(&self) -> PathBuf {
        self.root.join("passwords")
    }

    /// 32 random octets of this name, made at the first call.
    pub fn secret(&self, name: &str) -> Result<[u8; 32], DataError> {
        let path = self.root.join(name);
        if let Some(octets) = read(&path)? {
            return octets.try_into().map_err(|_| DataError::broken(&path, "it must have 32 octets"));
        }
        let mut octets = [0; 32];
        aws_lc_rs::rand::fill(&mut octets)
            .map_err(|_| DataError::broken(&path, "no random numbers from the system"))?;
        write(&path, &octets)?;
        Ok(octets)
    }
}

/// The socket for `queue` and `trace` in a data directory that another process holds.
pub fn socket(root: &Path) -> PathBuf {
    root.join("mta.sock")
}

/// A file, whole; `None` where it is not there.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, DataError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataError::io(path)(error)),
    };
    let mut octets = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut octets).map_err(DataError::io(path))?;
    if octets.len() as u64 > FILE_BYTES_MAX {
        return Err(DataError::broken(path, format!("more than {FILE_BYTES_MAX} octets")));
    }
    Ok(Some(octets))
}

/// Writes a file that only its owner reads: whole and synced, or not at all.
pub fn write(path: &Path, octets: &[u8]) -> Result<(), DataError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(parent).map_err(DataError::io(parent))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = parent.join(format!(".{name}.{}", Uuid::now_v7().simple()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&draft)?;
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(parent)?.sync_all()
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&draft);
        DataError::io(path)(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_its_owner_reads_it() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("a/b");
        let data = DataDir::open(&root).unwrap();
        let secret = data.secret("x.key").unwrap();
        assert_eq!(secret, data.secret("x.key").unwrap(), "made once");
        write(&data.root().join("dkim").join("example.com/s.pem"), b"x").unwrap();
        assert_eq!(mode(&root), 0o700);
        assert_eq!(mode(&data.root().join("dkim")), 0o700);
        for file in ["paquebot.lock", "x.key", "dkim/example.com/s.pem"] {
            assert_eq!(mode(&root.join(file)), 0o600, "{file}");
        }
        assert_eq!(fs::read_dir(root.join("dkim/example.com")).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_wide_directory_is_narrowed() {
        let base = tempfile::tempdir().unwrap();
        fs::set_permissions(base.path(), Permissions::from_mode(0o755)).unwrap();
        let _data = DataDir::open(base.path()).unwrap();
        assert_eq!(mode(base.path()), 0o700);
    }

    #[test]
    fn one_process_at_a_time() {
        let base = tempfile::tempdir().unwrap();
        let first = DataDir::open(base.path()).unwrap();
        assert!(matches!(DataDir::open(base.path()), Err(DataError::InUse(_))));
        drop(first);
        DataDir::open(base.path()).unwrap();
    }

    #[test]
    fn other_peoples_directories_are_left_alone() {
        let base = tempfile::tempdir().unwrap();
        fs::set_permissions(base.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(base.path().join("thesis.txt"), "x").unwrap();
        assert!(matches!(DataDir::open(base.path()), Err(DataError::NotOurs(_))));
        assert_eq!(mode(base.path()), 0o755);
    }

    #[test]
    fn too_long_for_a_socket_and_broken_files() {
        let base = tempfile::tempdir().unwrap();
        assert!(matches!(DataDir::open(&base.path().join("x".repeat(100))), Err(DataError::TooLong { .. })));
        let data = DataDir::open(&base.path().join("d")).unwrap();
        fs::write(data.root().join("short.key"), b"abc").unwrap();
        assert!(matches!(data.secret("short.key"), Err(DataError::Broken { .. })));
        fs::write(data.root().join("a-file"), b"").unwrap();
        assert!(matches!(DataDir::open(&data.root().join("a-file")), Err(DataError::Io { .. })));
    }
}
