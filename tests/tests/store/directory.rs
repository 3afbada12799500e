//! The directory: revision, epochs, keys.

use paquebot_mta::store::*;
use paquebot_mta_api::{
    admin::{BUCKETS, Listed},
    directory::*,
};
use uuid::Uuid;

use super::bench::*;

on_every_store!(
    revisions_grow,
    old_epochs_are_fenced,
    entries_come_back_whole,
    a_stale_base_changes_nothing,
    anothers_name_is_not_taken,
    complete_once_is_complete,
    listings_are_of_what_is_there,
);

fn domain(name: &str) -> Entry {
    let value = Value::Domain(DomainEntry { domain: name.parse().unwrap(), id: Uuid::from_u128(7), catch_all: None });
    Entry::new(Uuid::from_u128(9), value)
}

fn key(secret: &[u8]) -> Entry {
    let value = Value::DkimKey(DkimKeyEntry {
        domain: "example.com".parse().unwrap(),
        selector: "s1".into(),
        algorithm: KeyAlgorithm::Ed25519,
        private_key: PrivateKey(secret.to_vec()),
    });
    Entry::new(Uuid::from_u128(9), value)
}

fn change(epoch: u64, put: Vec<Entry>, delete: &[&str]) -> DirectoryChange {
    let delete = delete.iter().map(|key| (*key).to_owned()).collect();
    DirectoryChange { epoch, put, delete, ..DirectoryChange::default() }
}

fn refused(refusal: DirectoryRefusal) -> Result<u64, DirectoryError> {
    Err(refusal.into())
}

fn owned_by(owner: u128, entry: Entry) -> Entry {
    Entry { owner: Uuid::from_u128(owner), ..entry }
}

fn alias(name: &str) -> Entry {
    let to = vec!["y@elsewhere.example".parse().unwrap()];
    Entry::new(Uuid::from_u128(9), Value::Alias(AliasEntry { address: name.parse().unwrap(), to }))
}

async fn revisions_grow(bench: Bench) {
    let empty = DirectorySet::default();
    assert_eq!(bench.store.directory().await.unwrap(), empty);
    assert_eq!(bench.store.change_directory(change(1, vec![], &[])).await, Ok(1), "an empty set is a revision too");
    assert_eq!(bench.store.change_directory(change(1, vec![domain("example.com")], &[])).await, Ok(2));
    assert_eq!(bench.store.change_directory(change(1, vec![domain("example.com")], &[])).await, Ok(2), "no difference");
    assert_eq!(
        bench.store.change_directory(change(1, vec![domain("example.org")], &["domain/example.com"])).await,
        Ok(3)
    );
    let set = bench.store.directory().await.unwrap();
    assert_eq!(set, DirectorySet { revision: 3, entries: vec![domain("example.org")], ..empty });
    assert_eq!(bench.store.change_directory(change(1, vec![], &["domain/none.example"])).await, Ok(3));
}

async fn old_epochs_are_fenced(bench: Bench) {
    assert_eq!(bench.store.change_directory(change(5, vec![domain("example.com")], &[])).await, Ok(1));
    let old = bench.store.change_directory(change(4, vec![], &["domain/example.com"])).await;
    assert_eq!(old, refused(DirectoryRefusal::Fenced { seen: 5 }));
    assert_eq!(bench.store.directory().await.unwrap().entries.len(), 1);
    assert_eq!(bench.store.change_directory(change(6, vec![], &[])).await, Ok(1));
    let old = bench.store.change_directory(change(5, vec![], &[])).await;
    assert_eq!(old, refused(DirectoryRefusal::Fenced { seen: 6 }));
}

async fn entries_come_back_whole(bench: Bench) {
    let mailbox = Entry::new(
        Uuid::from_u128(3),
        Value::Mailbox(MailboxEntry {
            address: "Jörg@example.com".parse().unwrap(),
            account: Uuid::from_u128(4),
            quota_bytes: Some(1),
            login: None,
        }),
    );
    let put = vec![domain("example.com"), key(b"a very private key"), mailbox];
    bench.store.change_directory(change(1, put.clone(), &[])).await.unwrap();
    let mut back = bench.store.directory().await.unwrap().entries;
    back.sort_by_key(|entry| put.iter().position(|one| one.value.key() == entry.value.key()));
    assert_eq!(back, put);
}

