//! Opens the data directory: its lock, its files' modes, pragmas, the schema's version.

use std::{
    fs,
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, FileControl, OpenFlags};

use super::{error, sql};
use crate::store::types::StoreError;

/// How long a connection waits for another one's lock; the writer, for readers to leave the log that starts anew.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
/// Statements that each connection keeps prepared; more than there are.
const STATEMENTS_KEPT: usize = 128;
/// Page cache of the writer.
const WRITER_CACHE_KIB: i64 = 32 * 1024;
/// Page cache of a reader.
const READER_CACHE_KIB: i64 = 4 * 1024;
/// The write-ahead log is laid out so large at the start, half as much again as it has when it is copied:
/// to sync an overwrite is cheaper than to sync a file that grew.
const WAL_BYTES: u64 = 12 * 1024 * 1024;
/// "PAQB": the file is one of ours.
const APPLICATION_ID: i64 = 0x5041_5142;

/// Forward only: each is applied once, in this order, and never changes once released.
const MIGRATIONS: [&str; 2] = [include_str!("schema/001_start.sql"), include_str!("schema/002_directory_complete.sql")];

/// The data directory, held by this process only.
pub(super) struct Directory {
    path: PathBuf,
    database: PathBuf,
    _lock: fs::File,
}

impl Directory {
    /// Takes the directory, made if absent (0700).
    pub fn take(path: &Path) -> Result<Arc<Self>, StoreError> {
        let failed = |error: io::Error| {
            StoreError::Unavailable(format!("the data directory {} cannot be used: {error}", path.display()))
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let private = |name: &str| {
            let path = path.join(name);
            fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
        };
        let lock = private("lock").map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(StoreError::Conflict(format!(
                    "another process uses the data directory {}: stop it, or choose another directory",
                    path.display()
                )));
            }
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        private("store.sqlite").map_err(failed)?;
        Ok(Arc::new(Self { path: path.to_owned(), database: path.join("store.sqlite"), _lock: lock }))
    }

    /// The names of the files are on disk when this returns; the directory's own too, where its parent is ours to sync.
    pub fn sync(&self) -> Result<(), StoreError> {
        let sync = |path: &Path| fs::File::open(path)?.sync_all();
        if let Some(parent) = self.path.canonicalize().ok().as_deref().and_then(Path::parent) {
            let _ = sync(parent);
        }
        sync(&self.path)
            .map_err(|error| StoreError::Unavailable(format!("the data directory cannot be synced: {error}")))
    }

    /// The connection that writes; brings the schema up to date.
    pub fn writer(&self, pages_max: Option<u32>) -> Result<Connection, StoreError> {
        let mut conn = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE_KIB)?;
        persist_wal(&conn).map_err(error::of)?;
        migrate(&mut conn)?;
        if let Some(pages) = pages_max {
            conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(error::of)?;
        }
        // The directory is ours alone: whoever held anything is dead, whatever the clock says.
        conn.execute_batch(sql::INCARNATION_END_ALL)
            .and_then(|()| conn.execute_batch(sql::LEASE_GIVE_ALL))
            .and_then(|()| conn.execute_batch(sql::RECIPIENT_FREE_ALL))
            .map_err(error::of)?;
        self.lay_out_wal().map_err(|error| StoreError::Full(format!("the write-ahead log: {error}")))?;
        Ok(conn)
    }

    /// A connection that copies the write-ahead log into the database.
    pub fn checkpointer(&self) -> Result<Connection, StoreError> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE, READER_CACHE_KIB)
    }

    /// A connection that only reads.
    pub fn reader(&self) -> Result<Connection, StoreError> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)
    }

    fn connect(&self, flags: OpenFlags, cache_kib: i64) -> Result<Connection, StoreError> {
        let open = || {
            let conn = Connection::open_with_flags(&self.database, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            conn.busy_timeout(BUSY_TIMEOUT)?;
            conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
            conn.pragma_update(None, "foreign_keys", false)?;
            conn.pragma_update(None, "temp_store", "memory")?;
            conn.pragma_update(None, "cache_size", -cache_kib)?;
            conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
            if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
                conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
                // The log keeps its size, and each commit is synced before anybody is told.
                conn.pragma_update_and_check(None, "journal_size_limit", -1, |_| Ok(()))?;
                conn.pragma_update(None, "synchronous", "full")?;
            }
            Ok(conn)
        };
        open().map_err(error::of)
    }

    /// Zeros after the log's end: no valid frame, so SQLite stops there when it recovers.
    fn lay_out_wal(&self) -> io::Result<()> {
        let path = self.database.with_extension("sqlite-wal");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let zeros = vec![0; 1 << 20];
        let mut length = file.seek(SeekFrom::End(0))?;
        if length >= WAL_BYTES {
            return Ok(());
        }
        while length < WAL_BYTES {
            length += file.write(&zeros)? as u64;
        }
        file.sync_all()
    }
}

