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
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, held(row)))
        })?;
        let mut claimed = Vec::with_capacity(due.len());
        for (message, index, read) in due {
            self.execute(sql::RECIPIENT_HOLD, params![message, index, me.0.as_bytes()])?;
            match read {
                Ok(held) => claimed.push(held),
                Err(error) => self.bury(&message, index, me, &error)?,
            }
        }
        Ok(claimed)
    }

    /// A row that cannot be read must not stand before the others: it goes to the dead letters, where it is seen.
    fn bury(&self, message: &[u8], index: i64, me: Incarnation, error: &rusqlite::Error) -> Result<(), StoreError> {
        tracing::error!(index, %error, "a recipient in the queue cannot be read; it goes to the dead letters");
        let words = format!("the row cannot be read: {error}");
        let row = params![message, index, me.0.as_bytes(), self.clock.0, words];
        self.execute(sql::RECIPIENT_TO_DEAD_LETTER, row)?;
        self.execute(sql::RECIPIENT_DELETE_HELD, params![message, index, me.0.as_bytes()]).map(drop)
    }
}

fn held(row: &rusqlite::Row<'_>) -> rusqlite::Result<Held> {
    let account: Option<[u8; 16]> = row.get(4)?;
    Ok(Held {
        message: MessageId(Uuid::from_bytes(row.get(0)?)),
        index: RecipientIndex(row.get(1)?),
        address: row.get::<_, String>(2)?.parse().map_err(|error| broken(2, error))?,
        original: row.get(3)?,
        account: account.map(|id| AccountId(Uuid::from_bytes(id))),
        attempts: row.get(5)?,
        warned: row.get(6)?,
    })
}

/// A column that cannot be right.
pub(in crate::store::sqlite) fn broken(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use bytes::Bytes;

    use super::*;
    use crate::{
        message::{Body, Message},
        store::{SealKey, Sqlite, Store},
    };

    fn accept(to: &str) -> Accept {
        let message = Message {
            id: MessageId::new(),
            prefix: Bytes::new(),
            header: Bytes::from_static(b"From: a@example.com\r\n\r\n"),
            body: Body::Inline(Bytes::from_static(b"hello\r\n")),
            message_id: String::new(),
            eight_bit: false,
            utf8_header: false,
        };
        let envelope =
            Envelope { reverse_path: None, accepted: Micros(1), domain: Uuid::nil(), smtputf8: false, junk: false };
        let to = NewRecipient {
            index: RecipientIndex(0),
            address: to.parse().unwrap(),
            original: to.to_owned(),
            account: None,
        };
        Accept {
            message: Arc::new(message),
            envelope: Arc::new(envelope),
            recipients: vec![to],
            holder: None,
            events: vec![],
        }
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_keeps_no_other_from_being_claimed() {
        let folder = tempfile::tempdir().unwrap();
        let seal = SealKey::load_or_make(&folder.path().join("key")).unwrap();
        let (backend, blobs) = Sqlite::open(&folder.path().join("data"), seal).unwrap();
        let store = Store::new(backend, blobs);
        let me = Incarnation(Uuid::now_v7());
        store.beat(me, Duration::from_secs(3600)).await.unwrap();
        let (bad, good) = (accept("bad@example.org"), accept("good@example.org"));
        store.accept(bad.clone()).await.unwrap();
        store.accept(good.clone()).await.unwrap();
        let beside = rusqlite::Connection::open(folder.path().join("data/store.sqlite")).unwrap();
        beside.busy_timeout(Duration::from_secs(5)).unwrap();
        beside.execute("UPDATE recipient SET address = 'nonsense' WHERE address LIKE 'bad%'", []).unwrap();
        let held = store.claim(me, Micros::now(), 10).await.unwrap();
        assert_eq!(held.iter().map(|it| it.message).collect::<Vec<_>>(), [good.message.id]);
        assert_eq!(store.queue_depth().await.unwrap().0, 1, "the broken one waits no more");
        let dead = "SELECT count(*) FROM dead_letter WHERE message = ?1 AND error LIKE '%cannot be read%'";
        let count = |sql: &str| beside.query_row(sql, [bad.message.id.0.as_bytes()], |row| row.get::<_, i64>(0));
        assert_eq!(count(dead).unwrap(), 1, "and is seen");
        assert_eq!(count("SELECT count(*) FROM message WHERE id = ?1").unwrap(), 1, "its message is kept");
    }
}
