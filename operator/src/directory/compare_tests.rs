//! The comparison's table: who gets a key, what is deleted, what is held.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use paquebot_mta_api::{
    admin::{self, Listed},
    directory::{AliasEntry, Digest, DkimKeyEntry, DomainEntry, Entry, KeyAlgorithm, PrivateKey, Value},
};
use uuid::Uuid;

use super::{
    compare::{Conflict, Known, Plan, There, Why, compare, differing},
    desired::{Desired, Wanted, listed},
};

pub(super) fn uid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// `d NAME` (domain), `k NAME/SELECTOR` (key), `a ADDRESS` (alias); `version` makes another digest of the same key.
pub(super) fn entry(owner: u128, what: &str, version: u8) -> Entry {
    let (kind, rest) = what.split_once(' ').unwrap();
    let value = match kind {
        "d" => {
            let id = Uuid::from_bytes([version; 16]);
            Value::Domain(DomainEntry { domain: rest.parse().unwrap(), id, catch_all: None })
        }
        "k" => {
            let (domain, selector) = rest.split_once('/').unwrap();
            Value::DkimKey(DkimKeyEntry {
                domain: domain.parse().unwrap(),
                selector: selector.to_owned(),
                algorithm: KeyAlgorithm::Rsa,
                private_key: PrivateKey(vec![version]),
            })
        }
        _ => {
            let to = vec![format!("to{version}@elsewhere.example").parse().unwrap()];
            Value::Alias(AliasEntry { address: rest.parse().unwrap(), to })
        }
    };
    Entry::new(uid(owner), value)
}

fn wanted(owner: u128, what: &str) -> Wanted {
    entry(owner, what, 0).into()
}

/// Wanted by a Mailbox, by right of a MailDomain.
fn by_right_of(owner: u128, domain: u128, what: &str) -> Wanted {
    Wanted { entry: entry(owner, what, 0), domain: uid(domain) }
}

fn store(entries: &[Entry]) -> Vec<Listed> {
    entries.iter().map(|it| listed(&it.value.key(), it)).collect()
}

/// Owners that are not wholly known, and by whose right they have something.
fn unknown(pairs: &[(u128, u128)]) -> HashMap<Uuid, Arc<HashSet<Uuid>>> {
    pairs.iter().map(|(owner, right)| (uid(*owner), Arc::new(HashSet::from([uid(*right)])))).collect()
}

fn desired(wanted: Vec<Wanted>, existing: &[u128]) -> Desired {
    Desired::new(wanted, existing.iter().map(|it| uid(*it)).collect(), HashMap::new())
}

/// As the engine reads it: only the differing buckets.
pub(super) fn there(desired: &Desired, entries: &[Listed]) -> There {
    let differing = differing(desired, &admin::bucket_digests(entries.iter().cloned()));
    let seen = entries.iter().filter(|it| differing.contains(&admin::bucket(&it.key)));
    let entries: BTreeMap<String, Listed> = seen.map(|it| (it.key.clone(), it.clone())).collect();
    There { revision: 1, differing, entries }
}

struct With {
    synced: bool,
    gone: Vec<u128>,
    confirmed: Option<usize>,
}

const SYNCED: With = With { synced: true, gone: Vec::new(), confirmed: None };

fn plan(desired: &Desired, entries: &[Listed], with: &With) -> Plan {
    let gone: HashSet<Uuid> = with.gone.iter().map(|it| uid(*it)).collect();
    let known = Known { watches_synced: with.synced, gone: &gone, confirmed: with.confirmed };
    let plan = compare(desired, &there(desired, entries), &known);
    check_outcome(entries, &plan);
    plan
}

/// Whatever is decided: the digest that the plan foretells is the digest of what it leads to.
pub(super) fn check_outcome(entries: &[Listed], plan: &Plan) {
    let mut after: BTreeMap<String, Listed> = entries.iter().map(|it| (it.key.clone(), it.clone())).collect();
    for key in &plan.delete {
        assert!(after.remove(key).is_some(), "{key} is not there");
    }
    for put in &plan.put {
        assert_eq!(after.insert(put.key.clone(), listed(&put.key, &put.wanted.entry)), put.there, "{}", put.key);
    }
    assert_eq!(after, plan.after);
    assert_eq!(plan.root(), admin::root(&admin::bucket_digests(after.into_values())));
}

