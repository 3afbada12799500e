//! How a directory entry lies in its row, and whether the row still is what was written: somebody may have edited it by
//! hand, or the seal key may be another. Reading never fails: what cannot be read is said to be so.

use aws_lc_rs::digest;
use paquebot_mta_api::{
    admin::Listed,
    directory::{Digest, Entry, PrivateKey, Value},
};
use rusqlite::{Row, types::ValueRef};
use uuid::Uuid;

use crate::store::{seal::SealKey, types::StoreError};

/// A row as it lies there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EntryRow {
    pub key: String,
    pub owner: Vec<u8>,
    /// The mailbox's account.
    pub account: Option<Vec<u8>>,
    /// Over all the others, the private key opened.
    pub digest: Vec<u8>,
    /// JSON without the private key.
    pub entry: String,
    pub sealed: Option<Vec<u8>>,
}

impl EntryRow {
    /// The key of a row of `directory_list.sql`.
    pub fn key_of(row: &Row<'_>) -> String {
        text(row, 0)
    }

    /// A row of `directory_list.sql`, whatever is in it.
    pub fn read(row: &Row<'_>) -> Self {
        Self {
            key: Self::key_of(row),
            owner: octets(row, 1).unwrap_or_default(),
            account: octets(row, 2),
            digest: octets(row, 3).unwrap_or_default(),
            entry: text(row, 4),
            sealed: octets(row, 5),
        }
    }

    /// The row of an entry.
    pub fn of(entry: &Entry, seal: &SealKey) -> Result<Self, StoreError> {
        let key = entry.value.key();
        let mut bare = entry.clone();
        let mut secret = None;
        if let Value::DkimKey(dkim) = &mut bare.value {
            secret = Some(std::mem::replace(&mut dkim.private_key, PrivateKey(Vec::new())));
        }
        let sealed = match (&bare.value, &secret) {
            (Value::DkimKey(dkim), Some(secret)) => Some(seal.seal(dkim.domain.as_str(), &dkim.selector, &secret.0)?),
            _ => None,
        };
        let json = serde_json::to_string(&bare).map_err(|error| StoreError::Conflict(format!("{key}: {error}")))?;
        let account = match &entry.value {
            Value::Mailbox(mailbox) => Some(mailbox.account.as_bytes().to_vec()),
            _ => None,
        };
        let owner = entry.owner.as_bytes().to_vec();
        let mut row = Self { key, owner, account, digest: Vec::new(), entry: json, sealed };
        row.digest = row.covering(secret.as_ref());
        Ok(row)
    }

    /// As it is listed, and the entry where it can be read.
    pub fn open(&self, seal: &SealKey) -> (Listed, Option<Entry>) {
        let entry = self.parse(seal);
        let intact = entry.as_ref().is_some_and(|entry| self.is_intact(entry));
        let digest = entry.as_ref().filter(|_| intact).map(|entry| entry.digest).unwrap_or_default();
        let owner = Uuid::from_slice(&self.owner).unwrap_or_default();
        (Listed { key: self.key.clone(), owner, digest }, entry)
    }

    /// Whether it says the same, and can be read: each sealing gives other octets.
    pub fn is_same(&self, other: &Self, seal: &SealKey) -> bool {
        self.digest == other.digest && self.open(seal).0.digest == other.open(seal).0.digest
    }

    /// Under another key than its own it would stand for another name: it cannot be read then.
    fn parse(&self, seal: &SealKey) -> Option<Entry> {
        let mut entry: Entry = serde_json::from_str(&self.entry).ok()?;
        if let Value::DkimKey(dkim) = &mut entry.value {
            let sealed = self.sealed.as_ref()?;
            dkim.private_key = PrivateKey(seal.open(dkim.domain.as_str(), &dkim.selector, sealed).ok()?);
        }
        (entry.value.key() == self.key).then_some(entry)
    }

    fn is_intact(&self, entry: &Entry) -> bool {
        let secret = match &entry.value {
            Value::DkimKey(dkim) => Some(&dkim.private_key),
            _ => None,
        };
        entry.owner.as_bytes().as_slice() == self.owner && self.covering(secret) == self.digest
    }

    /// The digest over the row: no part runs into the next, since neither keys nor JSON have a NUL.
    fn covering(&self, secret: Option<&PrivateKey>) -> Vec<u8> {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [self.key.as_bytes(), b"\0", &self.owner, self.account.as_deref().unwrap_or(b"-"), b"\0"] {
            context.update(part);
        }
        context.update(self.entry.as_bytes());
        context.update(b"\0");
        context.update(secret.map_or(&[], |secret| secret.0.as_slice()));
        Digest::from(context.finish()).0.to_vec()
    }
}

fn octets(row: &Row<'_>, column: usize) -> Option<Vec<u8>> {
    match row.get_ref(column).ok()? {
        ValueRef::Blob(octets) | ValueRef::Text(octets) => Some(octets.to_vec()),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => None,
    }
}

fn text(row: &Row<'_>, column: usize) -> String {
    octets(row, column).map_or_else(String::new, |octets| String::from_utf8_lossy(&octets).into_owned())
}

#[cfg(test)]
mod tests {
    use paquebot_mta_api::{
        admin,
        directory::{AliasEntry, DkimKeyEntry, DomainEntry, KeyAlgorithm},
    };
    use rusqlite::Connection;

