//! The admin API: how the operator writes the directory, and how each pod says what it serves.
//!
//! HTTPS with mutual TLS, `/v1`, JSON. One pod of a MailServer is written to; all are asked what they serve.
//!
//! - `GET /v1/directory`: [`DirectoryState`]
//! - `GET /v1/directory/buckets`: [`Buckets`]
//! - `GET /v1/directory/buckets/{n}`: [`Bucket`], n from 0 to 255
//! - `GET /v1/directory/domains`: [`Bucket`] of the `domain/…` entries: who holds which name
//! - `POST /v1/directory`: [`Change`] → [`Changed`]; refused: a [`Refusal`] with status 409 (413 where it is too large,
//!   503 where the store cannot answer)

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::directory::{Digest, Entry};

/// Parts into which the directory is split for comparison, by the first octet of SHA-256 of the key.
pub const BUCKETS: usize = 256;
/// Entries of one [`Change`] at most, put and deleted together.
pub const CHANGE_ENTRIES_MAX: usize = 1000;
/// Octets of a [`Change`]'s JSON at most.
pub const CHANGE_OCTETS_MAX: usize = 8 * 1024 * 1024;

/// What a pod's store has and what the pod serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryState {
    /// The highest writer's epoch that the store has seen.
    pub epoch: u64,
    /// The store's revision.
    pub revision: u64,
    /// Whether a complete set was ever there; until then the MTA is not ready and answers 451.
    pub complete: bool,
    /// The store's digest over all entries.
    pub root: Digest,
    /// The revision that this pod serves.
    pub served_revision: u64,
    /// The digest of what this pod serves.
    pub served_root: Digest,
}

/// The digest of each bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Buckets {
    /// The store's revision that they are of.
    pub revision: u64,
    /// [`BUCKETS`] digests.
    pub digests: Vec<Digest>,
}

/// The entries of one bucket, without what they say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// The store's revision that they are of.
    pub revision: u64,
    /// By ascending key.
    pub entries: Vec<Listed>,
}

/// An entry without what it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// [`crate::directory::Value::key`].
    pub key: String,
    /// The UID of the resource that it follows from.
    pub owner: Uuid,
    /// The digest of its inputs; all zero where the stored entry is not what was written.
    pub digest: Digest,
}

/// A change of the directory: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The writer's epoch: the leader lease's transitions.
    pub epoch: u64,
    /// The revision on which the change was decided.
    pub base: u64,
    /// Entries to put, new or replaced.
    pub put: Vec<Entry>,
    /// Keys to delete.
    pub delete: Vec<String>,
    /// The set is complete with this change.
    pub complete: bool,
}

/// The directory after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// The store's revision.
    pub revision: u64,
}

/// Why a change was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// For programs.
    pub reason: RefusalReason,
    /// For people.
    pub message: String,
}

/// Why a change was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalReason {
    /// The store has seen a higher epoch: another leader writes.
    Fenced,
    /// The store has another revision than the base: compare again.
    Moved,
    /// A key belongs to another owner, and the change does not delete it.
    Owned,
    /// The change cannot be stored as it is.
    Invalid,
    /// The store cannot answer now.
    Unavailable,
}

/// The bucket of a key.
pub fn bucket(key: &str) -> usize {
    digest::digest(&digest::SHA256, key.as_bytes()).as_ref().first().copied().map_or(0, usize::from)
}

/// The digest of each bucket of these entries, which may come in any order.
pub fn bucket_digests(entries: impl IntoIterator<Item = Listed>) -> Vec<Digest> {
    let mut buckets: Vec<Vec<Listed>> = vec![Vec::new(); BUCKETS];
    for entry in entries {
        if let Some(place) = buckets.get_mut(bucket(&entry.key)) {
            place.push(entry);
        }
    }
    buckets.into_iter().map(digest_of).collect()
}

fn digest_of(mut entries: Vec<Listed>) -> Digest {
    entries.sort_unstable();
    let mut context = digest::Context::new(&digest::SHA256);
    for entry in &entries {
        // A key has no NUL, and the rest has a fixed length: no two sets give the same octets.
        context.update(entry.key.as_bytes());
        context.update(b"\0");
        context.update(entry.owner.as_bytes());
        context.update(&entry.digest.0);
    }
    Digest::from(context.finish())
}

/// The root digest over the buckets' digests.
pub fn root(buckets: &[Digest]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    buckets.iter().for_each(|it| context.update(&it.0));
    Digest::from(context.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(key: &str, owner: u128, digest: u8) -> Listed {
        Listed { key: key.to_owned(), owner: Uuid::from_u128(owner), digest: Digest([digest; 32]) }
    }

    #[test]
    fn order_does_not_count_and_each_part_does() {
        let all =
            [listed("domain/a.example", 1, 1), listed("alias/x@a.example", 1, 2), listed("dkim/a.example/s", 2, 3)];
        let of = |entries: &[Listed]| root(&bucket_digests(entries.iter().cloned()));
        let whole = of(&all);
        assert_eq!(bucket_digests(all.iter().cloned()).len(), BUCKETS);
        assert_eq!(of(&[all[2].clone(), all[0].clone(), all[1].clone()]), whole);
        assert_ne!(of(&all[..2]), whole);
        for other in
            [listed("domain/b.example", 1, 1), listed("domain/a.example", 9, 1), listed("domain/a.example", 1, 9)]
        {
            assert_ne!(of(&[other, all[1].clone(), all[2].clone()]), whole);
        }
    }
}
