//! Which domains are to be looked at now: a queue by due time, a few at a time. Pure: its owner has the clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    time::Instant,
};

use super::schedule;
use crate::dns::Record;

/// Domains that are looked at at the same time: a look takes a second, a dead server's ten, so that 10,000 domains
/// in order are done in ten minutes.
pub const AT_ONCE_MAX: usize = 32;

/// What a look depends on: when this changes, it is made soon.
pub fn fingerprint(records: &[Record], resolvers: &[SocketAddr]) -> u64 {
    // Within one process only: nothing is kept.
    let mut hasher = DefaultHasher::new();
    resolvers.hash(&mut hasher);
    for record in records {
        (&record.id, &record.name, record.data.kind(), record.data.plain(), record.elsewhere).hash(&mut hasher);
    }
    hasher.finish()
}

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is as wanted.
    Fine,
    /// It is not, and it is other than at the look before: somebody is at work.
    Moving,
    /// It is not.
    Failing,
}

/// The queue.
#[derive(Debug, Clone)]
pub struct Checks<Id> {
    entries: BTreeMap<Id, Entry>,
    order: BTreeSet<(Instant, Id)>,
    running: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    fingerprint: u64,
    changed_at: Instant,
    failures: u32,
    /// In `order` at this time; none while it runs.
    due: Option<Instant>,
    /// It was forgotten while it ran.
    gone: bool,
}

impl<Id: Ord + Clone> Default for Checks<Id> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), order: BTreeSet::new(), running: 0 }
    }
}

impl<Id: Ord + Clone> Checks<Id> {
    /// A domain that is to be watched. Said again with the same fingerprint it changes nothing; with another one, the
    /// next look is soon.
    pub fn want(&mut self, id: &Id, fingerprint: u64, now: Instant) {
        let known = self.entries.get_mut(id);
        if let Some(entry) = known {
            let same = entry.fingerprint == fingerprint && !entry.gone;
            entry.gone = false;
            if same {
                return;
            }
            (entry.fingerprint, entry.changed_at, entry.failures) = (fingerprint, now, 0);
            let Some(due) = entry.due else { return };
            self.order.remove(&(due, id.clone()));
        }
        let due = schedule::next(None, false, now, 0, 0.5);
        if let Some(entry) = self.entries.get_mut(id) {
            entry.due = Some(due);
        } else {
            let entry = Entry { fingerprint, changed_at: now, failures: 0, due: Some(due), gone: false };
            self.entries.insert(id.clone(), entry);
        }
        self.order.insert((due, id.clone()));
    }

    /// A domain that is not watched any more.
    pub fn forget(&mut self, id: &Id) {
        match self.entries.get_mut(id).map(|entry| entry.due) {
            Some(Some(due)) => {
                self.order.remove(&(due, id.clone()));
                self.entries.remove(id);
            }
            // It runs: its place is free when it ends.
            Some(None) => {
                if let Some(entry) = self.entries.get_mut(id) {
                    entry.gone = true;
                }
            }
            None => {}
        }
    }

