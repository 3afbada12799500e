//! Drops what is past its time, in bounded steps. A message goes with its last reference in each transaction,
//! so there is never one that nothing refers to.

use std::time::Duration;

use rusqlite::params;
use uuid::Uuid;

use super::{super::sql, Tx, integer, journey::minute};
use crate::{
    message::MessageId,
    store::{rules, types::*},
    time::Micros,
};

impl Tx<'_> {
    pub(super) fn sweep(&mut self, now: Micros, limit: usize) -> Result<u64, StoreError> {
        let before = |kept: Duration| now.0.saturating_sub(integer(kept.as_micros()));
        let journeys = self.execute(sql::JOURNEY_SWEEP, params![before(rules::JOURNEY_KEPT), integer(limit)])?;
        let names = params![minute(before(rules::JOURNEY_KEPT)) - 1, integer(limit)];
        self.execute(sql::JOURNEY_NAME_SWEEP, names)?;
        self.execute(sql::LEASE_SWEEP, [now.0])?;
        self.execute(sql::INCARNATION_SWEEP, [before(rules::INCARNATION_KEPT)])?;
        let dead = self.sweep_dead(before(rules::DEAD_LETTER_KEPT), limit)?;
        let tombstones =
            self.all(sql::MAIL_TOMBSTONES, params![before(rules::TOMBSTONE_KEPT), integer(limit)], copy)?;
        self.delete_copies(&tombstones)?;
        let accounts = self.sweep_accounts(before(rules::ACCOUNT_KEPT), limit - tombstones.len())?;
        Ok((journeys + dead + tombstones.len() + accounts) as u64)
    }

    fn sweep_dead(&mut self, before: i64, limit: usize) -> Result<usize, StoreError> {
        let past = self.all(sql::DEAD_LETTER_PAST, params![before, integer(limit)], |row| {
            Ok((MessageId(Uuid::from_bytes(row.get(0)?)), row.get::<_, u32>(1)?))
        })?;
        for (message, index) in &past {
            self.execute(sql::DEAD_LETTER_DELETE, params![message.0.as_bytes(), index])?;
            self.drop_unreferenced(*message)?;
        }
        Ok(past.len())
    }

    /// The mail of accounts that are gone for long, then their mailboxes; the names' UIDVALIDITY is remembered.
    fn sweep_accounts(&mut self, before: i64, limit: usize) -> Result<usize, StoreError> {
        let gone = self.all(sql::ACCOUNT_GONE, params![before, integer(limit)], |row| row.get::<_, [u8; 16]>(0))?;
        let mut swept = 0;
        for account in gone {
            let left = limit - swept;
            if left == 0 {
                break;
            }
            let copies = self.all(sql::MAIL_OF_ACCOUNT, params![account, integer(left)], copy)?;
            self.delete_copies(&copies)?;
            swept += copies.len();
            if copies.len() < left {
                self.execute(sql::MAILBOX_GONE_KEEP, [account])?;
                self.execute(sql::MAILBOX_DELETE, [account])?;
                self.execute(sql::ACCOUNT_DELETE, [account])?;
            }
        }
        Ok(swept)
    }

    fn delete_copies(&mut self, copies: &[(i64, u32, MessageId)]) -> Result<(), StoreError> {
        for (mailbox, uid, message) in copies {
            self.execute(sql::MAIL_DELETE, params![mailbox, uid])?;
            self.drop_unreferenced(*message)?;
        }
        Ok(())
    }
}

fn copy(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, u32, MessageId)> {
    Ok((row.get(0)?, row.get(1)?, MessageId(Uuid::from_bytes(row.get(2)?))))
}