/// The log stays when the last connection closes.
fn persist_wal(conn: &Connection) -> rusqlite::Result<()> {
    let mut on = 1;
    conn.file_control(None::<&str>, FileControl::PersistWal(&mut on))
}

fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let pragma = |conn: &Connection, name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let version = pragma(conn, "user_version").map_err(error::of)?;
    let owner = pragma(conn, "application_id").map_err(error::of)?;
    if owner != APPLICATION_ID && (owner != 0 || version != 0) {
        return Err(StoreError::Corrupt("store.sqlite is another program's database: move it away".into()));
    }
    let newest = MIGRATIONS.len() as i64;
    if version > newest {
        return Err(StoreError::Conflict(format!(
            "the store's schema is version {version}, this program knows {newest}: start a newer program"
        )));
    }
    for (number, step) in (1_i64..).zip(MIGRATIONS).filter(|(number, _)| *number > version) {
        let apply = |conn: &mut Connection| {
            let transaction = conn.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()
        };
        apply(conn).map_err(error::of)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(folder: &Path) -> Result<Connection, StoreError> {
        Directory::take(folder)?.writer(None)
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        opened(folder.path()).unwrap().pragma_update(None, "user_version", MIGRATIONS.len() as i64 + 1).unwrap();
        let Err(StoreError::Conflict(why)) = opened(folder.path()) else { panic!("a newer schema was opened") };
        assert!(why.contains("start a newer program"), "{why}");
    }

    #[test]
    fn another_programs_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let other = Connection::open(folder.path().join("store.sqlite")).unwrap();
        other.execute_batch("PRAGMA user_version = 3; CREATE TABLE theirs (x);").unwrap();
        drop(other);
        assert!(matches!(opened(folder.path()), Err(StoreError::Corrupt(_))));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("store.sqlite"), vec![b'x'; 8192]).unwrap();
        assert!(matches!(opened(folder.path()), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn a_store_from_before_counts_as_complete_and_its_entries_as_to_be_written_again() {
        for (revision, complete) in [(0_i64, false), (3, true)] {
            let folder = tempfile::tempdir().unwrap();
            let old = Connection::open(folder.path().join("store.sqlite")).unwrap();
            old.execute_batch(MIGRATIONS[0]).unwrap();
            old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            old.pragma_update(None, "user_version", 1).unwrap();
            old.execute("UPDATE directory_state SET epoch = 1, revision = ?1", [revision]).unwrap();
            let owner = uuid::Uuid::from_u128(9);
            let entry = format!(
                r#"{{"owner":"{owner}","value":{{"domain":{{"domain":"a.example","id":"{owner}","catchAll":null}}}}}}"#
            );
            let row = rusqlite::params!["domain/a.example", owner.as_bytes(), [1_u8; 32], entry];
            old.execute("INSERT INTO directory_entry (key, owner, digest, entry) VALUES (?1, ?2, ?3, ?4)", row)
                .unwrap();
            old.execute("INSERT INTO directory_entry (key, owner, digest, entry) VALUES ('b', x'00', x'00', 'no')", [])
                .unwrap();
            drop(old);
            let seal = crate::store::SealKey::new(&[7; 32]).unwrap();
            let conn = opened(folder.path()).unwrap();
            let set = super::super::read::directory(&conn, &seal).unwrap();
            assert_eq!((set.revision.cast_signed(), set.complete), (revision, complete));
            assert_eq!(set.unreadable, ["b"]);
            let [entry] = &set.entries[..] else { panic!("{set:?}") };
            assert_eq!((entry.value.key().as_str(), entry.owner), ("domain/a.example", owner));
            assert_eq!(entry.digest, paquebot_mta_api::directory::Digest::default());
        }
    }

    #[test]
    fn commits_are_synced() {
        let folder = tempfile::tempdir().unwrap();
        let conn = opened(folder.path()).unwrap();
        let pragma = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((pragma("synchronous"), pragma("wal_autocheckpoint")), (2, 0));
        let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        let wal = fs::metadata(folder.path().join("store.sqlite-wal")).unwrap();
        assert!(wal.len() >= WAL_BYTES);
    }
}
