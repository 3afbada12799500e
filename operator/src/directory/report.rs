//! What comes out of the engine of a MailServer.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use paquebot_mta_api::{address::Domain, directory::Digest};
use uuid::Uuid;

use super::compare::{Conflict, Held};

/// Held deletions that are named at most; all are counted.
pub const NAMED_MAX: usize = 100;

/// What is known of a MailServer's directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Each pod, by its UID.
    pub pods: BTreeMap<String, PodState>,
    /// The directory was compared at least once since the engine started: before that, nothing here says anything.
    pub compared: bool,
    /// A complete set is in the store: pods can be ready.
    pub complete: bool,
    /// The store's revision when it was last seen.
    pub revision: u64,
    /// The UIDs of the owners whose entries every ready pod serves as they are wanted now, and the generation of the
    /// resource that wants them (0: not told).
    pub programmed: Arc<HashMap<Uuid, i64>>,
    /// The UIDs of owners that were not wholly known when the directory was compared: what it has of them stayed.
    pub incomplete: Arc<HashSet<Uuid>>,
    /// The UID of the resource that holds each domain's name in the directory.
    pub holders: Arc<BTreeMap<Domain, Uuid>>,
    /// The DKIM keys that the directory has and can open, by their keys there, and whose they are.
    pub sealed: Arc<BTreeMap<String, Uuid>>,
    /// Deletions that are held back, [`NAMED_MAX`] at most.
    pub held: Vec<Held>,
    /// How many deletions wait for a person to confirm them by this number; 0: none.
    pub to_confirm: usize,
    /// Keys that are wanted by one and held by another: one for each who wants some.
    pub conflicts: Arc<HashMap<Uuid, Conflict>>,
    /// Owners whose entries could not be written as wanted, and why.
    pub failed: Arc<HashMap<Uuid, String>>,
    /// What keeps the directory from being as wanted; `None`: nothing.
    pub problem: Option<Problem>,
}

impl Report {
    /// Selectors of the DKIM keys that the directory has of a MailDomain; `None`: it was not looked at yet.
    pub fn sealed_of(&self, domain: &str, owner: Uuid) -> Option<BTreeSet<String>> {
        let prefix = format!("dkim/{domain}/");
        let keys = self.sealed.range(prefix.clone()..).map_while(|(key, it)| Some((key.strip_prefix(&prefix)?, *it)));
        let own = keys.filter(|(_, it)| *it == owner).map(|(selector, _)| selector.to_owned());
        self.compared.then(|| own.collect())
    }
}

/// What a pod said when it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodState {
    /// It answered.
    Serves {
        /// The digest of what it serves.
        root: Digest,
        /// Whether that is what it should serve.
        current: bool,
    },
    /// It did not, and why.
    Silent(String),
}

/// What keeps the directory from being as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// CamelCase, for conditions.
    pub reason: &'static str,
    /// A sentence that says what to do.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_keys_the_directory_has() {
        let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let keys = [("a.example/s1", own), ("a.example/s2", other), ("a.example.org/s3", own), ("b.example/s4", own)];
        let sealed = keys.map(|(key, owner)| (format!("dkim/{key}"), owner));
        let mut report = Report { sealed: Arc::new(sealed.into()), ..Report::default() };
        assert_eq!(report.sealed_of("a.example", own), None, "it was not looked at yet");
        report.compared = true;
        assert_eq!(report.sealed_of("a.example", own), Some(BTreeSet::from(["s1".to_owned()])));
        assert_eq!(report.sealed_of("c.example", own), Some(BTreeSet::new()));
    }
}
