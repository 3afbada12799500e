//! The snapshot of domains, keys, mailboxes and aliases that is served.
//!
//! Immutable: a change makes a new snapshot, and a session asks for the current one each time.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use paquebot_mta_api::{
    address::{Address, Domain},
    admin::{self, Listed},
    directory::{AliasEntry, Digest, DkimKeyEntry, DomainEntry, Entry, MailboxEntry, Value},
};

use crate::store::DirectorySet;

/// Steps of alias expansion at most: deeper ones are loops or mistakes.
pub const ALIAS_DEPTH_MAX: usize = 10;
/// Addresses that one recipient may become.
pub const EXPANSION_MAX: usize = 1000;
/// Names that are looked up for one recipient: aliases that lead nowhere cost time too.
const NAMES_MAX: usize = 4 * EXPANSION_MAX;

/// What a recipient address means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// Its domain is not ours: by MX, for those who may relay.
    Remote,
    /// These, without repetition; a mailbox of ours or an address elsewhere.
    Targets(Vec<Target>),
    /// Its domain is ours, the local part nobody's: 550 5.1.1.
    Unknown,
    /// An alias that becomes too many addresses, or none but itself: 451, it is ours to mend.
    Broken,
}

/// One address that a recipient becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub address: Address,
    /// The mailbox, where it is ours.
    pub mailbox: Option<Arc<MailboxEntry>>,
}

/// An immutable snapshot.
#[derive(Debug)]
pub struct Snapshot {
    /// The revision of the store's directory that this is.
    pub revision: u64,
    /// Whether a complete set was ever there: before that nothing is known to be unknown.
    pub complete: bool,
    /// The digest over what is served ([`admin::root`]).
    pub root: Digest,
    /// Entries that are served.
    pub entries: usize,
    /// Entries that could not be read.
    pub unreadable: usize,
    /// Names among those: as long as there is one, nothing is known to be unknown.
    pub names_unreadable: usize,
    domains: HashMap<Domain, Arc<DomainEntry>>,
    mailboxes: HashMap<Address, Arc<MailboxEntry>>,
    aliases: HashMap<Address, Arc<AliasEntry>>,
    keys: HashMap<Domain, Vec<Arc<DkimKeyEntry>>>,
}

impl Snapshot {
    /// A snapshot of these entries, complete.
    pub fn new(revision: u64, entries: Vec<Entry>) -> Self {
        DirectorySet { revision, complete: true, entries, unreadable: Vec::new() }.into()
    }

    /// Whether a name that is not here exists nowhere in the directory: only then may mail for it be refused for good.
    pub fn is_whole(&self) -> bool {
        self.complete && self.names_unreadable == 0
    }

    fn of(set: DirectorySet) -> Self {
        let listed = |it: &Entry| Listed { key: it.value.key(), owner: it.owner, digest: it.digest };
        let mut snapshot = Self {
            revision: set.revision,
            complete: set.complete,
            root: admin::root(&admin::bucket_digests(set.entries.iter().map(listed))),
            entries: set.entries.len(),
            unreadable: set.unreadable.len(),
            names_unreadable: set.unreadable.iter().filter(|key| !key.starts_with("dkim/")).count(),
            ..Self::default()
        };
        for entry in set.entries {
            match entry.value {
                Value::Domain(it) => drop(snapshot.domains.insert(it.domain.clone(), Arc::new(it))),
                Value::Mailbox(it) => drop(snapshot.mailboxes.insert(it.address.folded(), Arc::new(it))),
                Value::Alias(it) => drop(snapshot.aliases.insert(it.address.folded(), Arc::new(it))),
                Value::DkimKey(it) => snapshot.keys.entry(it.domain.clone()).or_default().push(Arc::new(it)),
            }
        }
        snapshot
    }

    /// The hosted domain of this name.
    pub fn domain(&self, domain: &Domain) -> Option<&Arc<DomainEntry>> {
        self.domains.get(domain)
    }

    /// The mailbox with exactly this address, local part without case.
    pub fn mailbox(&self, address: &Address) -> Option<&Arc<MailboxEntry>> {
        self.mailboxes.get(&address.folded())
    }

    /// Whether a mailbox or an alias has this name itself, or without its `+detail`: the catch-all does not count.
    pub fn is_named(&self, address: &Address) -> bool {
        self.named(address).is_some()
    }

