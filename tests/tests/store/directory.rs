//! The directory: revision, epochs, keys.

use paquebot_mta::store::*;
use paquebot_mta_api::directory::*;
use uuid::Uuid;

use super::bench::*;

on_every_store!(revisions_grow, old_epochs_are_fenced, entries_come_back_whole);

fn domain(name: &str) -> Entry {
    let value = Value::Domain(DomainEntry { domain: name.parse().unwrap(), id: Uuid::from_u128(7), catch_all: None });
    Entry { owner: Uuid::from_u128(9), value }
}

fn key(secret: &[u8]) -> Entry {
    let value = Value::DkimKey(DkimKeyEntry {
        domain: "example.com".parse().unwrap(),
        selector: "s1".into(),
        algorithm: KeyAlgorithm::Ed25519,
        private_key: PrivateKey(secret.to_vec()),
    });
    Entry { owner: Uuid::from_u128(9), value }
}

fn change(epoch: u64, put: Vec<Entry>, delete: &[&str]) -> DirectoryChange {
    DirectoryChange { epoch, put, delete: delete.iter().map(|key| (*key).to_owned()).collect() }
}

async fn revisions_grow(bench: Bench) {
    let empty = DirectorySet { revision: 0, entries: vec![] };
    assert_eq!(bench.store.directory().await.unwrap(), empty);
    assert_eq!(bench.store.change_directory(change(1, vec![], &[])).await, Ok(1), "an empty set is a revision too");
    assert_eq!(bench.store.change_directory(change(1, vec![domain("example.com")], &[])).await, Ok(2));
    assert_eq!(bench.store.change_directory(change(1, vec![domain("example.com")], &[])).await, Ok(2), "no difference");
    assert_eq!(
        bench.store.change_directory(change(1, vec![domain("example.org")], &["domain/example.com"])).await,
        Ok(3)
    );
    let set = bench.store.directory().await.unwrap();
    assert_eq!(set, DirectorySet { revision: 3, entries: vec![domain("example.org")] });
    assert_eq!(bench.store.change_directory(change(1, vec![], &["domain/none.example"])).await, Ok(3));
}

async fn old_epochs_are_fenced(bench: Bench) {
    assert_eq!(bench.store.change_directory(change(5, vec![domain("example.com")], &[])).await, Ok(1));
    let old = bench.store.change_directory(change(4, vec![], &["domain/example.com"])).await;
    assert_eq!(old, Err(StoreError::Fenced));
    assert_eq!(bench.store.directory().await.unwrap().entries.len(), 1);
    assert_eq!(bench.store.change_directory(change(6, vec![], &[])).await, Ok(1));
    assert_eq!(bench.store.change_directory(change(5, vec![], &[])).await, Err(StoreError::Fenced));
}

async fn entries_come_back_whole(bench: Bench) {
    let mailbox = Entry {
        owner: Uuid::from_u128(3),
        value: Value::Mailbox(MailboxEntry {
            address: "Jörg@example.com".parse().unwrap(),
            account: Uuid::from_u128(4),
            quota_bytes: Some(1),
            login: None,
        }),
    };
    let put = vec![domain("example.com"), key(b"a very private key"), mailbox];
    bench.store.change_directory(change(1, put.clone(), &[])).await.unwrap();
    let mut back = bench.store.directory().await.unwrap().entries;
    back.sort_by_key(|entry| put.iter().position(|one| one.value.key() == entry.value.key()));
    assert_eq!(back, put);
}