async fn a_stale_base_changes_nothing(bench: Bench) {
    let based = |base, name: &str| DirectoryChange { base: Some(base), ..change(1, vec![domain(name)], &[]) };
    assert_eq!(bench.store.change_directory(based(0, "a.example")).await, Ok(1));
    let moved = refused(DirectoryRefusal::Moved { revision: 1 });
    for base in [0, 2, u64::MAX] {
        let stale = DirectoryChange { epoch: 7, complete: true, ..based(base, "b.example") };
        assert_eq!(bench.store.change_directory(stale).await, moved);
    }
    let listing = bench.store.directory_listing(ListingOf::All).await.unwrap();
    assert_eq!((listing.epoch, listing.revision, listing.complete, listing.entries.len()), (1, 1, false, 1));
    assert_eq!(bench.store.change_directory(based(1, "b.example")).await, Ok(2));
}

async fn anothers_name_is_not_taken(bench: Bench) {
    let (mine, key) = (vec![domain("a.example"), alias("x@a.example")], "domain/a.example");
    bench.store.change_directory(change(1, mine.clone(), &[])).await.unwrap();
    let theirs = owned_by(8, domain("a.example"));
    let owned = |key: &str| refused(DirectoryRefusal::Owned { key: key.into(), owner: Uuid::from_u128(9) });
    // What comes before the refused entry does not happen either.
    let both = vec![owned_by(8, domain("b.example")), theirs.clone()];
    assert_eq!(bench.store.change_directory(change(2, both, &[])).await, owned(key));
    let mailbox = MailboxEntry {
        address: "X@a.example".parse().unwrap(),
        account: Uuid::from_u128(4),
        quota_bytes: None,
        login: None,
    };
    let mailbox = owned_by(8, Entry::new(Uuid::nil(), Value::Mailbox(mailbox)));
    let one_name = bench.store.change_directory(change(2, vec![mailbox.clone()], &[])).await;
    assert_eq!(one_name, owned("alias/x@a.example"));
    assert_eq!(bench.store.directory().await.unwrap().entries.len(), 2);
    assert_eq!(bench.store.change_directory(change(1, vec![], &[])).await, Ok(1), "epoch 2 was not here");
    let freed = change(2, vec![theirs, mailbox], &[key, "alias/x@a.example"]);
    assert_eq!(bench.store.change_directory(freed).await, Ok(2));
    let owners: Vec<_> = bench.store.directory().await.unwrap().entries.iter().map(|it| it.owner.as_u128()).collect();
    assert_eq!(owners, [8, 8]);
}

async fn complete_once_is_complete(bench: Bench) {
    let whole = |revision, complete| (revision, complete);
    let state = async || {
        let set = bench.store.directory().await.unwrap();
        (set.revision, set.complete)
    };
    assert_eq!(state().await, whole(0, false));
    bench.store.change_directory(change(1, vec![domain("a.example")], &[])).await.unwrap();
    assert_eq!(state().await, whole(1, false));
    bench.store.change_directory(DirectoryChange { complete: true, ..change(1, vec![], &[]) }).await.unwrap();
    assert_eq!(state().await, whole(2, true), "others notice by the revision");
    bench.store.change_directory(change(1, vec![domain("b.example")], &[])).await.unwrap();
    assert_eq!(state().await, whole(3, true));
    bench.store.change_directory(DirectoryChange { complete: true, ..change(1, vec![], &[]) }).await.unwrap();
    assert_eq!(state().await, whole(3, true));
}

async fn listings_are_of_what_is_there(bench: Bench) {
    let put: Vec<_> = (0..300).map(|number| domain(&format!("d{number}.example"))).chain([key(b"secret")]).collect();
    bench.store.change_directory(change(4, put.clone(), &[])).await.unwrap();
    let all = bench.store.directory_listing(ListingOf::All).await.unwrap();
    assert_eq!((all.epoch, all.revision), (4, 1));
    let listed = |it: &Entry| Listed { key: it.value.key(), owner: it.owner, digest: it.digest };
    let mut wanted: Vec<_> = put.iter().map(listed).collect();
    wanted.sort();
    assert_eq!(all.entries, wanted);
    let domains = bench.store.directory_listing(ListingOf::Domains).await.unwrap();
    assert_eq!(domains.entries, wanted.iter().filter(|it| it.key.starts_with("domain/")).cloned().collect::<Vec<_>>());
    let mut parts = Vec::new();
    for bucket in 0..BUCKETS {
        parts.extend(bench.store.directory_listing(ListingOf::Bucket(bucket)).await.unwrap().entries);
    }
    parts.sort();
    assert_eq!(parts, wanted);
}
