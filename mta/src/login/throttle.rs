//! How often a login may fail. Pure: takes `now`; bounded whatever clients do.
//!
//! A pair of network and name that has logged in before has a budget of its own, so that neither
//! guessing at a name from elsewhere nor a neighbour's broken program locks the real user out.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Failures older than this are forgotten.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);
/// How long a pair that has logged in is remembered.
pub const KNOWN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Networks, names and pairs that are followed; above it the oldest half is forgotten.
pub const TRACKED_MAX: usize = 65_536;

/// Who failures count against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    /// An IPv4 address or an IPv6 /64.
    Network(IpAddr),
    /// A hash of a name: names may be long, and a stranger chooses them.
    Name(u64),
    /// A pair that has logged in.
    Known(IpAddr, u64),
}

/// An attempt under way; it counts as failed until [`Throttle::succeeded`] or [`Throttle::undecided`].
#[derive(Debug)]
#[must_use = "an attempt that is dropped stays counted as failed"]
pub struct Attempt {
    at: Instant,
    network: IpAddr,
    name: u64,
    counted: Vec<Subject>,
}

/// What is remembered of failures and successes.
#[derive(Debug)]
pub struct Throttle {
    failures_max: usize,
    hasher: RandomState,
    failures: HashMap<Subject, Vec<Instant>>,
    known: HashMap<(IpAddr, u64), Instant>,
}

impl Throttle {
    /// So many failures of a network, and of a name, within [`WINDOW`].
    pub fn new(failures_max: u32) -> Self {
        Self {
            failures_max: usize::try_from(failures_max).unwrap_or(usize::MAX).max(1),
            hasher: RandomState::new(),
            failures: HashMap::new(),
            known: HashMap::new(),
        }
    }

    /// Whether an attempt may be made; counts nothing.
    pub fn allows(&self, now: Instant, client: IpAddr, name: &str) -> bool {
        let (network, name) = (network(client), self.hash(name));
        self.subjects(now, network, name).iter().all(|subject| self.recent(now, subject) < self.failures_max)
    }

    /// Starts an attempt and counts it as failed at once: many at the same time cannot slip through.
    /// `None`: too many failures.
    pub fn begin(&mut self, now: Instant, client: IpAddr, name: &str) -> Option<Attempt> {
        if !self.allows(now, client, name) {
            return None;
        }
        let (network, name) = (network(client), self.hash(name));
        let counted = self.subjects(now, network, name);
        for subject in &counted {
            make_room(&mut self.failures, subject, |times| {
                times.last().copied().filter(|last| now.saturating_duration_since(*last) < WINDOW)
            });
            let times = self.failures.entry(*subject).or_default();
            times.retain(|at| now.saturating_duration_since(*at) < WINDOW);
            times.push(now);
        }
        Some(Attempt { at: now, network, name, counted })
    }

    /// It was the right password. Earlier failures stay: an attacker's own mailbox clears nothing.
    pub fn succeeded(&mut self, now: Instant, attempt: Attempt) {
        let pair = (attempt.network, attempt.name);
        self.undecided(attempt);
        make_room(&mut self.known, &pair, |last| {
            Some(*last).filter(|last| now.saturating_duration_since(*last) < KNOWN)
        });
        self.known.insert(pair, now);
    }

    /// Nobody could tell whether it was right: it does not count.
    pub fn undecided(&mut self, attempt: Attempt) {
        for subject in &attempt.counted {
            if let Some(times) = self.failures.get_mut(subject) {
                if let Some(place) = times.iter().rposition(|at| *at == attempt.at) {
                    times.swap_remove(place);
                    times.sort_unstable();
                }
                if times.is_empty() {
                    self.failures.remove(subject);
                }
            }
        }
    }

    fn subjects(&self, now: Instant, network: IpAddr, name: u64) -> Vec<Subject> {
        match self.known.get(&(network, name)) {
            Some(last) if now.saturating_duration_since(*last) < KNOWN => vec![Subject::Known(network, name)],
            _ => vec![Subject::Network(network), Subject::Name(name)],
        }
    }

    fn recent(&self, now: Instant, subject: &Subject) -> usize {
        let times = self.failures.get(subject).map_or(&[][..], Vec::as_slice);
        times.iter().filter(|at| now.saturating_duration_since(**at) < WINDOW).count()
    }

    fn hash(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }
}

