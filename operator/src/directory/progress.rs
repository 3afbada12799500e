//! Which owners' entries are served as they want them. Pure.

use std::collections::HashMap;

use paquebot_mta_api::directory::Digest;
use uuid::Uuid;

use super::desired::Desired;

/// How far the pods have come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The digest of the directory as it was last left; `None`: nothing is known yet.
    root: Option<Digest>,
    /// The owners whose entries are in it as wanted.
    written: HashMap<Uuid, Digest>,
    /// The same when all ready pods last served it.
    agreed: HashMap<Uuid, Digest>,
}

impl Progress {
    /// The directory is as wanted now, for these owners.
    pub fn written(&mut self, root: Digest, as_wanted: HashMap<Uuid, Digest>) {
        (self.root, self.written) = (Some(root), as_wanted);
    }

    /// What pods should serve.
    pub fn root(&self) -> Option<Digest> {
        self.root
    }

    /// What the ready pods serve, `None` for one that does not say; whether all serve what they should.
    pub fn served(&mut self, ready: &[Option<Digest>]) -> bool {
        let Some(root) = self.root else { return false };
        let agree = !ready.is_empty() && ready.iter().all(|served| *served == Some(root));
        if agree {
            self.agreed = self.written.clone();
        }
        agree
    }

    /// The owners that want now what all ready pods served when they last agreed, with the generation that wants it
    /// (0: not told).
    pub fn programmed(&self, desired: &Desired) -> HashMap<Uuid, i64> {
        let same = |(owner, digest): &(&Uuid, &Digest)| desired.digest_of(**owner) == Some(**digest);
        let generation = |owner| desired.generations.get(owner).copied().unwrap_or_default();
        self.agreed.iter().filter(same).map(|(owner, _)| (*owner, generation(owner))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use paquebot_mta_api::directory::{DomainEntry, Entry, Value};

    use super::*;

    fn desired(domains: &[(u128, &str, u128)]) -> Desired {
        let entry = |(owner, name, id): &(u128, &str, u128)| {
            let (domain, id) = (name.parse().unwrap(), Uuid::from_u128(*id));
            Entry::new(Uuid::from_u128(*owner), Value::Domain(DomainEntry { domain, id, catch_all: None })).into()
        };
        Desired::new(domains.iter().map(entry).collect(), HashSet::new(), HashMap::new())
    }

    #[test]
    fn a_newcomer_counts_when_all_agree_and_the_others_go_on() {
        let (root, next) = (Digest([1; 32]), Digest([2; 32]));
        let one = desired(&[(1, "a.example", 1)]);
        let two = desired(&[(1, "a.example", 1), (2, "b.example", 2)]);
        let changed = desired(&[(1, "a.example", 9), (2, "b.example", 2)]);
        let uids = |numbers: &[u128]| numbers.iter().map(|it| (Uuid::from_u128(*it), 0)).collect::<HashMap<_, _>>();
        let mut progress = Progress::default();
        assert!(!progress.served(&[Some(root)]), "nothing was compared yet");
        progress.written(root, one.by_owner.clone());
        assert!(!progress.served(&[]), "no pod is ready");
        assert!(!progress.served(&[Some(root), None]), "one is silent");
        assert_eq!(progress.programmed(&one), uids(&[]));
        assert!(progress.served(&[Some(root), Some(root)]));
        assert_eq!(progress.programmed(&one), uids(&[1]));
        progress.written(next, two.by_owner.clone());
        assert!(!progress.served(&[Some(next), Some(root)]), "one is behind");
        assert_eq!(progress.programmed(&two), uids(&[1]), "what was agreed stays");
        assert!(progress.served(&[Some(next)]));
        assert_eq!(progress.programmed(&two), uids(&[1, 2]));
        assert_eq!(progress.programmed(&changed), uids(&[2]), "what changed does not");
        let again = two.of([(Uuid::from_u128(1), 7)].into());
        let wanted = [(Uuid::from_u128(1), 7), (Uuid::from_u128(2), 0)];
        assert_eq!(progress.programmed(&again), wanted.into(), "a generation that wants the same");
    }
}
