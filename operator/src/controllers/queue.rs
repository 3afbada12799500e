//! What is to be reconciled, and when: each key once, never two workers at one key, failures backed off with jitter.
//!
//! Holds keys only. Bounded by the number of objects that there are: a key waits once, however often it is added.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// The pause after a first failure; doubled after each more.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What became of a key that was worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// All is as wanted: a change brings it back.
    Settled,
    /// Looked at again by then, without fault.
    After(Duration),
    /// A temporary fault: again, later each time.
    Failed,
}

/// The queue.
#[derive(Debug)]
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<K> {
    due: BTreeSet<(Instant, K)>,
    when: HashMap<K, Instant>,
    /// Those of them that a change woke: they did not come due by themselves.
    woken: HashSet<K>,
    /// Worked on now.
    busy: HashMap<K, Busy>,
    failures: HashMap<K, u32>,
}

/// How a key is worked on.
#[derive(Debug, Clone, Copy, Default)]
struct Busy {
    /// A change woke it.
    woken: bool,
    /// It was added meanwhile.
    again: bool,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        let state = State {
            due: BTreeSet::new(),
            when: HashMap::new(),
            woken: HashSet::new(),
            busy: HashMap::new(),
            failures: HashMap::new(),
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }
}

impl<K: Clone + Ord + Hash> Queue<K> {
    /// Due now.
    pub fn add(&self, key: K) {
        let now = Instant::now();
        let mut state = self.lock();
        match state.busy.get_mut(&key) {
            Some(busy) => busy.again = true,
            None => state.wake(key, now),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The next key that is due; nobody else gets it until [`Queue::done`].
    pub async fn next(&self) -> K {
        loop {
            let wait = {
                let mut state = self.lock();
                match state.take(Instant::now()) {
                    Ok(key) => {
                        // Others may have something to do too: one notification wakes one worker.
                        self.changed.notify_one();
                        return key;
                    }
                    Err(wait) => wait,
                }
            };
            match wait {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at.into(), self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// The work on a key ended. `jitter` is between 0 and 1.
    pub fn done(&self, key: K, done: Done, jitter: f64) {
        let now = Instant::now();
        let mut state = self.lock();
        let Busy { woken, again } = state.busy.remove(&key).unwrap_or_default();
        match done {
            Done::Failed => {
                let failures = state.failures.entry(key.clone()).or_insert(0);
                // Only a pause that was waited for makes the next one longer: changes wake a key far more often.
                *failures = if woken { (*failures).max(1) } else { failures.saturating_add(1) };
                let failures = *failures;
                if again {
                    // What changed meanwhile may be what was missing.
                    state.wake(key, now + pause(1, jitter));
                } else {
                    state.schedule(key, now + pause(failures, jitter));
                }
            }
            Done::Settled | Done::After(_) => {
                state.failures.remove(&key);
                if again {
                    state.wake(key, now);
                } else if let Done::After(pause) = done {
                    state.schedule(key, now + pause);
                }
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Keys that wait or are worked on.
    pub fn len(&self) -> usize {
        let state = self.lock();
        state.when.len() + state.busy.len()
    }

    /// Whether none waits and none is worked on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Ord + Hash> State<K> {
    fn schedule(&mut self, key: K, at: Instant) {
        if let Some(before) = self.when.get(&key) {
            if *before <= at {
                return;
            }
            self.due.remove(&(*before, key.clone()));
        }
        self.when.insert(key.clone(), at);
        self.due.insert((at, key));
    }

    /// Scheduled by a change.
    fn wake(&mut self, key: K, at: Instant) {
        // A key that waits for an earlier time comes due by itself.
        if self.when.get(&key).is_none_or(|before| at < *before) {
            self.woken.insert(key.clone());
        }
        self.schedule(key, at);
    }

    /// The first key that is due, or when one will be.
    fn take(&mut self, now: Instant) -> Result<K, Option<Instant>> {
        let Some((at, key)) = self.due.first().cloned() else { return Err(None) };
        if at > now {
            return Err(Some(at));
        }
        self.due.remove(&(at, key.clone()));
        self.when.remove(&key);
        let woken = self.woken.remove(&key);
        self.busy.insert(key.clone(), Busy { woken, again: false });
        Ok(key)
    }
}

/// Exponential, with up to half of it as jitter: objects that failed together are not tried together.
fn pause(failures: u32, jitter: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    doubled.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_waits_once_and_is_worked_on_by_one() {
        let queue = Queue::default();
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.len(), 2);
        assert_eq!(queue.next().await, "a");
        assert_eq!(queue.next().await, "b");
        queue.add("a");
        let idle = tokio::time::timeout(Duration::from_millis(20), queue.next()).await;
        assert!(idle.is_err(), "a is worked on");
        queue.done("a", Done::Settled, 0.5);
        assert_eq!(queue.next().await, "a", "it changed while it was worked on");
        queue.done("a", Done::Settled, 0.5);
        queue.done("b", Done::Settled, 0.5);
        assert!(queue.is_empty());
    }

    #[tokio::test]
    async fn an_earlier_time_wins_and_a_change_ends_a_pause() {
        let queue = Queue::default();
        queue.add("a");
        let key = queue.next().await;
        queue.done(key, Done::After(Duration::from_secs(3600)), 0.0);
        assert_eq!(queue.len(), 1);
        queue.add("a");
        assert_eq!(queue.next().await, "a");
    }

    /// Each step: who brought the key, and whether it was added while it was worked on; then it fails.
    #[test]
    fn only_a_try_that_came_due_by_itself_makes_pauses_longer() {
        let (woken, due) = (true, false);
        for (case, steps, failures) in [
            ("by itself", &[(woken, false), (due, false), (due, false)][..], 3),
            ("woken each time", &[(woken, false), (woken, false), (woken, false), (woken, false)], 1),
            ("woken between", &[(woken, false), (due, false), (woken, false), (due, false)], 3),
            ("added meanwhile, then its short pause", &[(woken, true), (due, true), (due, false), (due, false)], 2),
        ] {
            let queue = Queue::default();
            for (by, meanwhile) in steps {
                if *by {
                    queue.add("a");
                }
                let at = if *by { Instant::now() } else { Instant::now() + 2 * LONGEST_PAUSE };
                assert_eq!(queue.lock().take(at), Ok("a"), "{case}");
                if *meanwhile {
                    queue.add("a");
                }
                queue.done("a", Done::Failed, 0.0);
            }
            assert_eq!(queue.lock().failures.get("a"), Some(&failures), "{case}");
            let longest = Instant::now() + pause(failures, 0.0);
            assert!(queue.lock().when["a"] <= longest, "{case}");
        }
    }

    #[test]
    fn pauses_grow_and_end() {
        assert_eq!(pause(1, 0.0), Duration::from_secs(1));
        assert_eq!(pause(4, 0.0), Duration::from_secs(8));
        assert_eq!(pause(4, 1.0), Duration::from_secs(4));
        assert_eq!(pause(40, 0.0), LONGEST_PAUSE);
    }
}
