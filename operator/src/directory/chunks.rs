//! A plan as changes that the API takes, in an order in which no mail is refused on the way. Pure.
//!
//! What belongs to one domain stays in one change where it fits, since a change is applied whole. Where it does not
//! fit, the domain itself comes after what is in it, and goes before it: a domain that is there while its mailboxes are
//! not would answer 550 to mail that has a mailbox.

use std::collections::{BTreeMap, VecDeque};

use paquebot_mta_api::admin::{CHANGE_ENTRIES_MAX, CHANGE_OCTETS_MAX};

use super::compare::Put;

/// Octets of the entries of a change at most: room is left for the rest of it.
pub const CHUNK_OCTETS_MAX: usize = CHANGE_OCTETS_MAX / 2;
/// What keys of a password add to an entry, once they are derived.
const LOGIN_OCTETS: usize = 256;

/// What goes into one change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Entries to put.
    pub put: Vec<Put>,
    /// Keys to delete.
    pub delete: Vec<String>,
    octets: usize,
}

impl Chunk {
    /// Entries that are put or deleted, as the API counts.
    pub fn len(&self) -> usize {
        self.put.iter().map(cost).sum::<usize>() + self.delete.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.delete.is_empty()
    }

    /// Two halves; `None`: it has one entry.
    pub fn halves(mut self) -> Option<(Self, Self)> {
        let count = self.put.len() + self.delete.len();
        if count < 2 {
            return None;
        }
        let deletes = self.delete.len().min(count / 2);
        let rest = self.delete.split_off(deletes);
        let puts = self.put.split_off(count / 2 - deletes);
        let second = Self { put: puts, delete: rest, octets: self.octets };
        Some((self, second))
    }

    fn has_room(&self, entries: usize, octets: usize) -> bool {
        self.len() + entries <= CHANGE_ENTRIES_MAX && self.octets + octets <= CHUNK_OCTETS_MAX
    }

    fn add(&mut self, item: Item) {
        self.octets += item.octets();
        match item {
            Item::Put(put) => self.put.push(*put),
            Item::Delete(key) => self.delete.push(key),
        }
    }
}

enum Item {
    Put(Box<Put>),
    Delete(String),
}

impl Item {
    fn key(&self) -> &str {
        match self {
            Self::Put(put) => &put.key,
            Self::Delete(key) => key,
        }
    }

    fn entries(&self) -> usize {
        match self {
            Self::Put(put) => cost(put),
            Self::Delete(_) => 1,
        }
    }

    fn octets(&self) -> usize {
        match self {
            Self::Put(put) => {
                serde_json::to_vec(&put.wanted.entry).map_or(0, |json| json.len()) + put.key.len() + LOGIN_OCTETS
            }
            Self::Delete(key) => key.len() + 8,
        }
    }

    /// The place within its domain.
    fn place(&self) -> u8 {
        match (self, self.key().starts_with("domain/")) {
            (Self::Delete(_), true) => 0,
            (Self::Delete(_), false) => 1,
            (Self::Put(_), false) => 2,
            (Self::Put(_), true) => 3,
        }
    }
}

/// A key that changes hands is deleted and put.
fn cost(put: &Put) -> usize {
    if put.takes_over() { 2 } else { 1 }
}

/// The changes, in order.
pub fn chunks(put: Vec<Put>, delete: Vec<String>) -> VecDeque<Chunk> {
    let mut domains: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    let items = delete.into_iter().map(Item::Delete).chain(put.into_iter().map(|it| Item::Put(Box::new(it))));
    for item in items {
        domains.entry(domain_name(item.key()).to_owned()).or_default().push(item);
    }
    let mut done = VecDeque::new();
    let mut open = Chunk::default();
    for mut items in domains.into_values() {
        items.sort_by_key(Item::place);
        let (entries, octets) = items.iter().fold((0, 0), |sum, it| (sum.0 + it.entries(), sum.1 + it.octets()));
        if !open.has_room(entries, octets) && !open.is_empty() {
            done.push_back(std::mem::take(&mut open));
        }
        for item in items {
            if !open.has_room(item.entries(), item.octets()) && !open.is_empty() {
                done.push_back(std::mem::take(&mut open));
            }
            open.add(item);
        }
    }
    if !open.is_empty() {
        done.push_back(open);
    }
    done
}

