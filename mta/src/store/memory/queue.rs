//! The queue: accept, attempt, claim, incarnations.

use std::{ops::Bound, time::Duration};

use paquebot_mta_api::journey::Queued;

use super::{
    super::{rules, types::*},
    state::{Row, State},
};
use crate::{message::MessageId, time::Micros};

impl State {
    pub fn accept(&mut self, clock: Micros, accept: &Accept) -> Result<(), StoreError> {
        let id = accept.message.id;
        check(accept)?;
        if self.messages.contains_key(&id) {
            return Ok(());
        }
        let holder = accept.holder.filter(|holder| self.alive(clock, *holder));
        let stored = Stored { message: accept.message.clone(), envelope: accept.envelope.clone() };
        let next_attempt = accept.envelope.accepted;
        self.messages.insert(id, stored);
        for to in &accept.recipients {
            let shard = rules::shard(to.address.domain());
            let row =
                Row { to: to.clone(), shard, holder, next_attempt, attempts: 0, error: String::new(), warned: false };
            self.queue.insert((id, to.index), row);
        }
        self.note(&accept.events);
        Ok(())
    }

    pub fn attempt(&mut self, clock: Micros, attempt: &Attempt) -> Result<(), StoreError> {
        let id = attempt.message;
        for (index, outcome) in &attempt.outcomes {
            let row = self.queue.get(&(id, *index)).ok_or(StoreError::Fenced)?;
            if row.holder != Some(attempt.holder) {
                return Err(StoreError::Fenced);
            }
            if let Outcome::Stored { mailbox, .. } = outcome {
                rules::mailbox_name(mailbox)?;
            }
        }
        attempt.notices.iter().try_for_each(check)?;
        for (index, outcome) in &attempt.outcomes {
            self.outcome(clock, id, *index, outcome)?;
        }
        for notice in &attempt.notices {
            self.accept(clock, notice)?;
        }
        self.note(&attempt.events);
        self.drop_unreferenced(id);
        Ok(())
    }

    fn outcome(
        &mut self,
        clock: Micros,
        id: MessageId,
        index: RecipientIndex,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        match outcome {
            Outcome::Done => drop(self.queue.remove(&(id, index))),
            Outcome::Stored { account, mailbox, delivered_to } => {
                self.store_copy(clock, id, *account, mailbox, delivered_to)?;
                self.queue.remove(&(id, index));
            }
            Outcome::Deferred { next_attempt, error, warned } => {
                if let Some(row) = self.queue.get_mut(&(id, index)) {
                    row.next_attempt = *next_attempt;
                    row.error.clone_from(error);
                    row.warned = *warned;
                    row.attempts += 1;
                    row.holder = None;
                }
            }
            Outcome::Dead { .. } => {
                self.queue.remove(&(id, index));
                self.dead.insert((id, index), clock);
            }
        }
        Ok(())
    }

    pub fn claim(&mut self, clock: Micros, me: Incarnation, now: Micros, limit: usize) -> Vec<Held> {
        self.free_the_dead(clock);
        let share = self.share(clock, me);
        let mut due: Vec<_> = self
            .queue
            .iter()
            .filter(|(_, row)| row.holder.is_none() && row.next_attempt <= now && share & (1 << row.shard) != 0)
            .map(|(key, row)| (row.next_attempt, *key))
            .collect();
        due.sort_unstable();
        due.truncate(limit);
        let mut held = Vec::with_capacity(due.len());
        for (_, key) in due {
            if let Some(row) = self.queue.get_mut(&key) {
                row.holder = Some(me);
                held.push(Held {
                    message: key.0,
                    index: key.1,
                    address: row.to.address.clone(),
                    original: row.to.original.clone(),
                    account: row.to.account,
                    attempts: row.attempts,
                    warned: row.warned,
                });
            }
        }
        held
    }

    pub fn next_due(&self, clock: Micros, me: Incarnation) -> Option<Micros> {
        let share = self.share(clock, me);
        self.queue
            .values()
            .filter(|row| share & (1 << row.shard) != 0)
            .filter(|row| row.holder.is_none_or(|holder| !self.alive(clock, holder)))
            .map(|row| row.next_attempt)
            .min()
    }

    pub fn beat(&mut self, clock: Micros, me: Incarnation, ttl: Duration) -> Result<(), StoreError> {
        if self.incarnations.contains_key(&me) && !self.alive(clock, me) {
            self.release(clock, me);
            return Err(StoreError::Fenced);
        }
        self.incarnations.insert(me, Some(clock + ttl));
        self.free_the_dead(clock);
        Ok(())
    }

    pub fn release(&mut self, clock: Micros, me: Incarnation) {
        self.incarnations.insert(me, None);
        self.free_the_dead(clock);
    }

    fn alive(&self, clock: Micros, who: Incarnation) -> bool {
        matches!(self.incarnations.get(&who), Some(Some(until)) if *until > clock)
    }

    fn share(&self, clock: Micros, me: Incarnation) -> u64 {
        let alive: Vec<_> = self.incarnations.keys().copied().filter(|one| self.alive(clock, *one)).collect();
        rules::share(&alive, me)
    }

    fn free_the_dead(&mut self, clock: Micros) {
        for until in self.incarnations.values_mut() {
            *until = until.filter(|until| *until > clock);
        }
        for row in self.queue.values_mut() {
            row.holder = row.holder.filter(|holder| matches!(self.incarnations.get(holder), Some(Some(_))));
        }
    }

    pub fn list(&self, after: Option<(MessageId, RecipientIndex)>, limit: usize) -> Vec<(RecipientIndex, Queued)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.queue.range((start, Bound::Unbounded));
        rows.filter_map(|((id, index), row)| Some((*index, queued(self.messages.get(id)?, row)))).take(limit).collect()
    }
}

/// All that can be wrong with it, so that nothing is half done.
fn check(accept: &Accept) -> Result<(), StoreError> {
    let mut indexes: Vec<_> = accept.recipients.iter().map(|to| to.index).collect();
    indexes.sort_unstable();
    if indexes.is_empty() {
        return Err(StoreError::Conflict("a message needs a recipient".into()));
    }
    match indexes.windows(2).any(|two| two.first() == two.last()) {
        true => Err(StoreError::Conflict("two recipients with one index".into())),
        false => Ok(()),
    }
}

fn queued(stored: &Stored, row: &Row) -> Queued {
    Queued {
        message: stored.message.id.0,
        message_id: stored.message.message_id.clone(),
        reverse_path: stored.envelope.reverse_path.as_ref().map(ToString::to_string).unwrap_or_default(),
        recipient: row.to.address.to_string(),
        size_bytes: stored.message.size_bytes(),
        accepted_us: stored.envelope.accepted.0,
        next_attempt_us: (row.holder.is_none() && row.attempts > 0).then_some(row.next_attempt.0),
        attempts: row.attempts,
        last_error: row.error.clone(),
    }
}
