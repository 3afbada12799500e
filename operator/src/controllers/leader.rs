//! Leader election: one operator writes, others wait with warm caches.
//!
//! A Lease is updated with its resourceVersion, so that of two who take it one fails. A holder's silence is measured
//! by our own monotonic clock from when we saw its last renewal, never by the times that it wrote. All writing stops
//! [`WRITE_SECONDS`] after the last renewal that we *began*, well before anybody else may take the lease. So a leader
//! that is cut off from the API server ends before the next one starts.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, PostParams},
};
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

/// The Lease's name.
pub const LEASE: &str = "paquebot-operator";
/// How long a holder's silence is waited out.
const LEASE_SECONDS: i32 = 15;
/// How long after a renewal began its holder writes.
const WRITE_SECONDS: u64 = 10;
/// Between two renewals, and between two looks at another's lease.
const PERIOD: Duration = Duration::from_secs(3);
/// A request to the API server is given up by then: a late answer must not look like a fresh renewal.
const REQUEST_SECONDS: Duration = Duration::from_secs(5);

/// Whether we lead. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Leadership {
    held: watch::Receiver<Option<Held>>,
    /// Only in this term; `None`: in any.
    term: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    epoch: u64,
    until: Instant,
}

impl Leadership {
    /// The epoch with which we may write now; `None`: another one leads, or ours is in doubt.
    pub fn epoch(&self) -> Option<u64> {
        let held = self.held.borrow().filter(|held| Instant::now() < held.until)?;
        self.term.is_none_or(|term| term == held.epoch).then_some(held.epoch)
    }

    /// Waits until we lead.
    pub async fn gained(&self) {
        let mut held = self.held.clone();
        let _ = held.wait_for(|held| held.is_some_and(|held| Instant::now() < held.until)).await;
    }

    /// The term that is now, and no later one: what belongs to a term that ended never writes in the next.
    pub fn this_term(&self) -> Option<Self> {
        let term = Some(self.epoch()?);
        Some(Self { held: self.held.clone(), term })
    }

    /// Waits until we lead no more.
    pub async fn lost(&self) {
        let mut held = self.held.clone();
        loop {
            let until = held.borrow_and_update().map(|held| held.until);
            let Some(until) = until.filter(|_| self.epoch().is_some()) else { return };
            tokio::select! {
                changed = held.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(until.into()) => if self.epoch().is_none() { return },
            }
        }
    }

    /// Leads without a lease, in tests of other parts.
    #[cfg(test)]
    pub fn always(epoch: u64) -> Self {
        let until = Instant::now() + Duration::from_secs(86_400);
        Self { held: watch::channel(Some(Held { epoch, until })).1, term: None }
    }
}

/// What we saw of another's lease, and since when by our clock.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    holder: String,
    renewed: Option<MicroTime>,
    transitions: i32,
    since: Instant,
}

/// What to do with the lease.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Create,
    Renew,
    TakeOver,
    Wait,
}

/// The decision. `seen` is what was remembered of the lease before this look.
fn decide(me: &str, lease: Option<&LeaseSpec>, seen: Option<&Seen>, now: Instant) -> Step {
    let Some(spec) = lease else {
        // Somebody deleted it: who held it may still write.
        let fresh = |seen: &&Seen| {
            let silence = Duration::from_secs(LEASE_SECONDS.unsigned_abs().into());
            !seen.holder.is_empty() && seen.holder != me && now.duration_since(seen.since) < silence
        };
        return if seen.is_some_and(|seen| fresh(&seen)) { Step::Wait } else { Step::Create };
    };
    match spec.holder_identity.as_deref().unwrap_or_default() {
        "" => Step::TakeOver,
        holder if holder == me => Step::Renew,
        _ => {
            let silence =
                Duration::from_secs(spec.lease_duration_seconds.unwrap_or(LEASE_SECONDS).max(1).unsigned_abs().into());
            match seen.filter(|seen| seen.is(spec)) {
                Some(seen) if now.duration_since(seen.since) >= silence => Step::TakeOver,
                _ => Step::Wait,
            }
        }
    }
}

impl Seen {
    fn is(&self, spec: &LeaseSpec) -> bool {
        self.holder == spec.holder_identity.as_deref().unwrap_or_default()
            && self.renewed == spec.renew_time
            && self.transitions == spec.lease_transitions.unwrap_or(0)
    }