/// Keys put (`+`, taken over `*`), deleted (`-`), held (`!`), conflicts (`?`), sorted.
fn said(plan: &Plan) -> Vec<String> {
    let put = plan.put.iter().map(|it| format!("{}{}", if it.takes_over() { '*' } else { '+' }, it.key));
    let delete = plan.delete.iter().map(|key| format!("-{key}"));
    let held = plan.held.iter().map(|it| format!("!{} {:?}", it.key, it.why));
    let conflict = |it: &Conflict| format!("?{} {}>{}", it.key, it.holder.as_u128(), it.claimant.as_u128());
    let mut all: Vec<String> = put.chain(delete).chain(held).chain(plan.conflicts.iter().map(conflict)).collect();
    all.sort();
    all
}

#[test]
fn a_first_fill_and_nothing_to_do() {
    let all = || vec![wanted(1, "d a.example"), wanted(1, "k a.example/s"), by_right_of(2, 1, "a x@a.example")];
    let want = desired(all(), &[]);
    let first = plan(&want, &[], &With { synced: false, ..SYNCED });
    assert_eq!(said(&first), ["+alias/x@a.example", "+dkim/a.example/s", "+domain/a.example"]);
    assert_eq!(first.as_wanted(&want).len(), 2);
    assert_eq!(first.holders(&want).values().collect::<Vec<_>>(), [&uid(1)]);
    let entries: Vec<Entry> = all().into_iter().map(|it| it.entry).collect();
    let there = there(&want, &store(&entries));
    assert!(there.differing.is_empty());
    assert!(said(&plan(&want, &store(&entries), &SYNCED)).is_empty());
}

#[test]
fn only_what_differs_is_put_and_only_known_deletions_are_made() {
    let old = entry(1, "k a.example/s", 9);
    let have = [entry(1, "d a.example", 0), old, entry(1, "a gone@a.example", 0), entry(7, "d b.example", 0)];
    let want = desired(vec![wanted(1, "d a.example"), wanted(1, "k a.example/s")], &[1]);
    let with = |gone: &[u128], synced| With { synced, gone: gone.to_vec(), confirmed: None };
    let changed = "+dkim/a.example/s".to_owned();
    for (name, with, rest) in [
        ("its owner was seen deleted", with(&[7], true), vec!["-alias/gone@a.example", "-domain/b.example"]),
        ("few without explanation", with(&[], true), vec!["-alias/gone@a.example", "-domain/b.example"]),
        ("an empty cache", with(&[7], false), vec!["!alias/gone@a.example NotSynced", "!domain/b.example NotSynced"]),
    ] {
        let mut wanted: Vec<String> = rest.into_iter().map(str::to_owned).chain([changed.clone()]).collect();
        wanted.sort();
        assert_eq!(said(&plan(&want, &store(&have), &with)), wanted, "{name}");
    }
}

#[test]
fn nothing_is_deleted_of_an_owner_that_is_not_wholly_known() {
    let have = [entry(1, "d a.example", 0), entry(1, "k a.example/s", 0)];
    let unread = Desired::new(vec![wanted(1, "d a.example")], HashSet::new(), unknown(&[(1, 1)]));
    let held = plan(&unread, &store(&have), &SYNCED);
    assert_eq!(said(&held), ["!dkim/a.example/s OwnerIncomplete"]);
    assert!(held.as_wanted(&unread).is_empty(), "and it is not programmed");
    // Nor does another get a key of its.
    let taker = Desired::new(vec![wanted(2, "k a.example/s")], HashSet::new(), unknown(&[(1, 1)]));
    let refused = plan(&taker, &store(&have), &SYNCED);
    assert_eq!(said(&refused), ["!dkim/a.example/s OwnerIncomplete", "!domain/a.example OwnerIncomplete"]);
    assert!(refused.blocked.contains(&uid(2)));
}

/// What 9 has in a.example stays by the right of who has that name, and by nobody else's.
#[test]
fn nobody_keeps_a_place_in_a_domain_that_is_anothers() {
    let have = [entry(1, "d a.example", 0), entry(9, "a x@a.example", 0)];
    for (right, outcome) in [(1, "!alias/x@a.example OwnerIncomplete"), (2, "-alias/x@a.example")] {
        let existing = HashSet::from([uid(9)]);
        let unread = Desired::new(vec![wanted(1, "d a.example")], existing, unknown(&[(9, right)]));
        assert_eq!(said(&plan(&unread, &store(&have), &SYNCED)), [outcome], "by the right of {right}");
    }
    // Nor where nobody has the name any more.
    let nobody = Desired::new(vec![], HashSet::from([uid(1), uid(9)]), unknown(&[(9, 1)]));
    assert_eq!(said(&plan(&nobody, &store(&have), &SYNCED)), ["-alias/x@a.example", "-domain/a.example"]);
}

