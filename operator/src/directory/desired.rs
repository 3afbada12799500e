//! What the directory of a MailServer is to be: entries with their owners, keys of passwords not derived.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use aws_lc_rs::digest::{Context, SHA256};
use paquebot_mta_api::{
    admin::{self, Listed},
    directory::{Digest, Entry, Value},
};
use uuid::Uuid;

/// An entry that a resource wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The entry; its keys of a password may be underived.
    pub entry: Entry,
    /// The UID of the MailDomain by whose right it is wanted: the entry's owner, or its Mailbox's MailDomain. Where
    /// this MailDomain does not hold the name of the entry's domain, the entry is left out: nobody gets a mailbox or
    /// a key in another's domain.
    pub domain: Uuid,
}

impl From<Entry> for Wanted {
    fn from(entry: Entry) -> Self {
        Self { domain: entry.owner, entry }
    }
}

/// What the directory is to be.
#[derive(Debug, Default)]
pub struct Desired {
    /// By key; the first that wants it stands first. Never empty.
    pub(super) by_key: BTreeMap<String, Vec<Arc<Wanted>>>,
    /// All resources that exist and may have entries: what they do not want may be deleted.
    pub(super) owners: HashSet<Uuid>,
    /// Resources of which not everything is known now (a Secret that cannot be read), with the MailDomains by whose right
    /// they have something: nothing of theirs is deleted in the domains whose names these hold.
    pub(super) incomplete: HashMap<Uuid, Arc<HashSet<Uuid>>>,
    /// Entries that stay as they are where they are: nobody can make them again.
    pub(super) kept: HashSet<(Uuid, String)>,
    /// The generations of the owners from which this follows.
    pub(super) generations: HashMap<Uuid, i64>,
    /// What the entries of an owner are, in one digest.
    pub(super) by_owner: HashMap<Uuid, Digest>,
    /// The digest of each bucket, if all is as wanted.
    pub(super) buckets: Vec<Digest>,
}

impl Desired {
    /// `wanted`: in the order of precedence, older resources first, where two want the same key and nobody has it yet.
    /// `existing`: the UIDs of all MailDomains and Mailboxes that exist, with entries or without. `incomplete`: those
    /// whose entries are not all in `wanted`, because something cannot be read now, with the UIDs of the MailDomains by
    /// whose right they have them.
    pub fn new(wanted: Vec<Wanted>, existing: HashSet<Uuid>, incomplete: HashMap<Uuid, Arc<HashSet<Uuid>>>) -> Self {
        let mut by_key: BTreeMap<String, Vec<Arc<Wanted>>> = BTreeMap::new();
        let mut owners = existing;
        for one in wanted {
            owners.extend([one.entry.owner, one.domain]);
            by_key.entry(one.entry.value.key()).or_default().push(Arc::new(one));
        }
        let by_owner = by_owner(&by_key, &owners);
        let first = |(key, all): (&String, &Vec<Arc<Wanted>>)| all.first().map(|one| listed(key, &one.entry));
        let buckets = admin::bucket_digests(by_key.iter().filter_map(first));
        Self { by_key, owners, incomplete, kept: HashSet::new(), generations: HashMap::new(), by_owner, buckets }
    }

    /// With entries, by owner and key, that stay as they are where they are there: a DKIM key whose Secret was lost
    /// goes on signing from the store. Unlike `incomplete`, the rest of their owner is as wanted.
    pub fn keeping(mut self, kept: impl IntoIterator<Item = (Uuid, String)>) -> Self {
        self.kept.extend(kept);
        self
    }

    /// With the generations of the resources from which it follows, by UID: reports say of which one they are.
    pub fn of(mut self, generations: HashMap<Uuid, i64>) -> Self {
        self.generations = generations;
        self
    }

    /// Keys in it.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The digest of what this owner wants; equal digests, nothing changed.
    pub fn digest_of(&self, owner: Uuid) -> Option<Digest> {
        self.by_owner.get(&owner).copied()
    }
}

/// As the directory lists it.
pub(super) fn listed(key: &str, entry: &Entry) -> Listed {
    Listed { key: key.to_owned(), owner: entry.owner, digest: entry.digest }
}

/// The name of a domain out of a `domain/…` key.
pub(super) fn domain_of(value: &Value) -> Option<&paquebot_mta_api::address::Domain> {
    match value {
        Value::Domain(it) => Some(&it.domain),
        _ => None,
    }
}

fn by_owner(by_key: &BTreeMap<String, Vec<Arc<Wanted>>>, owners: &HashSet<Uuid>) -> HashMap<Uuid, Digest> {
    let mut contexts: HashMap<Uuid, Context> = owners.iter().map(|owner| (*owner, Context::new(&SHA256))).collect();
    for (key, all) in by_key {
        for one in all {
            let context = contexts.entry(one.entry.owner).or_insert_with(|| Context::new(&SHA256));
            context.update(key.as_bytes());
            context.update(b"\0");
            context.update(&one.entry.digest.0);
        }
    }
    contexts.into_iter().map(|(owner, context)| (owner, Digest::from(context.finish()))).collect()
}