    /// What is remembered after this look: the old time where nothing changed.
    fn after(before: Option<Self>, spec: &LeaseSpec, now: Instant) -> Self {
        before.filter(|seen| seen.is(spec)).unwrap_or_else(|| Self {
            holder: spec.holder_identity.clone().unwrap_or_default(),
            renewed: spec.renew_time.clone(),
            transitions: spec.lease_transitions.unwrap_or(0),
            since: now,
        })
    }
}

/// The transitions of a lease that is made anew: minutes since 1970, so that epochs go on rising when a lease was
/// deleted. One take-over a minute for ever would be needed to meet them.
fn first_transitions(now: Timestamp) -> i32 {
    i32::try_from(now.as_second() / 60).unwrap_or(i32::MAX / 2)
}

/// Takes part in the election.
pub struct Elector {
    api: Api<Lease>,
    me: String,
    seen: Option<Seen>,
    held: watch::Sender<Option<Held>>,
}

impl Elector {
    /// In this namespace, under this name, which no other process has.
    pub fn new(client: Client, namespace: &str, me: String) -> (Self, Leadership) {
        let (held, receiver) = watch::channel(None);
        (
            Self { api: Api::namespaced(client, namespace), me, seen: None, held },
            Leadership { held: receiver, term: None },
        )
    }

    /// Takes part until `closing`, then gives the lease back: the next one need not wait.
    pub async fn run(mut self, closing: CancellationToken) {
        loop {
            let began = Instant::now();
            match timeout(REQUEST_SECONDS, self.turn(began)).await {
                Ok(Ok(held)) => self.set(held),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the leader lease could not be read or written: trying again");
                    self.expire();
                }
                Err(_) => {
                    tracing::warn!("the API server does not answer about the leader lease: trying again");
                    self.expire();
                }
            }
            let wait = PERIOD.saturating_sub(began.elapsed());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = closing.cancelled() => break,
            }
        }
        self.release().await;
    }

    fn set(&self, held: Option<Held>) {
        let before = self.held.send_replace(held);
        match (before, held) {
            (None, Some(held)) => tracing::info!(epoch = held.epoch, "leads now"),
            (Some(_), None) => tracing::warn!("leads no more"),
            _ => {}
        }
    }

    fn expire(&self) {
        let over = self.held.borrow().is_some_and(|held| Instant::now() >= held.until);
        if over {
            self.set(None);
        }
    }

    async fn turn(&mut self, began: Instant) -> kube::Result<Option<Held>> {
        let lease = self.api.get_opt(LEASE).await?;
        let spec = lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let step = decide(&self.me, spec.or(lease.as_ref().map(|_| &EMPTY)), self.seen.as_ref(), began);
        let before = self.seen.take();
        let least = before.as_ref().map_or(0, |seen| seen.transitions.saturating_add(1));
        // What was seen of a lease that is gone is remembered until it counts no more.
        self.seen = match spec {
            Some(spec) => Some(Seen::after(before, spec, began)),
            None => before.filter(|_| step == Step::Wait),
        };
        let transitions = spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        let written = match (step, lease) {
            (Step::Wait, _) => return Ok(None),
            (Step::Renew, Some(lease)) => self.write(lease, transitions, false).await,
            (Step::TakeOver, Some(lease)) => self.write(lease, transitions.saturating_add(1), true).await,
            _ => self.create(least).await,
        };
        match written {
            Ok(transitions) => {
                let until = began + Duration::from_secs(WRITE_SECONDS);
                Ok(Some(Held { epoch: u64::from(transitions.unsigned_abs()) + 1, until }))
            }
            // Somebody was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, least: i32) -> kube::Result<i32> {
        let now = Timestamp::now();
        let transitions = first_transitions(now).max(least);
        let lease = Lease {
            metadata: ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() },
            spec: Some(self.spec(transitions, now, now)),
        };
        self.api.create(&PostParams::default(), &lease).await.map(|_| transitions)
    }

    async fn write(&self, mut lease: Lease, transitions: i32, taken: bool) -> kube::Result<i32> {
        let now = Timestamp::now();
        let acquired = lease.spec.as_ref().and_then(|spec| spec.acquire_time.clone()).filter(|_| !taken);
        lease.spec = Some(self.spec(transitions, acquired.map_or(now, |time| time.0), now));
        lease.metadata.managed_fields = None;
        self.api.replace(LEASE, &PostParams::default(), &lease).await.map(|_| transitions)
    }

    fn spec(&self, transitions: i32, acquired: Timestamp, renewed: Timestamp) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            acquire_time: Some(MicroTime(acquired)),
            renew_time: Some(MicroTime(renewed)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    async fn release(&self) {
        if self.held.send_replace(None).is_none() {
            return;
        }
        let give_back = async {
            let mut lease = self.api.get(LEASE).await?;
            match lease.spec.as_mut() {
                Some(spec) if spec.holder_identity.as_deref() == Some(&self.me) => spec.holder_identity = None,
                _ => return Ok(()),
            }
            debug_assert!(lease.resource_version().is_some());
            self.api.replace(LEASE, &PostParams::default(), &lease).await.map(drop)
        };
        if !matches!(timeout(REQUEST_SECONDS, give_back).await, Ok(Ok(()))) {
            tracing::warn!("the leader lease could not be given back: the next leader waits it out");
        }
    }
}

