//! Writes inside one transaction, on the writer's connection.
//!
//! - `queue`: accept, attempt, claim;
//! - `incarnation`: who is alive;
//! - `mail`: mailboxes, leases, usage;
//! - `journey`: what happened to messages;
//! - `directory`: domains, keys, mailboxes, aliases;
//! - `sweep`: what is past its time.

use std::cell::Cell;

use rusqlite::{Connection, OptionalExtension, Params, Row};

mod directory;
mod incarnation;
pub(super) mod journey;
mod mail;
mod queue;
mod sweep;

use super::{codec, error, sql};
use crate::{
    message::MessageId,
    store::{
        backend::{Write, Written},
        seal::SealKey,
        types::*,
    },
    time::Micros,
};

/// One transaction.
pub(super) struct Tx<'a> {
    pub conn: &'a Connection,
    pub clock: Micros,
    pub seal: &'a SealKey,
    pub packer: &'a mut codec::Packer,
    /// Blobs of messages that are gone once this is committed.
    pub blobs_gone: Vec<MessageId>,
    /// Who is alive, once asked.
    pub alive: Option<Vec<Incarnation>>,
    /// Set by any I/O error.
    pub disk_failed: Cell<bool>,
}

impl Tx<'_> {
    /// One write. `Err` with nothing changed fails this write only; with something changed the transaction must go.
    pub fn write(&mut self, write: &Write) -> Result<Written, StoreError> {
        match write {
            Write::Accept(accept) => self.accept(accept)?,
            Write::Attempt(attempt) => self.attempt(attempt)?,
            Write::Claim { incarnation, now, limit } => {
                return self.claim(*incarnation, *now, *limit).map(Written::Claimed);
            }
            Write::Beat { incarnation, ttl } => self.beat(*incarnation, *ttl)?,
            Write::Release(incarnation) => self.end_incarnation(*incarnation)?,
            Write::Directory(change) => return self.change_directory(change),
            Write::Lock { account, session, ttl } => self.lock(*account, *session, *ttl)?,
            Write::Unlock { account, session } => self.unlock(*account, *session)?,
            Write::Expunge { account, mailbox, uids, session, events } => {
                self.expunge(*account, *mailbox, uids, *session)?;
                self.note(events)?;
            }
            Write::Events(events) => self.note(events)?,
            Write::Sweep { now, limit } => return self.sweep(*now, *limit).map(Written::Count),
        }
        Ok(Written::Done)
    }

    fn fault(&self, error: rusqlite::Error) -> StoreError {
        self.disk_failed.set(self.disk_failed.get() || error::is_io(&error));
        error::of(error)
    }

    /// Rows changed.
    fn execute(&self, sql: &'static str, params: impl Params) -> Result<usize, StoreError> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(|error| self.fault(error))
    }

    /// The one row, if there is one.
    fn one<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params, read).optional())
            .map_err(|error| self.fault(error))
    }

    /// All rows; the statement bounds how many.
    fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(params, read)?.collect())
            .map_err(|error| self.fault(error))
    }

    /// Removes the message if nothing refers to it; its blob goes after the commit.
    fn drop_unreferenced(&mut self, id: MessageId) -> Result<(), StoreError> {
        let flags = self.one(sql::MESSAGE_DROP, [id.0.as_bytes()], |row| row.get::<_, i64>(0))?;
        if flags.is_some_and(|flags| flags & codec::BODY_IN_BLOB != 0) {
            self.blobs_gone.push(id);
        }
        Ok(())
    }
}

/// A number as SQLite keeps it.
pub(super) fn integer(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