    /// The domain whose postmaster answers for this host: its own name, or the nearest above it, or any
    /// (RFC 5321 §4.5.1: `postmaster` without a domain is always taken).
    pub fn domain_of_host(&self, hostname: &Domain) -> Option<&Domain> {
        let mut name = hostname.as_str();
        while let Some((_, parent)) = name.split_once('.') {
            if let Some(domain) = self.domains.keys().find(|domain| domain.as_str() == name) {
                return Some(domain);
            }
            name = parent;
        }
        self.domains.keys().min()
    }

    /// The keys that sign for a domain.
    pub fn keys(&self, domain: &Domain) -> &[Arc<DkimKeyEntry>] {
        self.keys.get(domain).map_or(&[], Vec::as_slice)
    }

    /// What a recipient address means: mailbox, alias, `user+detail`, postmaster and abuse, catch-all.
    pub fn resolve(&self, recipient: &Address) -> Resolved {
        if !self.domains.contains_key(recipient.domain()) {
            return Resolved::Remote;
        }
        let mut targets = Vec::new();
        let mut seen = Vec::new();
        let whole = self.expand(recipient, 0, &mut seen, &mut targets);
        match (whole, targets.is_empty()) {
            (true, false) => Resolved::Targets(targets),
            (true, true) if seen.len() <= 1 => Resolved::Unknown,
            _ => Resolved::Broken,
        }
    }

    /// Adds what the address becomes; `false` where a limit was met.
    fn expand(&self, address: &Address, depth: usize, seen: &mut Vec<Address>, targets: &mut Vec<Target>) -> bool {
        let folded = address.folded();
        if seen.contains(&folded) {
            return true;
        }
        if depth > ALIAS_DEPTH_MAX || targets.len() >= EXPANSION_MAX || seen.len() >= NAMES_MAX {
            return false;
        }
        seen.push(folded);
        if !self.domains.contains_key(address.domain()) {
            targets.push(Target { address: address.clone(), mailbox: None });
            return true;
        }
        match self.look_up(address) {
            Some(Found::Mailbox(mailbox)) => {
                if !targets
                    .iter()
                    .any(|target| target.mailbox.as_ref().is_some_and(|have| have.account == mailbox.account))
                {
                    targets.push(Target { address: mailbox.address.clone(), mailbox: Some(mailbox) });
                }
                true
            }
            Some(Found::Alias(to)) => to.iter().all(|next| self.expand(next, depth + 1, seen, targets)),
            None => true,
        }
    }

    /// The name, or else the catch-all.
    fn look_up(&self, address: &Address) -> Option<Found> {
        self.named(address).or_else(|| {
            let catch_all = self.domains.get(address.domain())?.catch_all.clone()?;
            Some(Found::Alias(vec![catch_all]))
        })
    }

    /// The exact name, then without `+detail`.
    fn named(&self, address: &Address) -> Option<Found> {
        let mut names = vec![address.folded()];
        if let Some((user, _)) = address.local().split_once('+')
            && let Ok(plain) = Address::new(user, address.domain().clone())
        {
            names.push(plain.folded());
        }
        for name in names {
            if let Some(mailbox) = self.mailboxes.get(&name) {
                return Some(Found::Mailbox(mailbox.clone()));
            }
            if let Some(alias) = self.aliases.get(&name) {
                return Some(Found::Alias(alias.to.clone()));
            }
        }
        None
    }
}

/// Nothing, and not complete.
impl Default for Snapshot {
    fn default() -> Self {
        Self {
            revision: 0,
            complete: false,
            root: admin::root(&admin::bucket_digests([])),
            entries: 0,
            unreadable: 0,
            names_unreadable: 0,
            domains: HashMap::new(),
            mailboxes: HashMap::new(),
            aliases: HashMap::new(),
            keys: HashMap::new(),
        }
    }
}

impl From<DirectorySet> for Snapshot {
    fn from(set: DirectorySet) -> Self {
        Self::of(set)
    }
}

enum Found {
    Mailbox(Arc<MailboxEntry>),
    Alias(Vec<Address>),
}

/// The current snapshot, shared by all sessions.
#[derive(Debug, Default)]
pub struct Directory {
    current: RwLock<Arc<Snapshot>>,
}

impl Directory {
    /// The snapshot that is served now.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Serves another snapshot from now on.
    pub fn replace(&self, snapshot: Snapshot) {
        *self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(snapshot);
    }
}
