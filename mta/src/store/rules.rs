//! Decisions that every backend makes alike: shards, retention, mailbox names, a copy's own fields, whose a name in the
//! directory is.
//! Plain values in, plain values out; no clock, no disk.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use bytes::Bytes;
use paquebot_mta_api::{
    address::{Address, Domain},
    directory::Value,
};
use uuid::Uuid;

use super::types::{DirectoryChange, DirectoryRefusal, Incarnation, StoreError};

/// Parts of the queue, by destination: so many processes at most share it.
pub const SHARDS: u32 = 64;
/// How long journeys are kept.
pub const JOURNEY_KEPT: Duration = days(14);
/// How long dead letters are kept.
pub const DEAD_LETTER_KEPT: Duration = days(14);
/// How long an expunged message can still be fetched by a session that saw it (RFC 9051 §7.5.1).
pub const TOMBSTONE_KEPT: Duration = days(1);
/// How long the mail of an account is kept that the directory no longer has.
pub const ACCOUNT_KEPT: Duration = days(30);
/// How long an incarnation's end is remembered, so that it cannot come back.
pub const INCARNATION_KEPT: Duration = days(1);
/// Octets of a mailbox's name at most.
pub const MAILBOX_NAME_OCTETS_MAX: usize = 255;

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

/// The shard of a destination. Stable: rows on disk carry it (FNV-1a).
pub fn shard(destination: &Domain) -> u32 {
    let hash = destination
        .as_str()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193));
    hash % SHARDS
}

/// The shards of one incarnation as a bit set: all that are alive share them evenly, in the order of their ids.
/// Nothing for one that is not alive.
pub fn share(alive: &[Incarnation], me: Incarnation) -> u64 {
    let mut order = alive.to_vec();
    order.sort_unstable();
    order.dedup();
    let Some(place) = order.iter().position(|other| *other == me) else { return 0 };
    (0..SHARDS).filter(|shard| *shard as usize % order.len() == place).fold(0, |set, shard| set | 1 << shard)
}

/// The name under which a mailbox is kept: INBOX in any case is one (RFC 9051 §5.1).
pub fn mailbox_name(name: &str) -> Result<&str, StoreError> {
    if name.eq_ignore_ascii_case("INBOX") {
        return Ok("INBOX");
    }
    if name.is_empty() || name.len() > MAILBOX_NAME_OCTETS_MAX || name.chars().any(char::is_control) {
        return Err(StoreError::Conflict(format!(
            "{name:?} cannot be a mailbox: 1 to {MAILBOX_NAME_OCTETS_MAX} octets, no control characters"
        )));
    }
    Ok(name)
}

/// The fields that belong to one copy, written at final delivery (RFC 5321 §4.4).
/// `reverse_path` is empty for `<>`.
pub fn copy_fields(reverse_path: &str, delivered_to: &Address) -> Bytes {
    Bytes::from(format!("Return-Path: <{reverse_path}>\r\nDelivered-To: {delivered_to}\r\n"))
}

/// The UIDVALIDITY of a new mailbox: above each one that the name had before (RFC 9051 §2.3.1.1).
pub fn uid_validity(now_us: i64, before: Option<u32>) -> u32 {
    let seconds = u32::try_from(now_us / 1_000_000).unwrap_or(1).max(1);
    before.map_or(seconds, |before| seconds.max(before.saturating_add(1)))
}

/// Whether the directory takes a change, which the store has at this epoch and revision; `owner_of` says whose a key is
/// there. An address is one name: an alias and a mailbox of two owners cannot share it.
pub fn judge_change(
    change: &DirectoryChange,
    (epoch, revision): (u64, u64),
    mut owner_of: impl FnMut(&str) -> Result<Option<Uuid>, StoreError>,
) -> Result<Result<(), DirectoryRefusal>, StoreError> {
    if change.epoch < epoch {
        return Ok(Err(DirectoryRefusal::Fenced { seen: epoch }));
    }
    if change.base.is_some_and(|base| base != revision) {
        return Ok(Err(DirectoryRefusal::Moved { revision }));
    }
    let deleted: HashSet<&str> = change.delete.iter().map(String::as_str).collect();
    let mut put = HashMap::new();
    for entry in &change.put {
        for name in names(&entry.value) {
            let owner = match put.get(&name) {
                Some(owner) => Some(*owner),
                None if deleted.contains(name.as_str()) => None,
                None => owner_of(&name)?,
            };
            if let Some(owner) = owner.filter(|owner| *owner != entry.owner) {
                return Ok(Err(DirectoryRefusal::Owned { key: name, owner }));
            }
        }
        put.insert(entry.value.key(), entry.owner);
    }
    Ok(Ok(()))
}