#[test]
fn a_key_whose_secret_was_lost_stays_and_the_rest_goes_on() {
    let have = [entry(1, "d a.example", 0), entry(1, "k a.example/lost", 0), entry(1, "k a.example/old", 0)];
    let kept = |owner| [(uid(owner), "dkim/a.example/lost".to_owned()), (uid(owner), "dkim/a.example/none".to_owned())];
    let want = || desired(vec![wanted(1, "d a.example"), wanted(1, "k a.example/new")], &[]);
    let mine = want().keeping(kept(1));
    let decided = plan(&mine, &store(&have), &SYNCED);
    assert_eq!(said(&decided), ["+dkim/a.example/new", "-dkim/a.example/old"]);
    assert!(decided.as_wanted(&mine).contains_key(&uid(1)));
    let sealed = ["dkim/a.example/lost", "dkim/a.example/new"].map(|key| (key.to_owned(), uid(1)));
    assert_eq!(decided.sealed(), BTreeMap::from(sealed), "what is kept and is not there is no copy");
    let mut torn = store(&have);
    torn.iter_mut().for_each(|it| it.digest = Digest::default());
    assert!(!plan(&mine, &torn, &SYNCED).sealed().contains_key("dkim/a.example/lost"), "nobody can open it");
    let decided = plan(&want().keeping(kept(2)), &store(&have), &SYNCED);
    assert!(decided.delete.contains(&"dkim/a.example/lost".to_owned()), "another's word does not count");
}

#[test]
fn a_tenth_without_explanation_and_no_more() {
    let domain = |number: usize| format!("d d{number}.example");
    let directory = |count: usize| -> Vec<Listed> {
        (0..count).flat_map(|it| store(&[entry(1000 + it as u128, &domain(it), 0)])).collect()
    };
    let keep =
        |from: usize, to: usize| desired((from..to).map(|it| wanted(1000 + it as u128, &domain(it))).collect(), &[]);
    for (name, count, missing, confirmed, deleted, to_confirm) in [
        ("below the floor", 12, 10, None, 10, 0),
        ("above the floor", 12, 11, None, 0, 11),
        ("all of a small one", 10, 10, None, 10, 0),
        ("a tenth", 1000, 100, None, 100, 0),
        ("more than a tenth", 1000, 101, None, 0, 101),
        ("all", 1000, 1000, None, 0, 1000),
        ("confirmed", 1000, 101, Some(101), 101, 0),
        ("another number was confirmed", 1000, 101, Some(100), 0, 101),
        ("all, confirmed", 1000, 1000, Some(1000), 1000, 0),
    ] {
        let have = directory(count);
        let with = With { confirmed, ..SYNCED };
        let decided = plan(&keep(missing, count), &have, &with);
        assert_eq!((decided.delete.len(), decided.to_confirm), (deleted, to_confirm), "{name}");
        assert_eq!(decided.held.len(), to_confirm, "{name}");
        assert!(decided.held.iter().all(|it| it.why == Why::Unconfirmed), "{name}");
    }
    // What is explained does not count: seen deleted, or wanted no more by an owner that exists.
    let (have, all) = (directory(1000), (0..1000).map(|it| 1000 + it).collect::<Vec<u128>>());
    let seen = With { gone: all.clone(), ..SYNCED };
    assert_eq!(plan(&keep(0, 0), &have, &seen).delete.len(), 1000);
    assert_eq!(plan(&desired(Vec::new(), &all), &have, &SYNCED).delete.len(), 1000);
}

