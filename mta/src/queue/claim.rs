//! Keeps the lease, and claims what is due: by a timer set to the next due time, never by polling.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{StreamExt, stream};
use paquebot_mta_api::config::Retry;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    engine::Shared,
    job::Recipient,
    lease,
    schedule::{self, Dice},
};
use crate::{
    message::MessageId,
    store::{Attempt, Held, Incarnation, Outcome, StoreError},
    time::Micros,
};

/// Recipients claimed at once.
const CLAIM_MAX: usize = 256;
/// Messages read at once.
const READS_MAX: usize = 8;
/// The store could not: how long until it is asked again.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Depth and age of the queue are counted that often.
const GAUGES_INTERVAL: Duration = Duration::from_secs(15);

/// Says that we live, until the end.
pub(super) async fn beat(shared: Arc<Shared>) {
    let mut gauges = Instant::now();
    loop {
        let term = shared.lease.current();
        let before = Instant::now();
        let pause = match shared.store.beat(term.incarnation, lease::CLAIM_TTL).await {
            Ok(()) => {
                shared.lease.beaten(term.incarnation, before);
                // Rows of the dead may be free now.
                shared.due.notify_one();
                lease::BEAT_INTERVAL
            }
            Err(StoreError::Fenced) => {
                tracing::warn!("the lease of this process has expired; its deliveries stop and begin anew");
                if shared.lease.over(term.incarnation) {
                    shared.line().clear();
                }
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "no heartbeat");
                STORE_PAUSE
            }
        };
        shared.line().tidy(Instant::now());
        if before >= gauges {
            gauges = before + GAUGES_INTERVAL;
            count(&shared).await;
        }
        tokio::select! {
            () = sleep_until(before + pause) => {}
            () = shared.draining.cancelled() => return keep_alive(&shared).await,
        }
    }
}

/// While draining: the rows of the attempts under way stay ours.
async fn keep_alive(shared: &Shared) {
    let term = shared.lease.current();
    while shared.workers.len() > 1 && !shared.stopped.is_cancelled() {
        let before = Instant::now();
        if shared.store.beat(term.incarnation, lease::CLAIM_TTL).await.is_ok() {
            shared.lease.beaten(term.incarnation, before);
        }
        tokio::select! {
            () = sleep(Duration::from_millis(200)) => {}
            () = shared.stopped.cancelled() => {}
        }
    }
}

async fn count(shared: &Shared) {
    if let Ok((depth, oldest)) = shared.store.queue_depth().await {
        shared.metrics.queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
        let age = oldest.map_or(Duration::ZERO, |accepted| shared.clock.now() - accepted);
        shared.metrics.queue_oldest_seconds.set(age.as_secs_f64());
    }
}

/// Claims what is due, until the end.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let wait = match turn(&shared).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(%error, "nothing can be claimed now");
                Some(STORE_PAUSE)
            }
        };
        let timer = async {
            match wait {
                Some(pause) => sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = timer => {}
            () = shared.due.notified() => {}
            () = shared.budget.freed() => {}
            () = shared.draining.cancelled() => return,
        }
    }
}

/// One turn; gives how long to wait for the next, `None`: until woken.
async fn turn(shared: &Arc<Shared>) -> Result<Option<Duration>, StoreError> {
    renounce(shared).await;
    let Some(holder) = shared.lease.holder() else { return Ok(None) };
    if !shared.is_ready() {
        return Ok(None);
    }
    loop {
        let limit = shared.budget.room().min(CLAIM_MAX);
        if limit == 0 {
            return Ok(None);
        }
        let Some(due) = shared.store.next_due(holder).await? else { return Ok(None) };
        let now = shared.clock.now();
        if due > now {
            return Ok(Some((due - now).max(Duration::from_millis(1))));
        }
        let rows = match shared.store.claim(holder, now, limit).await {
            Ok(rows) => rows,
            Err(error) => {
                // It may have happened all the same: then rows are ours without our knowing them.
                shared.doubtful.store(true, Ordering::Relaxed);
                return Err(error);
            }
        };
        if rows.is_empty() {
            // Due and yet not claimed: somebody dead holds it until the next beat.
            return Ok(Some(STORE_PAUSE));
        }
        load(shared, holder, rows).await;
    }
}

