//! The directory's writes: who may write, whose a name is, sealed keys.

use rusqlite::params;
use uuid::Uuid;

use super::{
    super::{entry::EntryRow, sql},
    Tx, integer,
};
use crate::store::{backend::Written, rules, types::*};

impl Tx<'_> {
    /// A refusal comes before anything is written.
    pub(super) fn change_directory(&mut self, change: &DirectoryChange) -> Result<Written, StoreError> {
        let state = self.one(sql::DIRECTORY_STATE, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let (epoch, revision, complete): (i64, i64, bool) =
            state.ok_or_else(|| StoreError::Corrupt("the directory's state is gone".into()))?;
        let here = (epoch.unsigned_abs(), revision.unsigned_abs());
        if let Err(refusal) = rules::judge_change(change, here, |key| self.owner_of(key))? {
            return Ok(Written::Refused(refusal));
        }
        let mut changed = revision == 0 || (change.complete && !complete);
        for key in &change.delete {
            changed |= self.execute(sql::DIRECTORY_DELETE, [key])? > 0;
        }
        for entry in &change.put {
            changed |= self.put(EntryRow::of(entry, self.seal)?)?;
        }
        if changed {
            self.execute(sql::ACCOUNT_MARK_BACK, [])?;
            self.execute(sql::ACCOUNT_MARK_GONE, [self.clock.0])?;
        }
        let revision = revision + i64::from(changed);
        let new_epoch = integer(change.epoch);
        if changed || new_epoch != epoch {
            self.execute(sql::DIRECTORY_STATE_SET, params![new_epoch, revision, complete || change.complete])?;
        }
        Ok(Written::Revision(revision.unsigned_abs()))
    }

    /// Nobody's where the owner cannot be read, as the key is listed.
    fn owner_of(&self, key: &str) -> Result<Option<Uuid>, StoreError> {
        self.one(sql::DIRECTORY_OWNER, [key], |row| Ok(row.get(0).map(Uuid::from_bytes).unwrap_or_default()))
    }

    /// Puts an entry; `false` where it is there already, octet for octet, and can be read.
    fn put(&self, new: EntryRow) -> Result<bool, StoreError> {
        let before = self.one(sql::DIRECTORY_ROW, [&new.key], |row| Ok(EntryRow::read(row)))?;
        if before.is_some_and(|before| before.is_same(&new, self.seal)) {
            return Ok(false);
        }
        let EntryRow { key, owner, account, digest, entry, sealed } = new;
        self.execute(sql::DIRECTORY_PUT, params![key, owner, account, digest, entry, sealed])?;
        Ok(true)
    }
}