/// A Lease whose spec somebody removed is free.
static EMPTY: LeaseSpec = LeaseSpec {
    acquire_time: None,
    holder_identity: None,
    lease_duration_seconds: None,
    lease_transitions: None,
    preferred_holder: None,
    renew_time: None,
    strategy: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            lease_transitions: Some(7),
            ..LeaseSpec::default()
        }
    }

    fn seen_of(spec: &LeaseSpec, since: Instant) -> Seen {
        Seen::after(None, spec, since)
    }

    #[test]
    fn an_ended_term_writes_nothing_in_the_next() {
        let until = Instant::now() + Duration::from_secs(60);
        let (sender, held) = watch::channel(Some(Held { epoch: 7, until }));
        let any = Leadership { held, term: None };
        let term = any.this_term().unwrap();
        assert_eq!((any.epoch(), term.epoch()), (Some(7), Some(7)));
        sender.send_replace(Some(Held { epoch: 8, until }));
        assert_eq!((any.epoch(), term.epoch()), (Some(8), None));
        sender.send_replace(Some(Held { epoch: 8, until: Instant::now() }));
        assert!(any.this_term().is_none());
    }

    #[test]
    fn silence_is_measured_from_when_it_was_seen() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        // Renewal times far in the past or future, by another machine's clock, do not count.
        let (old, new) = (spec("other", 0), spec("other", 4_000_000_000));
        assert_eq!(decide("me", None, None, start), Step::Create);
        assert_eq!(decide("me", Some(&old), None, start), Step::Wait, "never taken at first sight");
        let seen = Seen::after(None, &old, start);
        assert_eq!(decide("me", Some(&old), Some(&seen), at(14)), Step::Wait);
        assert_eq!(decide("me", Some(&old), Some(&seen), at(15)), Step::TakeOver);
        assert_eq!(decide("me", Some(&new), Some(&seen), at(15)), Step::Wait, "it was renewed");
        let again = Seen::after(Some(seen.clone()), &old, at(5));
        assert_eq!(again.since, start, "looking does not renew");
        assert_eq!(Seen::after(Some(seen), &new, at(5)).since, at(5));
        assert_eq!(
            decide("me", None, Some(&seen_of(&old, start)), at(14)),
            Step::Wait,
            "deleted: its holder may still write"
        );
        assert_eq!(decide("me", None, Some(&seen_of(&old, start)), at(15)), Step::Create);
        assert_eq!(decide("me", None, Some(&seen_of(&spec("me", 0), start)), at(1)), Step::Create, "our own");
        assert_eq!(decide("me", Some(&spec("me", 0)), None, start), Step::Renew);
        assert_eq!(decide("me", Some(&spec("", 0)), None, start), Step::TakeOver, "given back");
        assert_eq!(decide("me", Some(&EMPTY), None, start), Step::TakeOver);
    }

    #[test]
    fn writing_stops_before_anybody_may_take_over() {
        assert!(WRITE_SECONDS < LEASE_SECONDS.unsigned_abs().into());
        assert!(
            REQUEST_SECONDS + PERIOD < Duration::from_secs(WRITE_SECONDS),
            "one lost renewal is no loss of the lease"
        );
    }

    #[test]
    fn epochs_rise_when_a_lease_is_made_anew() {
        let made = first_transitions(Timestamp::from_second(1_764_000_000).unwrap());
        let later = first_transitions(Timestamp::from_second(1_764_000_060).unwrap());
        assert!(made > 29_000_000 && later > made);
    }
}