/// One client of IPv6 has a /64 to itself (RFC 6177 §2), so an address of it means nothing.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Keeps a map within [`TRACKED_MAX`]: what is past its time goes, then the older half. `last`: when an
/// entry was last used, `None` where it is past its time.
fn make_room<K: Copy + Eq + Hash, V>(map: &mut HashMap<K, V>, key: &K, last: impl Fn(&V) -> Option<Instant>) {
    if map.len() < TRACKED_MAX || map.contains_key(key) {
        return;
    }
    map.retain(|_, value| last(value).is_some());
    if map.len() < TRACKED_MAX {
        return;
    }
    let mut times: Vec<_> = map.values().filter_map(&last).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    let mut surplus = map.len() / 2;
    map.retain(|_, value| {
        let goes = surplus > 0 && last(value).is_none_or(|at| at <= median);
        surplus -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "alice@example.com";
    const MINUTE: Duration = Duration::from_secs(60);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn fail(throttle: &mut Throttle, now: Instant, client: &str, name: &str) -> bool {
        throttle.begin(now, ip(client), name).is_some()
    }

    #[test]
    fn a_network_fails_so_often_within_the_window() {
        let (mut throttle, start) = (Throttle::new(3), Instant::now());
        for minute in 0..3 {
            assert!(fail(&mut throttle, start + MINUTE * minute, "192.0.2.1", &format!("user{minute}")));
        }
        for (after, client, allowed) in [
            (MINUTE * 3, "192.0.2.1", false),
            (MINUTE * 3, "::ffff:192.0.2.1", false),
            (MINUTE * 3, "192.0.2.2", true),
            (MINUTE * 14, "192.0.2.1", false),
            (MINUTE * 15, "192.0.2.1", true),
        ] {
            assert_eq!(throttle.allows(start + after, ip(client), "new"), allowed, "{after:?} {client}");
        }
    }

    #[test]
    fn an_ipv6_client_is_its_64() {
        let (mut throttle, now) = (Throttle::new(1), Instant::now());
        assert!(fail(&mut throttle, now, "2001:db8::1", "a"));
        assert!(!fail(&mut throttle, now, "2001:db8::2:0:0:1", "b"));
        assert!(fail(&mut throttle, now, "2001:db8:0:1::1", "c"));
    }

    #[test]
    fn a_name_fails_so_often_from_everywhere() {
        let (mut throttle, now) = (Throttle::new(2), Instant::now());
        assert!(fail(&mut throttle, now, "192.0.2.1", ALICE));
        assert!(fail(&mut throttle, now, "192.0.2.2", ALICE));
        assert!(!fail(&mut throttle, now, "192.0.2.3", ALICE));
        assert!(fail(&mut throttle, now, "192.0.2.3", "bob@example.com"));
    }

    #[test]
    fn guessing_does_not_lock_the_user_out_where_she_has_logged_in() {
        let (mut throttle, now) = (Throttle::new(2), Instant::now());
        let attempt = throttle.begin(now, ip("192.0.2.1"), ALICE).unwrap();
        throttle.succeeded(now, attempt);
        while fail(&mut throttle, now, "198.51.100.1", ALICE) {}
        while fail(&mut throttle, now, "192.0.2.1", "neighbour@example.com") {}
        assert!(throttle.allows(now, ip("192.0.2.1"), ALICE));
        assert!(!throttle.allows(now, ip("192.0.2.9"), ALICE));
        assert!(!throttle.allows(now + WINDOW - MINUTE, ip("192.0.2.1"), "other@example.com"));
        assert!(fail(&mut throttle, now, "192.0.2.1", ALICE));
        assert!(fail(&mut throttle, now, "192.0.2.1", ALICE));
        assert!(!fail(&mut throttle, now, "192.0.2.1", ALICE), "the pair has a budget too");
    }

    #[test]
    fn an_attacker_with_a_mailbox_clears_nothing() {
        let (mut throttle, now) = (Throttle::new(3), Instant::now());
        let mut guesses = 0;
        for _ in 0..10 {
            guesses += usize::from(fail(&mut throttle, now, "192.0.2.1", ALICE));
            if let Some(own) = throttle.begin(now, ip("192.0.2.1"), "attacker@example.com") {
                throttle.succeeded(now, own);
            }
        }
        assert_eq!(guesses, 3);
    }

    #[test]
    fn attempts_at_the_same_time_count() {
        let (mut throttle, now) = (Throttle::new(2), Instant::now());
        let open: Vec<_> = (0..5).filter_map(|_| throttle.begin(now, ip("192.0.2.1"), ALICE)).collect();
        assert_eq!(open.len(), 2);
        open.into_iter().for_each(|attempt| throttle.undecided(attempt));
        assert!(throttle.allows(now, ip("192.0.2.1"), ALICE));
        assert!(throttle.failures.is_empty());
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let (mut throttle, start) = (Throttle::new(1), Instant::now());
        for n in 0..u32::try_from(TRACKED_MAX).unwrap() {
            let now = start + Duration::from_millis(u64::from(n));
            drop(throttle.begin(now, IpAddr::V4(n.into()), &n.to_string()));
        }
        assert!(throttle.failures.len() <= TRACKED_MAX);
        let last = u32::try_from(TRACKED_MAX).unwrap() - 1;
        let now = start + Duration::from_millis(u64::from(last));
        assert!(!throttle.allows(now, IpAddr::V4(last.into()), "x"), "the newest are kept");
    }
}
