//! The directory's writes: epoch, revision, digests, sealed keys.

use aws_lc_rs::digest::{SHA256, digest};
use paquebot_mta_api::directory::{Entry, PrivateKey, Value};
use rusqlite::params;

use super::{super::sql, Tx, integer};
use crate::store::types::*;

impl Tx<'_> {
    pub(super) fn change_directory(&mut self, change: &DirectoryChange) -> Result<u64, StoreError> {
        let (epoch, revision) = self
            .one(sql::DIRECTORY_STATE, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?
            .ok_or_else(|| StoreError::Corrupt("the directory's state is gone".into()))?;
        let new_epoch = integer(change.epoch);
        if new_epoch < epoch {
            return Err(StoreError::Fenced);
        }
        let mut changed = revision == 0;
        for key in &change.delete {
            changed |= self.execute(sql::DIRECTORY_DELETE, [key])? > 0;
        }
        for entry in &change.put {
            changed |= self.put(entry)?;
        }
        if changed {
            self.execute(sql::ACCOUNT_MARK_BACK, [])?;
            self.execute(sql::ACCOUNT_MARK_GONE, [self.clock.0])?;
        }
        let revision = revision + i64::from(changed);
        if changed || new_epoch != epoch {
            self.execute(sql::DIRECTORY_STATE_SET, params![new_epoch, revision])?;
        }
        Ok(revision.unsigned_abs())
    }

    /// Puts an entry; `false` where it is there already, octet for octet.
    fn put(&self, entry: &Entry) -> Result<bool, StoreError> {
        let key = entry.value.key();
        let whole = json(entry)?;
        let hash = digest(&SHA256, whole.as_bytes());
        let before = self.one(sql::DIRECTORY_DIGEST, [&key], |row| row.get::<_, Vec<u8>>(0))?;
        if before.is_some_and(|before| before == hash.as_ref()) {
            return Ok(false);
        }
        let (text, sealed) = match &entry.value {
            Value::DkimKey(dkim) => {
                let sealed = self.seal.seal(dkim.domain.as_str(), &dkim.selector, &dkim.private_key.0)?;
                let mut bare = dkim.clone();
                bare.private_key = PrivateKey(Vec::new());
                (json(&Entry { owner: entry.owner, value: Value::DkimKey(bare) })?, Some(sealed))
            }
            _ => (whole, None),
        };
        let account = match &entry.value {
            Value::Mailbox(mailbox) => Some(mailbox.account.as_bytes()),
            _ => None,
        };
        let row = params![key, entry.owner.as_bytes(), account, hash.as_ref(), text, sealed];
        self.execute(sql::DIRECTORY_PUT, row)?;
        Ok(true)
    }
}

fn json(entry: &Entry) -> Result<String, StoreError> {
    serde_json::to_string(entry).map_err(|error| StoreError::Conflict(format!("{}: {error}", entry.value.key())))
}