    use crate::store::{DirectoryChange, DirectoryListing, ListingOf, Sqlite, Store};

    use super::*;

    const OWNER: Uuid = Uuid::from_u128(9);

    fn entries() -> Vec<Entry> {
        let domain = || "a.example".parse().unwrap();
        let key = DkimKeyEntry {
            domain: domain(),
            selector: "s".into(),
            algorithm: KeyAlgorithm::Ed25519,
            private_key: PrivateKey(b"a private key".to_vec()),
        };
        let alias = AliasEntry { address: "x@a.example".parse().unwrap(), to: vec!["y@b.example".parse().unwrap()] };
        let domain = DomainEntry { domain: domain(), id: OWNER, catch_all: None };
        // By ascending key, as they are read.
        let values = [Value::Alias(alias), Value::DkimKey(key), Value::Domain(domain)];
        values.into_iter().map(|value| Entry::new(OWNER, value)).collect()
    }

    fn put() -> DirectoryChange {
        DirectoryChange { epoch: 1, put: entries(), complete: true, ..DirectoryChange::default() }
    }

    async fn open(folder: &std::path::Path, seal: u8) -> Store {
        // The store before it ends in its own time.
        loop {
            if let Ok((backend, blobs)) = Sqlite::open(folder, SealKey::new(&[seal; 32]).unwrap()) {
                return Store::new(backend, blobs);
            }
            tokio::task::yield_now().await;
        }
    }

    async fn listed(store: &Store) -> DirectoryListing {
        store.directory_listing(ListingOf::All).await.unwrap()
    }

    /// Whatever is edited by hand, is seen, harms nothing else, and is mended by writing the same again.
    #[tokio::test]
    async fn edits_by_hand_are_seen_and_mended() {
        for (edit, unreadable) in [
            ("UPDATE directory_entry SET entry = replace(entry, 'y@b.example', 'z@b.example')", 0),
            ("UPDATE directory_entry SET entry = replace(entry, 'x@a.example', 'z@a.example')", 1),
            ("UPDATE directory_entry SET entry = 'nonsense'", 1),
            ("UPDATE directory_entry SET entry = x'ff00'", 1),
            ("UPDATE directory_entry SET entry = 12", 1),
            ("UPDATE directory_entry SET digest = x'00'", 0),
            ("UPDATE directory_entry SET digest = 'text'", 0),
            ("UPDATE directory_entry SET account = x'00'", 0),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let store = open(folder.path(), 7).await;
            store.change_directory(put()).await.unwrap();
            let before = listed(&store).await;
            let hand = Connection::open(folder.path().join("store.sqlite")).unwrap();
            assert_eq!(hand.execute(&format!("{edit} WHERE key = 'alias/x@a.example'"), []).unwrap(), 1);
            let after = listed(&store).await;
            assert_eq!(after.entries[0].digest, Digest::default(), "{edit}");
            assert_eq!(after.entries[1..], before.entries[1..], "{edit}");
            let set = store.directory().await.unwrap();
            assert_eq!((set.entries.len(), set.unreadable.len()), (3 - unreadable, unreadable), "{edit}");
            assert_eq!(store.change_directory(put()).await, Ok(2), "{edit}");
            assert_eq!(listed(&store).await.entries, before.entries, "{edit}");
            assert_eq!(store.directory().await.unwrap().entries, entries(), "{edit}");
            assert_eq!(store.change_directory(put()).await, Ok(2), "{edit}: no difference");
        }
    }

    #[tokio::test]
    async fn an_owner_edited_by_hand_is_in_the_way_until_the_key_is_deleted() {
        for owner in ["x'00'", "NULL", "zeroblob(16)", "'0123456789abcdef'"] {
            let folder = tempfile::tempdir().unwrap();
            let store = open(folder.path(), 7).await;
            store.change_directory(put()).await.unwrap();
            let hand = Connection::open(folder.path().join("store.sqlite")).unwrap();
            let edit = format!("UPDATE directory_entry SET owner = {owner} WHERE key = 'domain/a.example'");
            // NULL is forbidden by the schema.
            if hand.execute(&edit, []).is_err() {
                assert_eq!(owner, "NULL");
                continue;
            }
            let entry = listed(&store).await.entries.pop().unwrap();
            assert_eq!(entry.digest, Digest::default(), "{owner}");
            assert_ne!(entry.owner, OWNER, "{owner}");
            assert!(store.change_directory(put()).await.is_err(), "{owner}");
            let delete = vec!["domain/a.example".to_owned()];
            store.change_directory(DirectoryChange { delete, ..put() }).await.unwrap();
            assert_eq!(store.directory().await.unwrap().entries, entries(), "{owner}");
        }
    }

    #[tokio::test]
    async fn with_another_seal_key_only_private_keys_are_to_be_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), 7).await;
        store.change_directory(put()).await.unwrap();
        let before = admin::root(&admin::bucket_digests(listed(&store).await.entries));
        drop(store);
        let store = open(folder.path(), 8).await;
        let set = store.directory().await.unwrap();
        assert_eq!((set.entries.len(), &set.unreadable[..]), (2, &["dkim/a.example/s".to_owned()][..]));
        store.change_directory(put()).await.unwrap();
        assert_eq!(admin::root(&admin::bucket_digests(listed(&store).await.entries)), before);
    }
}
