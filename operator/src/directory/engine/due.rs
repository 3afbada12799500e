//! Whether a comparison is due, and how long to wait. Pure.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use paquebot_mta_api::{admin::DirectoryState, directory::Digest};
use tokio::time::Instant;
use uuid::Uuid;

use super::Pace;
use crate::directory::{desired::Desired, target::Target};

/// What the last comparison was made of.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    pub at: Instant,
    pub epoch: u64,
    pub root: Digest,
    /// Some entries could not be written as wanted.
    pub failed: bool,
    /// The pods that answered then.
    pub pods: BTreeSet<String>,
    pub desired: Arc<Desired>,
    pub watches_synced: bool,
    pub gone: Arc<HashSet<Uuid>>,
    pub confirmed: Option<usize>,
}

/// Why a comparison is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// None was made yet.
    First,
    /// What is wanted, or known, has changed.
    Target,
    /// Another term of leadership.
    Epoch,
    /// A pod that was not there.
    NewPod,
    /// A pod's store is not as it was left.
    Drift,
    /// It is time.
    Time,
}

/// Whether a comparison is due. `answered`: the pods that answer, with their states.
pub(super) fn due(
    last: Option<&Compared>,
    target: &Target,
    epoch: u64,
    answered: &[(&str, &DirectoryState)],
    pace: &Pace,
    now: Instant,
) -> Option<Due> {
    let Some(last) = last else { return Some(Due::First) };
    let waited = now.saturating_duration_since(last.at);
    let may_complete = target.watches_synced && target.all_known;
    if last.epoch != epoch {
        Some(Due::Epoch)
    } else if !Arc::ptr_eq(&last.desired, &target.desired)
        || last.watches_synced != target.watches_synced
        || last.gone != target.gone
        || last.confirmed != target.confirmed
    {
        Some(Due::Target)
    } else if answered.iter().any(|(uid, _)| !last.pods.contains(*uid)) {
        Some(Due::NewPod)
    } else if answered.iter().any(|(_, state)| state.root != last.root || (may_complete && !state.complete)) {
        Some(Due::Drift)
    } else if waited >= pace.compare || (last.failed && waited >= pace.seldom) {
        Some(Due::Time)
    } else {
        None
    }
}

/// The wait after so many faults in a row. `jitter`: from 0 to 1; spreads what failed together.
pub(super) fn backoff(faults: u32, pace: &Pace, jitter: f64) -> Duration {
    let doubled = pace.soon.saturating_mul(1 << faults.saturating_sub(1).min(16));
    doubled.min(pace.backoff_max).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// The wait until pods are asked again, after so many questions since the last write.
pub(super) fn ask_again(agree: bool, questions: u32, pace: &Pace) -> Duration {
    if agree { pace.seldom } else { pace.soon.saturating_mul(1 << questions.min(16)).min(pace.seldom) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            server: Uuid::from_u128(1),
            pods: Vec::new(),
            desired: Arc::default(),
            watches_synced: true,
            all_known: true,
            gone: Arc::default(),
            confirmed: None,
        }
    }

    fn state(root: u8) -> DirectoryState {
        let root = Digest([root; 32]);
        DirectoryState { epoch: 3, revision: 1, complete: true, root, served_revision: 1, served_root: root }
    }

    #[test]
    fn each_reason() {
        let (pace, at, target) = (Pace::default(), Instant::now(), target());
        let last = Compared {
            at,
            epoch: 3,
            root: Digest([1; 32]),
            failed: false,
            pods: BTreeSet::from(["a".to_owned()]),
            desired: target.desired.clone(),
            watches_synced: true,
            gone: target.gone.clone(),
            confirmed: None,
        };
        let (same, other) = (state(1), state(2));
        let fresh = DirectoryState { complete: false, ..state(1) };
        let soon = at + pace.soon;
        let check = |last: Option<&Compared>, target: &Target, epoch, answered: &[(&str, &DirectoryState)], now| {
            due(last, target, epoch, answered, &pace, now)
        };
        assert_eq!(check(None, &target, 3, &[], soon), Some(Due::First));
        assert_eq!(check(Some(&last), &target, 3, &[("a", &same)], soon), None);
        assert_eq!(check(Some(&last), &target, 3, &[], soon), None, "nobody answers");
        assert_eq!(check(Some(&last), &target, 4, &[("a", &same)], soon), Some(Due::Epoch));
        assert_eq!(check(Some(&last), &target, 3, &[("a", &same), ("b", &same)], soon), Some(Due::NewPod));
        assert_eq!(check(Some(&last), &target, 3, &[("a", &other)], soon), Some(Due::Drift));
        assert_eq!(check(Some(&last), &target, 3, &[("a", &fresh)], soon), Some(Due::Drift));
        assert_eq!(check(Some(&last), &target, 3, &[("a", &same)], at + pace.compare), Some(Due::Time));
        let failed = Compared { failed: true, ..last.clone() };
        assert_eq!(check(Some(&failed), &target, 3, &[("a", &same)], soon), None);
        assert_eq!(check(Some(&failed), &target, 3, &[("a", &same)], at + pace.seldom), Some(Due::Time));
        for changed in [
            Target { desired: Arc::default(), ..target.clone() },
            Target { watches_synced: false, ..target.clone() },
            Target { gone: Arc::new(HashSet::from([Uuid::nil()])), ..target.clone() },
            Target { confirmed: Some(12), ..target.clone() },
        ] {
            assert_eq!(check(Some(&last), &changed, 3, &[("a", &same)], soon), Some(Due::Target));
        }
    }

    #[test]
    fn waits_grow_and_end() {
        let pace = Pace::default();
        let seconds = |wait: Duration| wait.as_secs_f64();
        assert_eq!([1, 2, 3, 9, 99].map(|faults| seconds(backoff(faults, &pace, 1.0))), [1.0, 2.0, 4.0, 60.0, 60.0]);
        assert_eq!(seconds(backoff(99, &pace, 0.0)), 30.0);
        assert_eq!([0, 1, 4, 5, 99].map(|asked| seconds(ask_again(false, asked, &pace))), [1.0, 2.0, 16.0, 30.0, 30.0]);
        assert_eq!(seconds(ask_again(true, 0, &pace)), 30.0);
    }
}
