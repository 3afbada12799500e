//! What is to be put, deleted and left alone. Pure: values in, a [`Plan`] out.
//!
//! A key belongs to the resource whose UID holds it in the directory; it changes hands only where that resource is gone
//! or wants it no more. Nothing is deleted before all watches have synced, nor of a resource of which not everything is
//! known; and what nobody can explain is deleted only up to a tenth of the directory, unless a person confirms it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use paquebot_mta_api::{
    address::Domain,
    admin::{self, Listed},
    directory::Digest,
};
use uuid::Uuid;

use super::{
    chunks::domain_name,
    desired::{Desired, Wanted, domain_of, listed},
};

/// Deletions without explanation: one in this many entries at most.
pub const UNEXPLAINED_SHARE: usize = 10;
/// As many are allowed in any case: a small directory must not need confirmation for each mailbox.
pub const UNEXPLAINED_FLOOR: usize = 10;

/// What the directory has.
#[derive(Debug, Clone, Default)]
pub struct There {
    /// The store's revision that it is of.
    pub revision: u64,
    /// The buckets that are not as wanted.
    pub differing: HashSet<usize>,
    /// The entries of those buckets.
    pub entries: BTreeMap<String, Listed>,
}

/// What is known of resources beside what they want.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// [`super::Target::watches_synced`]
    pub watches_synced: bool,
    /// [`super::Target::gone`]
    pub gone: &'a HashSet<Uuid>,
    /// [`super::Target::confirmed`]
    pub confirmed: Option<usize>,
}

/// What is to be done.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Entries to put.
    pub put: Vec<Put>,
    /// Keys to delete; those that change hands are among `put`.
    pub delete: Vec<String>,
    /// What stays although nobody wants it.
    pub held: Vec<Held>,
    /// How many of them a person may confirm.
    pub to_confirm: usize,
    /// Keys that somebody wants and another holds.
    pub conflicts: Vec<Conflict>,
    /// Owners whose entries will not all be as they want them.
    pub blocked: HashSet<Uuid>,
    /// The directory after it.
    pub after: BTreeMap<String, Listed>,
}

/// An entry to put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Its key.
    pub key: String,
    /// The entry.
    pub wanted: Arc<Wanted>,
    /// What is there now under its key.
    pub there: Option<Listed>,
}

impl Put {
    /// Whether the key is taken from another owner: deleted and put in one change.
    pub fn takes_over(&self) -> bool {
        self.there.as_ref().is_some_and(|there| there.owner != self.wanted.entry.owner)
    }
}

/// An entry that stays although nobody wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its key.
    pub key: String,
    /// Its owner.
    pub owner: Uuid,
    /// Why it stays.
    pub why: Why,
}

/// Why an entry stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Not all watches have listed everything yet.
    NotSynced,
    /// Something of its owner cannot be read now.
    OwnerIncomplete,
    /// Too many without explanation: a person must confirm.
    Unconfirmed,
}

/// A key that somebody wants and another holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The key.
    pub key: String,
    /// The UID that holds it.
    pub holder: Uuid,
    /// The UID that wants it.
    pub claimant: Uuid,
}

/// The buckets that are not as wanted.
pub fn differing(desired: &Desired, digests: &[Digest]) -> HashSet<usize> {
    (0..admin::BUCKETS).filter(|index| desired.buckets.get(*index) != digests.get(*index)).collect()
}

/// What is to be done.
pub fn compare(desired: &Desired, there: &There, known: &Known<'_>) -> Plan {
    // Who has a name does not depend on `names`.
    let mut judge = Judge { desired, there, known, names: HashMap::new() };
    judge.names = judge.name_holders();
    let names = &judge.names;
    let mut claims: Vec<Claim<'_>> = Vec::new();
    let mut surplus: Vec<Listed> = Vec::new();
    let mut plan = Plan::default();
    for (key, all) in &desired.by_key {
        let holder = judge.holder(key, all);
        // A name itself anybody may claim; what is in a domain, only those with the right of who has the name.
        let may = |one: &&Arc<Wanted>| key.starts_with(DOMAIN) || names.get(domain_name(key)) == Some(&one.domain);
        let (may, out): (Vec<_>, Vec<_>) = all.iter().partition(may);
        plan.blocked.extend(out.iter().map(|one| one.entry.owner));
        match (may.is_empty(), holder) {
            (true, Some(holder)) => surplus.push(holder),
            (true, None) => {}
            (false, holder) => claims.push(judge.claim(key, may, holder)),
        }
    }
    for one in there.entries.values().filter(|it| !desired.by_key.contains_key(&it.key)) {
        if desired.kept.contains(&(one.owner, one.key.clone())) && one.digest != Digest::default() {
            plan.after.insert(one.key.clone(), one.clone());
        } else {
            surplus.push(one.clone());
        }
    }
    judge.settle(claims, surplus, plan)
}