    /// The domains to look at now, the longest due first; no more than there are places. Each is to be reported by
    /// [`Self::finished`].
    pub fn due(&mut self, now: Instant) -> Vec<Id> {
        let mut found = Vec::new();
        while self.running < AT_ONCE_MAX {
            let Some((due, id)) = self.order.first().cloned().filter(|(due, _)| *due <= now) else { break };
            self.order.remove(&(due, id.clone()));
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.due = None;
                self.running += 1;
                found.push(id);
            }
        }
        found
    }

    /// A look ended. `started` is when it began: a change since then makes the next one soon; `jitter` lies in 0..=1.
    pub fn finished(&mut self, id: &Id, outcome: Outcome, started: Instant, now: Instant, jitter: f64) {
        let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.due.is_none()) else { return };
        self.running = self.running.saturating_sub(1);
        if entry.gone {
            self.entries.remove(id);
            return;
        }
        let last = if entry.changed_at > started {
            None
        } else {
            let failures = entry.failures.saturating_add(1);
            entry.failures = match outcome {
                Outcome::Fine => 0,
                Outcome::Moving => failures.min(schedule::MOVING_FAILURES_MAX),
                Outcome::Failing => failures,
            };
            Some(now)
        };
        let due = schedule::next(last, outcome == Outcome::Fine, entry.changed_at, entry.failures, jitter);
        entry.due = Some(due);
        self.order.insert((due, id.clone()));
    }

    /// When the next look is due; none while all places are taken or nothing is watched.
    pub fn next_due(&self) -> Option<Instant> {
        self.order.first().map(|(due, _)| *due).filter(|_| self.running < AT_ONCE_MAX)
    }

    /// Domains that are watched.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn ten_thousand_domains_take_turns() {
        let start = Instant::now();
        let mut checks = Checks::default();
        (0..10_000_u32).for_each(|id| checks.want(&id, 1, start));
        assert_eq!(checks.due(at(start, 1)), Vec::<u32>::new());
        let (mut now, mut seen) = (at(start, 2), BTreeSet::new());
        while seen.len() < 10_000 {
            let batch = checks.due(now);
            assert!(!batch.is_empty() && batch.len() <= AT_ONCE_MAX);
            if batch.len() == AT_ONCE_MAX {
                assert_eq!(checks.due(now), Vec::<u32>::new(), "no place is left");
                assert_eq!(checks.next_due(), None);
            }
            for id in &batch {
                assert!(seen.insert(*id), "{id} twice before the others once");
                checks.finished(id, Outcome::Fine, now, now, 0.5);
            }
            now += Duration::from_millis(10);
        }
        assert_eq!(checks.len(), 10_000);
        assert_eq!(checks.next_due(), Some(at(start, 2 + 1800)));
    }

    #[test]
    fn a_change_is_looked_at_soon() {
        let start = Instant::now();
        let mut checks = Checks::default();
        checks.want(&"a", 1, start);
        assert_eq!(checks.due(at(start, 2)), ["a"]);
        checks.finished(&"a", Outcome::Fine, at(start, 2), at(start, 3), 0.5);
        checks.want(&"a", 1, at(start, 4));
        assert_eq!(checks.next_due(), Some(at(start, 1803)), "nothing changed");
        checks.want(&"a", 2, at(start, 5));
        assert_eq!(checks.next_due(), Some(at(start, 7)));
        assert_eq!(checks.due(at(start, 7)), ["a"]);
        // Changed while it runs: what it finds is old.
        checks.want(&"a", 3, at(start, 8));
        assert_eq!(checks.due(at(start, 20)), Vec::<&str>::new(), "not twice at the same time");
        checks.finished(&"a", Outcome::Fine, at(start, 7), at(start, 9), 0.5);
        assert_eq!(checks.next_due(), Some(at(start, 10)));
    }

    #[test]
    fn failures_back_off_until_it_is_mended() {
        let start = Instant::now();
        let mut checks = Checks::default();
        checks.want(&"a", 1, start);
        let mut now = at(start, 2);
        for pause in [5, 10, 20, 40] {
            assert_eq!(checks.due(now), ["a"]);
            checks.finished(&"a", Outcome::Failing, now, now, 0.5);
            now += Duration::from_secs(pause);
            assert_eq!(checks.next_due(), Some(now));
        }
        assert_eq!(checks.due(now), ["a"]);
        checks.finished(&"a", Outcome::Fine, now, now, 0.5);
        assert_eq!(checks.next_due(), Some(now + schedule::SETTLED));
    }

    #[test]
    fn whoever_is_at_work_is_not_kept_waiting() {
        let start = Instant::now();
        let mut checks = Checks::default();
        checks.want(&"a", 1, start);
        let mut now = at(start, 2);
        let long = [(Outcome::Failing, 5), (Outcome::Failing, 10), (Outcome::Failing, 20), (Outcome::Failing, 40)];
        let then = [(Outcome::Failing, 80), (Outcome::Moving, 40), (Outcome::Moving, 40), (Outcome::Failing, 80)];
        for (outcome, pause) in long.into_iter().chain(then) {
            assert_eq!(checks.due(now), ["a"]);
            checks.finished(&"a", outcome, now, now, 0.5);
            now += Duration::from_secs(pause);
            assert_eq!(checks.next_due(), Some(now), "{outcome:?}");
        }
    }

    #[test]
    fn what_is_forgotten_gives_its_place_back() {
        let start = Instant::now();
        let mut checks = Checks::default();
        for id in ["a", "b"] {
            checks.want(&id, 1, start);
        }
        checks.forget(&"a");
        assert_eq!(checks.due(at(start, 2)), ["b"]);
        checks.forget(&"b");
        checks.finished(&"b", Outcome::Fine, at(start, 2), at(start, 3), 0.5);
        assert!(checks.is_empty() && checks.next_due().is_none() && checks.running == 0);
        // Forgotten while it ran, and wanted again before it ended.
        checks.want(&"c", 1, start);
        assert_eq!(checks.due(at(start, 4)), ["c"]);
        checks.forget(&"c");
        checks.want(&"c", 1, at(start, 5));
        checks.finished(&"c", Outcome::Fine, at(start, 4), at(start, 6), 0.5);
        assert_eq!(checks.next_due(), Some(at(start, 7)));
        checks.finished(&"c", Outcome::Fine, at(start, 4), at(start, 6), 0.5);
        assert_eq!(checks.running, 0, "said twice");
    }
}
