//! What holds of every comparison, whatever is there and wanted.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use paquebot_mta_api::admin::Listed;
use proptest::{collection, prelude::*};
use uuid::Uuid;

use super::{
    compare::{Known, Plan, compare},
    compare_tests::{check_outcome, entry, there, uid},
    desired::{Desired, Wanted, listed},
};

const KEYS: &[&str] = &[
    "d a.example",
    "d b.example",
    "k a.example/s",
    "k b.example/s",
    "a x@a.example",
    "a y@a.example",
    "a x@b.example",
    "a y@b.example",
];
/// Owners: few, so that they meet.
const OWNERS: u128 = 5;

#[derive(Debug, Clone)]
struct Case {
    store: BTreeMap<usize, (u128, u8)>,
    wanted: Vec<(u128, u128, usize, u8)>,
    existing: HashSet<u128>,
    incomplete: HashSet<u128>,
    gone: HashSet<u128>,
    synced: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let owner = || 1..=OWNERS;
    let key = || 0..KEYS.len();
    (
        collection::btree_map(key(), (owner(), 0..2u8), 0..KEYS.len()),
        collection::vec((owner(), owner(), key(), 0..2u8), 0..12),
        collection::hash_set(owner(), 0..4),
        collection::hash_set(owner(), 0..2),
        collection::hash_set(owner(), 0..2),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(store, wanted, existing, incomplete, gone, synced)| {
            // Who is gone wants nothing and does not exist.
            let wanted = wanted.into_iter().filter(|it| !gone.contains(&it.0) && !gone.contains(&it.1)).collect();
            let existing = existing.difference(&gone).copied().collect();
            let incomplete = incomplete.difference(&gone).copied().collect();
            Case { store, wanted, existing, incomplete, gone, synced }
        })
}

fn uids(numbers: &HashSet<u128>) -> HashSet<Uuid> {
    numbers.iter().map(|it| uid(*it)).collect()
}

impl Case {
    fn desired(&self) -> Desired {
        // A resource wants each key once; a domain's name is wanted by its own right.
        let mut seen = HashSet::new();
        let once = self.wanted.iter().filter(|it| seen.insert((it.0, it.2)));
        let wanted = once.map(|(owner, right, key, version)| {
            let right = if KEYS[*key].starts_with('d') { owner } else { right };
            Wanted { entry: entry(*owner, KEYS[*key], *version), domain: uid(*right) }
        });
        let anybody: Arc<HashSet<Uuid>> = Arc::new((1..=OWNERS).map(uid).collect());
        let incomplete = self.incomplete.iter().map(|it| (uid(*it), anybody.clone())).collect();
        Desired::new(wanted.collect(), uids(&self.existing), incomplete)
    }

    fn store(&self) -> Vec<Listed> {
        let entries = self.store.iter().map(|(key, (owner, version))| entry(*owner, KEYS[*key], *version));
        entries.map(|it| listed(&it.value.key(), &it)).collect()
    }

    fn plan(&self, desired: &Desired, store: &[Listed]) -> Plan {
        let gone = uids(&self.gone);
        let plan = compare(
            desired,
            &there(desired, store),
            &Known { watches_synced: self.synced, gone: &gone, confirmed: None },
        );
        check_outcome(store, &plan);
        plan
    }
}

fn name(key: &str) -> &str {
    super::chunks::domain_name(key)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_is_taken_that_must_stay(case in cases()) {
        let (desired, store) = (case.desired(), case.store());
        let plan = case.plan(&desired, &store);
        let taken = plan.put.iter().filter(|it| it.takes_over()).map(|it| &it.key).chain(&plan.delete);
        for key in taken {
            let owner = store.iter().find(|it| it.key == *key).unwrap().owner;
            prop_assert!(case.synced, "{} goes before all is known", key);
            let held = key.starts_with("domain/") || plan.after.contains_key(&format!("domain/{}", name(key)));
            let unknown = uids(&case.incomplete).contains(&owner);
            prop_assert!(!(unknown && held), "{} of an owner that is not wholly known", key);
            let still = case.wanted.iter().any(|it| uid(it.0) == owner && entry(it.0, KEYS[it.2], 0).value.key() == *key);
            let lost = plan.blocked.contains(&owner);
            prop_assert!(!still || lost, "{} is still wanted by its holder", key);
        }
    }

    #[test]
    fn what_is_put_in_a_domain_is_of_who_holds_its_name(case in cases()) {
        let (desired, store) = (case.desired(), case.store());
        let plan = case.plan(&desired, &store);
        for put in plan.put.iter().filter(|it| !it.key.starts_with("domain/")) {
            let holder = plan.after.get(&format!("domain/{}", name(&put.key))).map(|it| it.owner);
            prop_assert_eq!(holder, Some(put.wanted.domain), "{}", put.key);
        }
    }

    #[test]
    fn the_second_comparison_finds_nothing_to_do(case in cases()) {
        let (desired, store) = (case.desired(), case.store());
        let first = case.plan(&desired, &store);
        let after: Vec<Listed> = first.after.values().cloned().collect();
        let second = case.plan(&desired, &after);
        prop_assert!(second.put.is_empty() && second.delete.is_empty(), "{:?} {:?}", second.put, second.delete);
        prop_assert_eq!(second.root(), first.root());
        prop_assert_eq!(second.as_wanted(&desired), first.as_wanted(&desired));
        prop_assert_eq!(second.holders(&desired), first.holders(&desired));
    }

    #[test]
    fn an_owner_counts_as_programmed_only_where_all_of_its_entries_are_there(case in cases()) {
        let (desired, store) = (case.desired(), case.store());
        let plan = case.plan(&desired, &store);
        for owner in plan.as_wanted(&desired).keys() {
            for (key, all) in &desired.by_key {
                for one in all.iter().filter(|it| it.entry.owner == *owner) {
                    prop_assert_eq!(plan.after.get(key), Some(&listed(key, &one.entry)), "{}", key);
                }
            }
        }
    }
}