const DOMAIN: &str = "domain/";
const DKIM: &str = "dkim/";

/// Whether an entry of this owner may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Explained,
    Unexplained,
    Never(Why),
}

/// Who gets a key.
struct Claim<'a> {
    key: &'a String,
    winner: &'a Arc<Wanted>,
    others: Vec<&'a Arc<Wanted>>,
    there: Option<Listed>,
    /// The right to take it from its holder, where the holder is another.
    right: Option<Right>,
}

struct Judge<'a> {
    desired: &'a Desired,
    there: &'a There,
    known: &'a Known<'a>,
    /// The UID of the MailDomain that will have each domain's name.
    names: HashMap<&'a str, Uuid>,
}

impl<'a> Judge<'a> {
    /// What is there under a wanted key.
    fn holder(&self, key: &str, all: &[Arc<Wanted>]) -> Option<Listed> {
        if self.there.differing.contains(&admin::bucket(key)) {
            return self.there.entries.get(key).cloned();
        }
        // The bucket is as wanted.
        all.first().map(|first| listed(key, &first.entry))
    }

    fn right(&self, key: &str, owner: Uuid) -> Right {
        if !self.known.watches_synced {
            Right::Never(Why::NotSynced)
        } else if self.stays(key, owner) {
            Right::Never(Why::OwnerIncomplete)
        } else if self.known.gone.contains(&owner) || self.desired.owners.contains(&owner) {
            Right::Explained
        } else {
            Right::Unexplained
        }
    }

    /// Whether what is not known of an owner keeps this. In a domain that is another's by now nobody keeps a mailbox.
    fn stays(&self, key: &str, owner: Uuid) -> bool {
        let Some(domains) = self.desired.incomplete.get(&owner) else { return false };
        let lets = |holder: &Uuid| domains.contains(holder);
        key.starts_with(DOMAIN) || self.names.get(domain_name(key)).is_some_and(lets)
    }

    fn claim(&self, key: &'a String, mut may: Vec<&'a Arc<Wanted>>, there: Option<Listed>) -> Claim<'a> {
        let held = there.as_ref().and_then(|it| may.iter().position(|one| one.entry.owner == it.owner));
        let winner = may.remove(held.unwrap_or(0));
        let right = match (&there, held) {
            (Some(there), None) => Some(self.right(key, there.owner)),
            _ => None,
        };
        Claim { key, winner, others: may, there, right }
    }

    /// Who will have which domain's name.
    fn name_holders(&self) -> HashMap<&'a str, Uuid> {
        let wanted = self.desired.by_key.range(DOMAIN.to_owned()..).take_while(|(key, _)| key.starts_with(DOMAIN));
        let wanted = wanted.map(|(key, all)| {
            let claim = self.claim(key, all.iter().collect(), self.holder(key, all));
            match (claim.right, claim.there) {
                (Some(Right::Never(_)), Some(there)) => (domain_name(key), there.owner),
                _ => (domain_name(key), claim.winner.domain),
            }
        });
        let kept = self.there.entries.values().filter(|it| it.key.starts_with(DOMAIN));
        let kept = kept.filter(|it| matches!(self.right(&it.key, it.owner), Right::Never(_)));
        // What is wanted comes last: it has been judged.
        kept.map(|it| (domain_name(&it.key), it.owner)).chain(wanted).collect()
    }

    /// Counts what cannot be explained, and says what is done with all of it.
    fn settle(&self, claims: Vec<Claim<'_>>, surplus: Vec<Listed>, mut plan: Plan) -> Plan {
        let taken = claims.iter().filter(|it| it.right == Some(Right::Unexplained)).count();
        let unexplained =
            taken + surplus.iter().filter(|it| self.right(&it.key, it.owner) == Right::Unexplained).count();
        let hold = unexplained > self.unexplained_max() && self.known.confirmed != Some(unexplained);
        plan.to_confirm = if hold { unexplained } else { 0 };
        let stays = |right: Right| match right {
            Right::Never(why) => Some(why),
            Right::Unexplained if hold => Some(Why::Unconfirmed),
            Right::Unexplained | Right::Explained => None,
        };
        // A domain whose name is not taken over after all: what else is wanted by its right waits too.
        let waits = |it: &Claim<'_>| it.right.and_then(stays).is_some() && it.key.starts_with(DOMAIN);
        let waiting: HashSet<Uuid> = claims.iter().filter(|it| waits(it)).map(|it| it.winner.domain).collect();
        for claim in claims {
            for other in &claim.others {
                plan.lose(claim.key, claim.winner.entry.owner, other);
            }
            match (claim.right.and_then(stays), claim.there) {
                (Some(why), Some(there)) => {
                    plan.lose(claim.key, there.owner, claim.winner);
                    plan.hold(there, why);
                }
                (_, there) => plan.put(claim.key, claim.winner, there, &waiting),
            }
        }
        for one in surplus {
            match stays(self.right(&one.key, one.owner)) {
                Some(why) => plan.hold(one, why),
                None => plan.delete.push(one.key),
            }
        }
        plan.blocked.extend(self.desired.incomplete.keys());
        plan
    }

    fn unexplained_max(&self) -> usize {
        let same = self.desired.by_key.keys().filter(|key| !self.there.differing.contains(&admin::bucket(key))).count();
        UNEXPLAINED_FLOOR.max((same + self.there.entries.len()) / UNEXPLAINED_SHARE)
    }
}