/// Once nothing is in memory, an incarnation that may hold unknown rows gives them all back.
async fn renounce(shared: &Shared) {
    if !shared.doubtful.load(Ordering::Relaxed) || !shared.budget.is_idle() {
        return;
    }
    let incarnation = shared.lease.current().incarnation;
    // From here on nothing new is held in the old name.
    shared.lease.over(incarnation);
    shared.doubtful.store(false, Ordering::Relaxed);
    if let Err(error) = shared.store.release(incarnation).await {
        // Nobody beats for it any more, so its rows are free when it expires.
        tracing::warn!(%error, "rows that are held without need are free only when their lease expires");
    }
    let term = shared.lease.current();
    let before = Instant::now();
    if shared.store.beat(term.incarnation, lease::CLAIM_TTL).await.is_ok() {
        shared.lease.beaten(term.incarnation, before);
    }
}

/// Reads the messages of claimed rows and puts them where they wait.
async fn load(shared: &Arc<Shared>, holder: Incarnation, rows: Vec<Held>) {
    let mut messages: BTreeMap<MessageId, Vec<Recipient>> = BTreeMap::new();
    for row in rows {
        messages.entry(row.message).or_default().push(row.into());
    }
    stream::iter(messages)
        .for_each_concurrent(READS_MAX, |(id, recipients)| async move {
            match shared.store.message(id).await {
                Ok(stored) => shared.add(stored.message, stored.envelope, recipients, holder),
                Err(error) => unreadable(shared, holder, id, recipients, &error).await,
            }
        })
        .await;
}

/// A claimed row whose message cannot be read now goes back, or to the dead letters if it is gone.
async fn unreadable(
    shared: &Shared,
    holder: Incarnation,
    id: MessageId,
    recipients: Vec<Recipient>,
    error: &StoreError,
) {
    tracing::error!(message = %id, %error, "a queued message cannot be read");
    let now = shared.clock.now();
    let retry = &shared.writer.retry;
    let outcomes = recipients.into_iter().map(|to| (to.index, outcome(retry, id, &to, error, now))).collect();
    let attempt = Attempt { message: id, holder, outcomes, notices: Vec::new(), events: Vec::new() };
    super::settler::write(shared, attempt).await;
}

/// Its sender is in the row that cannot be read, so nobody can be told: in the end it goes to the dead letters.
fn outcome(retry: &Retry, id: MessageId, recipient: &Recipient, error: &StoreError, now: Micros) -> Outcome {
    let dead = match error {
        StoreError::Conflict(_) => true,
        StoreError::Corrupt(_) => schedule::is_over(retry, made(id).unwrap_or(now), now),
        StoreError::Unavailable(_) | StoreError::Full(_) | StoreError::Fenced => false,
    };
    if dead {
        return Outcome::Dead { error: error.to_string() };
    }
    let failures = recipient.attempts.saturating_add(1);
    let pause = schedule::pause(retry, failures, Dice::thrown());
    Outcome::Deferred { next_attempt: now + pause, error: error.to_string(), warned: recipient.warned }
}

/// When the id was made (RFC 9562 §5.7): the row that says when the message was accepted cannot be read.
fn made(id: MessageId) -> Option<Micros> {
    let (seconds, nanoseconds) = id.0.get_timestamp()?.to_unix();
    Some(Micros(0) + Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewRecipient, RecipientIndex};

    #[test]
    fn what_cannot_be_read_is_tried_again_and_given_up_in_the_end() {
        let to = "bob@example.org";
        let new =
            NewRecipient { index: RecipientIndex(0), address: to.parse().unwrap(), original: to.into(), account: None };
        let (retry, id, recipient) = (Retry::default(), MessageId::new(), Recipient::from(new));
        let soon = made(id).unwrap() + Duration::from_secs(60);
        let late = made(id).unwrap() + Duration::from_millis(retry.give_up_after_ms);
        for (error, now, dead) in [
            (StoreError::Corrupt("broken".into()), soon, false),
            (StoreError::Corrupt("broken".into()), late, true),
            (StoreError::Unavailable("busy".into()), late, false),
            (StoreError::Conflict("gone".into()), soon, true),
        ] {
            let outcome = outcome(&retry, id, &recipient, &error, now);
            assert_eq!(matches!(outcome, Outcome::Dead { .. }), dead, "{error}: {outcome:?}");
        }
    }
}
