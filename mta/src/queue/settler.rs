//! Writes outcomes: many at once, so that they share commits; again and again until the store has them.
//!
//! One task, bounded. What it holds is in memory only: a crash makes the attempt happen again, never vanish.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{sync::mpsc, time::sleep};

use super::{
    destination,
    engine::Shared,
    job::Job,
    notice,
    outcome::Found,
    schedule::{self, Dice},
    settle::{self, Settlement},
};
use crate::store::{Attempt, Outcome, StoreError};

/// Outcomes that are being written at once.
const WRITES_MAX: usize = 1024;
/// The store could not: the first pause, doubled up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(10);
/// At the end of the process the last outcomes get that long.
pub(super) const LAST_WRITES_SECONDS_MAX: Duration = Duration::from_secs(5);

pub(super) async fn run(shared: Arc<Shared>, mut waiting: mpsc::Receiver<Settlement>) {
    let mut writes = FuturesUnordered::new();
    let (mut closing, mut ending) = (false, false);
    loop {
        tokio::select! {
            some = waiting.recv(), if writes.len() < WRITES_MAX && !ending => match some {
                Some(settlement) => writes.push(settle_or_defer(&shared, settlement)),
                None => ending = true,
            },
            Some(()) = writes.next(), if !writes.is_empty() => {}
            () = shared.workers.wait(), if !closing => {
                // No attempt is under way any more: what waits is all there will be.
                closing = true;
                waiting.close();
            }
            () = shared.stopped.cancelled() => return,
        }
        if ending && writes.is_empty() {
            return;
        }
    }
}

/// A message whose outcome cannot be worked out must not end the one task that writes the outcomes of all.
async fn settle_or_defer(shared: &Arc<Shared>, settlement: Settlement) {
    let job = settlement.job.clone();
    if AssertUnwindSafe(settle(shared, settlement)).catch_unwind().await.is_err() {
        tracing::error!(message = %job.message.id, "an outcome could not be worked out; the attempt is put off");
        // It may have been written before the fault: then the rows are not ours any more and this changes nothing.
        let put_off = async { write(shared, put_off(shared, job)).await };
        if AssertUnwindSafe(put_off).catch_unwind().await.is_err() {
            tracing::error!("nor could it be put off: it is given back when nothing else is under way");
            shared.doubtful.store(true, Ordering::Relaxed);
        }
        shared.due.notify_one();
    }
}

fn put_off(shared: &Shared, job: Job) -> Attempt {
    let error = "the outcome could not be worked out, by a fault of this server";
    let outcomes = job.recipients.iter().map(|recipient| {
        let failures = recipient.attempts.saturating_add(1);
        let pause = schedule::pause(&shared.writer.retry, failures, Dice::thrown());
        let next_attempt = shared.clock.now() + pause;
        (recipient.index, Outcome::Deferred { next_attempt, error: error.to_owned(), warned: recipient.warned })
    });
    let outcomes = outcomes.collect();
    Attempt { message: job.message.id, holder: job.holder, outcomes, notices: Vec::new(), events: Vec::new() }
}

async fn settle(shared: &Arc<Shared>, settlement: Settlement) {
    let now = shared.clock.now();
    let addressees = if settlement.found.iter().all(|found| matches!(found, Found::Accepted(_))) {
        Vec::new()
    } else {
        let snapshot = shared.writer.directory.current();
        notice::addressees(&snapshot, settlement.job.envelope.reverse_path.as_ref())
    };
    let mut plan = settle::plan(&settlement, !addressees.is_empty(), &shared.writer.retry, now, Dice::thrown());
    if !plan.failed.is_empty() || !plan.delayed.is_empty() {
        plan.attempt.events.extend(settle::warned_events(&settlement, &plan, now));
        plan.attempt.notices = settle::notices(&shared.writer, &settlement, &plan, &addressees, now).await;
    }
    let holder = settlement.job.holder;
    for notice in &mut plan.attempt.notices {
        notice.holder = (shared.lease.holder() == Some(holder) && shared.budget.room() > 0).then_some(holder);
    }
    let deferred = plan.attempt.outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Deferred { .. }));
    let notices = plan.attempt.notices.clone();
    if write(shared, plan.attempt).await {
        count(shared, &settlement, &plan.counts);
        for notice in notices {
            shared.submit(notice);
        }
        if deferred {
            shared.due.notify_one();
        }
    }
}

/// Writes an attempt until the store has it; `false`: it never will, the rows are others' now.
pub(super) async fn write(shared: &Shared, attempt: Attempt) -> bool {
    let mut pause = PAUSE_FIRST;
    loop {
        let fault = match shared.store.attempt(attempt.clone()).await {
            Ok(()) => return true,
            // Either an earlier try did happen or others have the rows. A notice has an id of its own: it is
            // there exactly if it did happen.
            Err(StoreError::Fenced) => return happened(shared, &attempt).await,
            Err(fault) => fault,
        };
        tracing::warn!(message = %attempt.message, error = %fault, "an outcome is written again in {pause:?}");
        tokio::select! {
            () = sleep(pause) => {}
            () = shared.stopped.cancelled() => return false,
        }
        pause = (pause * 2).min(PAUSE_LONGEST);
    }
}

async fn happened(shared: &Shared, attempt: &Attempt) -> bool {
    match attempt.notices.first() {
        Some(notice) => shared.store.message(notice.message.id).await.is_ok(),
        None => false,
    }
}

fn count(shared: &Shared, settlement: &Settlement, counts: &[&'static str]) {
    let metrics = &shared.metrics;
    let group = settlement.host.as_deref().map_or(destination::LOCAL, destination::group);
    for (found, count) in settlement.found.iter().zip(counts) {
        let class = match found {
            Found::Accepted(_) => "2xx",
            Found::Failed(failure) if failure.host.is_none() => "none",
            Found::Failed(failure) => destination::code_class(Some(u16::from(failure.status.0) * 100)),
        };
        metrics.attempts.with_label_values(&[group, class]).inc();
        metrics.outcomes.with_label_values(&[*count]).inc();
        if matches!(found, Found::Accepted(_)) {
            let age = shared.clock.now() - settlement.job.envelope.accepted;
            metrics.delivery_seconds.observe(age.as_secs_f64());
        }
    }
}