impl Plan {
    fn lose(&mut self, key: &str, holder: Uuid, claimant: &Wanted) {
        self.blocked.insert(claimant.entry.owner);
        let conflict = Conflict { key: key.to_owned(), holder, claimant: claimant.entry.owner };
        if !self.conflicts.contains(&conflict) {
            self.conflicts.push(conflict);
        }
    }

    fn hold(&mut self, there: Listed, why: Why) {
        self.held.push(Held { key: there.key.clone(), owner: there.owner, why });
        self.after.insert(there.key.clone(), there);
    }

    fn put(&mut self, key: &str, winner: &Arc<Wanted>, there: Option<Listed>, waiting: &HashSet<Uuid>) {
        let wanted = listed(key, &winner.entry);
        if there.as_ref() == Some(&wanted) {
            self.after.insert(key.to_owned(), wanted);
        } else if waiting.contains(&winner.domain) {
            self.blocked.insert(winner.entry.owner);
            if let Some(there) = there {
                self.after.insert(key.to_owned(), there);
            }
        } else {
            self.after.insert(key.to_owned(), wanted);
            self.put.push(Put { key: key.to_owned(), wanted: winner.clone(), there });
        }
    }

    /// The digest of the directory after the plan.
    pub fn root(&self) -> Digest {
        admin::root(&admin::bucket_digests(self.after.values().cloned()))
    }

    /// Who holds which domain's name after the plan.
    pub fn holders(&self, desired: &Desired) -> BTreeMap<Domain, Uuid> {
        let names = self.after.range(DOMAIN.to_owned()..).take_while(|(key, _)| key.starts_with(DOMAIN));
        let name = |key: &str| {
            let wanted = desired.by_key.get(key).and_then(|all| all.first());
            let known = wanted.and_then(|one| domain_of(&one.entry.value)).cloned();
            known.or_else(|| key.strip_prefix(DOMAIN).and_then(|name| name.parse().ok()))
        };
        names.filter_map(|(key, it)| Some((name(key)?, it.owner))).collect()
    }

    /// The DKIM keys that the directory has after the plan and can open, and whose they are.
    pub fn sealed(&self) -> BTreeMap<String, Uuid> {
        let keys = self.after.range(DKIM.to_owned()..).take_while(|(key, _)| key.starts_with(DKIM));
        let keys = keys.filter(|(_, it)| it.digest != Digest::default());
        keys.map(|(key, it)| (key.clone(), it.owner)).collect()
    }

    /// The owners whose entries are as they want them after the plan, with the digest of what they want.
    pub fn as_wanted(&self, desired: &Desired) -> HashMap<Uuid, Digest> {
        let good = desired.by_owner.iter().filter(|(owner, _)| !self.blocked.contains(owner));
        good.map(|(owner, digest)| (*owner, *digest)).collect()
    }
}