/// The domain's name in a key.
pub(super) fn domain_name(key: &str) -> &str {
    let (kind, rest) = key.split_once('/').unwrap_or(("", key));
    match kind {
        "domain" => rest,
        "dkim" => rest.split_once('/').map_or(rest, |(domain, _)| domain),
        // A local part may have any character, also @ in quotes.
        _ => rest.rsplit_once('@').map_or(rest, |(_, domain)| domain),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use paquebot_mta_api::directory::{AliasEntry, DomainEntry, Entry, Value};
    use uuid::Uuid;

    use super::*;

    fn put(value: Value) -> Put {
        let entry = Entry::new(Uuid::from_u128(1), value);
        Put { key: entry.value.key(), wanted: Arc::new(entry.into()), there: None }
    }

    fn domain_put(name: &str) -> Put {
        put(Value::Domain(DomainEntry { domain: name.parse().unwrap(), id: Uuid::nil(), catch_all: None }))
    }

    fn alias(address: String, targets: usize) -> Put {
        let to = vec![format!("{}@example.org", "x".repeat(60)).parse().unwrap(); targets];
        put(Value::Alias(AliasEntry { address: address.parse().unwrap(), to }))
    }

    #[test]
    fn a_domain_stays_together() {
        let mut all: Vec<Put> = Vec::new();
        for number in 0..6 {
            let name = format!("d{number}.example");
            all.push(domain_put(&name));
            all.extend((0..299).map(|local| alias(format!("a{local}@{name}"), 1)));
        }
        let chunks = chunks(all, Vec::new());
        assert_eq!(chunks.iter().map(Chunk::len).collect::<Vec<_>>(), [900, 900]);
        for chunk in &chunks {
            let names: std::collections::HashSet<&str> = chunk.put.iter().map(|it| domain_name(&it.key)).collect();
            assert_eq!(names.len(), 3);
        }
    }

    #[test]
    fn a_large_domain_comes_after_what_is_in_it_and_goes_before() {
        let name = "big.example";
        let mut all = vec![domain_put(name)];
        all.extend((0..2500).map(|local| alias(format!("a{local}@{name}"), 1)));
        let parts = chunks(all, Vec::new());
        assert_eq!(parts.iter().map(Chunk::len).collect::<Vec<_>>(), [1000, 1000, 501]);
        assert_eq!(parts[2].put.last().unwrap().key, "domain/big.example");
        let mut keys: Vec<String> = (0..1500).map(|local| format!("alias/a{local}@{name}")).collect();
        keys.push("domain/big.example".to_owned());
        let parts = chunks(Vec::new(), keys);
        assert_eq!(parts.iter().map(Chunk::len).collect::<Vec<_>>(), [1000, 501]);
        assert_eq!(parts[0].delete[0], "domain/big.example");
    }

    #[test]
    fn octets_count_and_so_does_changing_hands() {
        let large: Vec<Put> = (0..200).map(|local| alias(format!("a{local}@x.example"), 1000)).collect();
        let parts = chunks(large, Vec::new());
        assert!(parts.len() > 1);
        for part in &parts {
            let entries: Vec<&Entry> = part.put.iter().map(|it| &it.wanted.entry).collect();
            assert!(serde_json::to_vec(&entries).unwrap().len() <= CHUNK_OCTETS_MAX);
        }
        let mut taken = domain_put("x.example");
        taken.there = Some(paquebot_mta_api::admin::Listed {
            key: taken.key.clone(),
            owner: Uuid::from_u128(9),
            digest: Default::default(),
        });
        assert_eq!(chunks(vec![taken], Vec::new())[0].len(), 2);
    }

    #[test]
    fn halves_lose_nothing() {
        let all: Vec<Put> = (0..3).map(|local| alias(format!("a{local}@x.example"), 1)).collect();
        let chunk = chunks(all, vec!["domain/y.example".to_owned(), "alias/z@y.example".to_owned()]).remove(0).unwrap();
        let mut open = vec![chunk];
        let mut single = 0;
        while let Some(next) = open.pop() {
            match next.clone().halves() {
                Some((one, other)) => open.extend([one, other]),
                None => single += next.len(),
            }
        }
        assert_eq!(single, 5);
    }

    #[test]
    fn keys_and_their_domains() {
        for (key, name) in [
            ("domain/a.example", "a.example"),
            ("dkim/a.example/s1", "a.example"),
            ("mailbox/bob@a.example", "a.example"),
            ("alias/\"x/y@z\"@a.example", "a.example"),
        ] {
            assert_eq!(domain_name(key), name);
        }
    }
}