#[test]
fn a_key_changes_hands_only_when_its_holder_lets_go() {
    let have = store(&[entry(1, "d a.example", 0), entry(1, "a postmaster@a.example", 0)]);
    let both = |owner| vec![wanted(owner, "d a.example"), wanted(owner, "a postmaster@a.example")];
    let name = "a second claimant beside the holder, whatever the order";
    for order in [[1, 2], [2, 1]] {
        let want = desired(order.into_iter().flat_map(both).collect(), &[]);
        let decided = plan(&want, &have, &SYNCED);
        assert_eq!(said(&decided), ["?domain/a.example 1>2"], "{name}");
        assert_eq!(decided.as_wanted(&want).into_keys().collect::<Vec<_>>(), [uid(1)], "{name}");
        assert_eq!(decided.holders(&want).into_values().collect::<Vec<_>>(), [uid(1)], "{name}");
    }
    let taken = ["*alias/postmaster@a.example", "*domain/a.example"];
    let kept = [
        "!alias/postmaster@a.example NotSynced",
        "!domain/a.example NotSynced",
        "?alias/postmaster@a.example 1>2",
        "?domain/a.example 1>2",
    ];
    for (name, want, with, outcome) in [
        ("it was seen deleted", desired(both(2), &[]), With { gone: vec![1], ..SYNCED }, &taken[..]),
        ("it exists and wants it no more", desired(both(2), &[1]), SYNCED, &taken[..]),
        ("it is not known at all", desired(both(2), &[]), SYNCED, &taken[..]),
        ("it may exist", desired(both(2), &[]), With { synced: false, ..SYNCED }, &kept[..]),
    ] {
        let decided = plan(&want, &have, &with);
        let mut said = said(&decided);
        // A loser's other keys are left alone, whether they are told as conflicts of their own or not.
        said.retain(|it| outcome.contains(&it.as_str()) || !it.starts_with('?'));
        said.dedup();
        let outcome: Vec<&str> = outcome
            .iter()
            .copied()
            .filter(|it| said.iter().any(|one| one == it) || !it.starts_with("?alias"))
            .collect();
        assert_eq!(said, outcome, "{name}");
    }
}

#[test]
fn nobody_gets_a_mailbox_or_a_key_in_anothers_domain() {
    let have = store(&[entry(1, "d a.example", 0)]);
    let want = desired(
        vec![
            wanted(1, "d a.example"),
            wanted(2, "d a.example"),
            wanted(2, "k a.example/mine"),
            by_right_of(3, 2, "a boss@a.example"),
            by_right_of(4, 1, "a bob@a.example"),
        ],
        &[],
    );
    let decided = plan(&want, &have, &SYNCED);
    assert_eq!(said(&decided), ["+alias/bob@a.example", "?domain/a.example 1>2"]);
    let good: HashSet<Uuid> = decided.as_wanted(&want).into_keys().collect();
    assert_eq!(good, HashSet::from([uid(1), uid(4)]));
    // What got there before the name was lost goes.
    let have = store(&[entry(1, "d a.example", 0), entry(2, "k a.example/mine", 0), entry(3, "a boss@a.example", 0)]);
    let decided = plan(&want, &have, &SYNCED);
    let said = said(&decided);
    assert_eq!(
        said,
        ["+alias/bob@a.example", "-alias/boss@a.example", "-dkim/a.example/mine", "?domain/a.example 1>2"]
    );
}

#[test]
fn of_two_newcomers_the_first_gets_it() {
    let want = desired(vec![wanted(5, "d a.example"), wanted(4, "d a.example"), wanted(4, "k a.example/s")], &[]);
    let decided = plan(&want, &[], &SYNCED);
    assert_eq!(said(&decided), ["+domain/a.example", "?domain/a.example 5>4"]);
    assert_eq!(decided.put[0].wanted.entry.owner, uid(5));
}

#[test]
fn an_entry_edited_in_the_store_is_written_again() {
    let broken = Listed { digest: Digest::default(), ..store(&[entry(1, "d a.example", 0)]).remove(0) };
    let want = desired(vec![wanted(1, "d a.example")], &[]);
    assert_eq!(said(&plan(&want, &[broken], &SYNCED)), ["+domain/a.example"]);
}

#[test]
fn a_cluster_restored_with_new_uids_waits_for_a_person() {
    let names: Vec<String> = (0..20).map(|it| format!("d d{it}.example")).collect();
    let have: Vec<Listed> = names.iter().flat_map(|it| store(&[entry(1, it, 0)])).collect();
    let mut all: Vec<Wanted> = names.iter().map(|it| wanted(2, it)).collect();
    all.push(wanted(2, "k d0.example/s"));
    all.push(wanted(3, "d new.example"));
    let want = desired(all, &[]);
    let waits = plan(&want, &have, &SYNCED);
    assert_eq!((waits.to_confirm, waits.delete.len(), waits.held.len()), (20, 0, 20));
    assert_eq!(waits.put.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["domain/new.example"]);
    assert_eq!(waits.conflicts.len(), 20);
    let confirmed = plan(&want, &have, &With { confirmed: Some(20), ..SYNCED });
    assert_eq!((confirmed.to_confirm, confirmed.put.len(), confirmed.held.len()), (0, 22, 0));
    assert_eq!(confirmed.put.iter().filter(|it| it.takes_over()).count(), 20);
}
