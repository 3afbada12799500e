//! Accept, attempt, claim. A message delivered at its first attempt costs one insert and one outcome.

use rusqlite::params;
use uuid::Uuid;

use super::{
    super::{codec, sql},
    Tx, integer,
};
use crate::{
    message::MessageId,
    store::{rules, types::*},
    time::Micros,
};

impl Tx<'_> {
    pub(super) fn accept(&mut self, accept: &Accept) -> Result<(), StoreError> {
        if accept.recipients.is_empty() {
            return Err(StoreError::Conflict("a message needs a recipient".into()));
        }
        let (message, envelope) = (&accept.message, &accept.envelope);
        let reverse_path = envelope.reverse_path.as_ref().map(ToString::to_string).unwrap_or_default();
        let content = self.packer.pack(message)?;
        let row = params![
            message.id.0.as_bytes(),
            envelope.domain.as_bytes(),
            envelope.accepted.0,
            reverse_path,
            message.message_id,
            codec::flags(message, envelope),
            integer(message.size_bytes()),
            content,
        ];
        if self.execute(sql::MESSAGE_INSERT, row)? == 0 {
            return Ok(());
        }
        let holder = match accept.holder {
            Some(holder) => self.is_alive(holder)?.then_some(holder),
            None => None,
        };
        for to in &accept.recipients {
            self.insert_recipient(message.id, envelope, to, holder)?;
        }
        self.note(&accept.events)
    }

    fn insert_recipient(
        &self,
        message: MessageId,
        envelope: &Envelope,
        to: &NewRecipient,
        holder: Option<Incarnation>,
    ) -> Result<(), StoreError> {
        let row = params![
            message.0.as_bytes(),
            to.index.0,
            envelope.domain.as_bytes(),
            rules::shard(to.address.domain()),
            holder.as_ref().map(|holder| holder.0.as_bytes()),
            envelope.accepted.0,
            to.address.to_string(),
            to.original,
            to.account.as_ref().map(|account| account.0.as_bytes()),
        ];
        self.execute(sql::RECIPIENT_INSERT, row).map(drop)
    }

    pub(super) fn attempt(&mut self, attempt: &Attempt) -> Result<(), StoreError> {
        for (index, outcome) in &attempt.outcomes {
            self.outcome(attempt.message, attempt.holder, *index, outcome)?;
        }
        for notice in &attempt.notices {
            self.accept(notice)?;
        }
        self.note(&attempt.events)?;
        self.drop_unreferenced(attempt.message)
    }

    fn outcome(
        &mut self,
        message: MessageId,
        holder: Incarnation,
        index: RecipientIndex,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let (id, idx, me) = (message.0.as_bytes(), index.0, holder.0.as_bytes());
        let delete = |tx: &Self| tx.execute(sql::RECIPIENT_DELETE_HELD, params![id, idx, me]);
        let changed = match outcome {
            Outcome::Done => delete(self)?,
            Outcome::Stored { account, mailbox, delivered_to } => {
                let changed = delete(self)?;
                if changed > 0 {
                    self.store_copy(message, *account, mailbox, delivered_to)?;
                }
                changed
            }
            Outcome::Deferred { next_attempt, error, warned } => {
                self.execute(sql::RECIPIENT_DEFER, params![id, idx, me, next_attempt.0, error, warned])?
            }
            Outcome::Dead { error } => {
                self.execute(sql::RECIPIENT_TO_DEAD_LETTER, params![id, idx, me, self.clock.0, error])?;
                delete(self)?
            }
        };
        if changed == 0 { Err(StoreError::Fenced) } else { Ok(()) }
    }

    pub(super) fn claim(&mut self, me: Incarnation, now: Micros, limit: usize) -> Result<Vec<Held>, StoreError> {
        self.free_the_expired()?;
        let share = rules::share(self.alive()?, me).cast_signed();
        let due = self.all(sql::RECIPIENT_DUE, params![now.0, share, integer(limit)], |row| {
            let account: Option<[u8; 16]> = row.get(4)?;
            let held = Held {
                message: MessageId(Uuid::from_bytes(row.get(0)?)),
                index: RecipientIndex(row.get(1)?),
                address: row.get::<_, String>(2)?.parse().map_err(|error| broken(2, error))?,
                original: row.get(3)?,
                account: account.map(|id| AccountId(Uuid::from_bytes(id))),
                attempts: row.get(5)?,
                warned: row.get(6)?,
            };
            Ok(held)
        })?;
        for held in &due {
            self.execute(sql::RECIPIENT_HOLD, params![held.message.0.as_bytes(), held.index.0, me.0.as_bytes()])?;
        }
        Ok(due)
    }
}

/// A column that cannot be right.
pub(in crate::store::sqlite) fn broken(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