/// The keys that an entry must not share with another owner: its own first.
fn names(value: &Value) -> Vec<String> {
    let other = match value {
        Value::Mailbox(mailbox) => Some(format!("alias/{}", mailbox.address.folded())),
        Value::Alias(alias) => Some(format!("mailbox/{}", alias.address.folded())),
        Value::Domain(_) | Value::DkimKey(_) => None,
    };
    [Some(value.key()), other].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_living_share_all_shards_without_overlap() {
        let all: Vec<_> = (1..=5).map(|n| Incarnation(Uuid::from_u128(n))).collect();
        for count in 1..=5 {
            let alive = &all[..count];
            let shares: Vec<_> = alive.iter().map(|me| share(alive, *me)).collect();
            assert_eq!(shares.iter().fold(0, |set, one| set | one), u64::MAX);
            assert_eq!(shares.iter().map(|one| one.count_ones()).sum::<u32>(), SHARDS);
            assert!(shares.iter().all(|one| one.count_ones() >= SHARDS / 5));
        }
        assert_eq!(share(&all[..2], all[4]), 0);
    }

    #[test]
    fn a_shard_never_changes() {
        for (domain, expected) in [("example.com", 38), ("example.org", 49), ("a.test", 14)] {
            assert_eq!(shard(&domain.parse().unwrap()), expected, "{domain}");
        }
    }

    #[test]
    fn whose_a_name_is() {
        use paquebot_mta_api::directory::{AliasEntry, Entry, MailboxEntry};
        let address: Address = "x@a.example".parse().unwrap();
        let mailbox = |owner| {
            let entry = MailboxEntry { address: address.clone(), account: Uuid::nil(), quota_bytes: None, login: None };
            Entry::new(Uuid::from_u128(owner), Value::Mailbox(entry))
        };
        let alias = |owner| {
            let entry = AliasEntry { address: address.clone(), to: vec![] };
            Entry::new(Uuid::from_u128(owner), Value::Alias(entry))
        };
        let there = |key: &str| Ok((key == "alias/x@a.example").then_some(Uuid::from_u128(1)));
        let taken = |put: Vec<Entry>, delete: &[&str]| {
            let delete = delete.iter().map(|key| (*key).to_owned()).collect();
            judge_change(&DirectoryChange { put, delete, ..DirectoryChange::default() }, (0, 0), there).unwrap().is_ok()
        };
        assert!(taken(vec![alias(1)], &[]));
        assert!(!taken(vec![alias(2)], &[]));
        assert!(!taken(vec![mailbox(2)], &[]), "the alias has the address");
        assert!(taken(vec![mailbox(2)], &["alias/x@a.example"]));
        assert!(taken(vec![alias(2)], &["alias/x@a.example"]));
        assert!(!taken(vec![alias(1), mailbox(2)], &["alias/x@a.example"]), "two owners in one change");
        assert!(!taken(vec![alias(1), alias(2)], &["alias/x@a.example"]));
    }

    #[test]
    fn mailbox_names() {
        assert_eq!(mailbox_name("inBox"), Ok("INBOX"));
        assert_eq!(mailbox_name("Junk"), Ok("Junk"));
        for bad in ["", "a\r\nb", "\0", &"x".repeat(256)] {
            assert!(mailbox_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn uid_validity_only_rises() {
        assert_eq!(uid_validity(5_000_000, None), 5);
        assert_eq!(uid_validity(5_000_000, Some(5)), 6);
        assert_eq!(uid_validity(5_000_000, Some(3)), 5);
        assert_eq!(uid_validity(-1, None), 1);
    }
}
