//! Who is alive, by the store's clock; what the dead held is freed.

use std::time::Duration;

use rusqlite::params;
use uuid::Uuid;

use super::{super::sql, Tx};
use crate::store::types::*;

impl Tx<'_> {
    /// Everybody who is alive; asked once a transaction.
    pub(super) fn alive(&mut self) -> Result<&[Incarnation], StoreError> {
        if self.alive.is_none() {
            self.alive =
                Some(self.all(sql::INCARNATION_ALIVE, [self.clock.0], |row| {
                    Ok(Incarnation(Uuid::from_bytes(row.get(0)?)))
                })?);
        }
        Ok(self.alive.as_deref().unwrap_or_default())
    }

    pub(super) fn is_alive(&mut self, who: Incarnation) -> Result<bool, StoreError> {
        Ok(self.alive()?.contains(&who))
    }

    pub(super) fn beat(&mut self, me: Incarnation, ttl: Duration) -> Result<(), StoreError> {
        let state = self.one(sql::INCARNATION_STATE, [me.0.as_bytes()], |row| {
            Ok((row.get::<_, bool>(0)?, row.get::<_, i64>(1)?))
        })?;
        if state.is_some_and(|(ended, expires)| ended || expires <= self.clock.0) {
            return Err(StoreError::Fenced);
        }
        let expires = self.clock + ttl;
        self.execute(sql::INCARNATION_BEAT, params![me.0.as_bytes(), expires.0])?;
        self.alive = None;
        self.free_the_expired()
    }

    pub(super) fn end_incarnation(&mut self, me: Incarnation) -> Result<(), StoreError> {
        self.execute(sql::INCARNATION_END, params![me.0.as_bytes(), self.clock.0])?;
        self.execute(sql::RECIPIENT_FREE, [me.0.as_bytes()])?;
        self.alive = None;
        Ok(())
    }

    pub(super) fn free_the_expired(&mut self) -> Result<(), StoreError> {
        let expired =
            self.all(sql::INCARNATION_EXPIRED, [self.clock.0], |row| Ok(Incarnation(Uuid::from_bytes(row.get(0)?))))?;
        expired.into_iter().try_for_each(|who| self.end_incarnation(who))
    }
}
