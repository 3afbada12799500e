//! One worker: a connection to one destination, as long as there is mail for it.
//!
//! Asks for the route, tries its hosts in order, lets a session take jobs from the [`Lane`]. A host's
//! fault moves on to the next host; when all have failed, the destination rests, not each message.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt;
use paquebot_proto::EnhancedCode;
use tokio::time::Instant;

use super::{
    engine::Shared,
    job::{Destination, Job, Place},
    lane::{End, Lane},
    line::Next,
    outcome::{Failure, Found},
    settle::{LookedUp, Settlement},
};

/// A destination whose hosts all failed rests at most that long; with short retries (see `first_ms`) shorter.
const REST_MAX: Duration = Duration::from_secs(60);

pub(super) async fn run(shared: Arc<Shared>, destination: Destination) {
    let term = shared.lease.current();
    let mut lane = None;
    let session = AssertUnwindSafe(work(&shared, &destination, &mut lane)).catch_unwind();
    tokio::select! {
        result = session => if result.is_err() {
            tracing::error!(?destination, "a delivery panicked");
            // Put off, a failed attempt more each time, it is given up like any other in the end: a message that ends
            // its worker must not do so without pause or for ever.
            let failure = Failure::ours(EnhancedCode(4, 3, 0), "the delivery was broken off by a fault of this server");
            shared.line().close(&destination, Instant::now() + rest(&shared), failure.clone());
            give_back(&shared, lane, &failure).await;
        },
        () = term.over.cancelled() => {}
        () = shared.stopped.cancelled() => {}
    }
    let then = shared.line().ended(&destination);
    if !shared.draining.is_cancelled() {
        for then in then {
            shared.carry_out(then);
        }
    }
}

/// What the broken worker had under way counts as failed. What it cannot name is held by us and known to nobody:
/// given back as soon as nothing else is under way.
async fn give_back(shared: &Arc<Shared>, lane: Option<Lane>, failure: &Failure) {
    let jobs = lane.map(Lane::into_jobs).unwrap_or_default();
    if jobs.is_empty() {
        shared.doubtful.store(true, Ordering::Relaxed);
    }
    for job in jobs {
        fail(shared, job, failure, None).await;
    }
}

/// `lane`: what is under way stays there, also when this panics.
async fn work(shared: &Arc<Shared>, destination: &Destination, lane: &mut Option<Lane>) {
    match destination {
        Destination::Local => local(shared).await,
        Destination::Domain(domain) => {
            while !shared.draining.is_cancelled() && shared.line().has_jobs(destination) {
                let closed = shared.line().closed(destination, Instant::now());
                if let Some(failure) = closed {
                    fail_all(shared, destination, &failure, None).await;
                    return;
                }
                let routed = shared.remote.route(domain).await;
                let looked_up = LookedUp { words: routed.words.into(), at: shared.clock.now() };
                match routed.targets {
                    Ok(targets) => {
                        let lane = lane.insert(Lane::new(shared.clone(), destination.clone(), looked_up.clone()));
                        pass(shared, destination, &targets, lane, looked_up).await;
                    }
                    Err(unroutable) => fail_all(shared, destination, &unroutable.into(), Some(looked_up)).await,
                }
                if shared.line().is_crowded() {
                    return;
                }
            }
        }
    }
}

/// One pass over the hosts of a destination.
async fn pass(
    shared: &Arc<Shared>,
    destination: &Destination,
    targets: &[super::route::Target],
    lane: &mut Lane,
    looked_up: LookedUp,
) {
    let mut targets = targets.iter();
    let mut target = targets.next();
    while let Some(host) = target {
        lane.connect_to(host);
        shared.remote.session(host, lane).await;
        match lane.end() {
            End::Finished => return,
            // A kept connection that had gone stale says nothing about the host.
            End::Stale => {}
            End::HostFailed => target = targets.next(),
        }
        if shared.draining.is_cancelled() {
            return;
        }
    }
    let none = || Failure::ours(EnhancedCode(4, 4, 1), "no mail host answered");
    let failure = lane.last_failure().unwrap_or_else(none);
    if let Some(job) = lane.take_carried() {
        fail(shared, job, &failure, Some(looked_up.clone())).await;
    }
    if !lane.has_been_ready() {
        shared.line().close(destination, Instant::now() + rest(shared), failure.clone());
        fail_all(shared, destination, &failure, Some(looked_up)).await;
    }
}

/// Shorter than any pause, so that a message that comes back finds the door open.
fn rest(shared: &Shared) -> Duration {
    Duration::from_millis(shared.writer.retry.first_ms / 2).min(REST_MAX)
}

/// Mailboxes here, and recipients that are decided without leaving.
async fn local(shared: &Arc<Shared>) {
    let via: Arc<str> = "local".into();
    while !shared.draining.is_cancelled() {
        let Some(job) = shared.line().take(&Destination::Local) else { return };
        if !shared.lease.may_start(job.holder).await {
            continue;
        }
        let found = job.recipients.iter().map(|recipient| match &recipient.place {
            Place::Nowhere(failure) => Found::Failed(failure.clone()),
            Place::Mailbox(_) | Place::Remote(_) => Found::Accepted("stored".into()),
        });
        let found = found.collect();
        settle(shared, Settlement { job, found, routed: None, host: None, via: via.clone() }).await;
    }
}

/// All that wait there have the same failure.
async fn fail_all(shared: &Arc<Shared>, destination: &Destination, failure: &Failure, routed: Option<LookedUp>) {
    loop {
        let next = shared.line().take(destination);
        let Some(job) = next else { return };
        fail(shared, job, failure, routed.clone()).await;
    }
}

async fn fail(shared: &Arc<Shared>, job: Job, failure: &Failure, routed: Option<LookedUp>) {
    let found = vec![Found::Failed(failure.clone()); job.recipients.len()];
    let host: Arc<str> = failure.host.as_deref().unwrap_or("-").into();
    settle(shared, Settlement { job, found, routed, host: Some(host.clone()), via: host }).await;
}

/// Hands a result to the settler; waits while too many are unwritten.
pub(super) async fn settle(shared: &Shared, settlement: Settlement) {
    if shared.settlements.send(settlement).await.is_err() {
        tracing::error!("an outcome came after the end; the attempt will be made again");
    }
}

/// The next job of a destination that may be tried; waits a bounded moment for one.
pub(super) async fn next_job(shared: &Shared, destination: &Destination, idle: Duration) -> Option<Job> {
    let until = Instant::now() + idle;
    loop {
        if shared.draining.is_cancelled() {
            return None;
        }
        let crowded = shared.crowded.notified();
        let next = shared.line().next(destination);
        match next {
            Next::Yield => return None,
            Next::Job(job) => {
                if shared.lease.may_start(job.holder).await {
                    return Some(*job);
                }
            }
            Next::Idle(wake) => {
                let idle = Idle { shared, destination };
                let woken = tokio::select! {
                    () = wake.notified() => true,
                    () = crowded => true,
                    () = tokio::time::sleep_until(until) => false,
                    () = shared.draining.cancelled() => false,
                };
                drop(idle);
                if !woken {
                    return shared.line().take(destination);
                }
            }
        }
    }
}

/// A worker that waits; counted until dropped, also where the wait is cut off.
struct Idle<'a> {
    shared: &'a Shared,
    destination: &'a Destination,
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.shared.line().busy(self.destination);
    }
}
