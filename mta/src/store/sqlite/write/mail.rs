//! Mailboxes: copies, tombstones, leases, usage. UID and modseq are given here, under the writer's transaction.

use std::time::Duration;

use paquebot_mta_api::{
    address::{Address, Domain},
    directory::{Entry, Value},
};
use rusqlite::params;
use uuid::Uuid;

use super::{super::sql, Tx, integer};
use crate::{
    message::MessageId,
    store::{rules, types::*},
};

/// What a mailbox gives a new message.
struct Place {
    mailbox: i64,
    uid: u32,
    modseq: i64,
    domain: [u8; 16],
}

impl Tx<'_> {
    pub(super) fn store_copy(
        &mut self,
        message: MessageId,
        account: AccountId,
        mailbox: &str,
        delivered_to: &Address,
    ) -> Result<(), StoreError> {
        let name = rules::mailbox_name(mailbox)?;
        let id = message.0.as_bytes();
        if self.one(sql::MAIL_GIVEN, params![id, account.0.as_bytes()], |_| Ok(()))?.is_some() {
            return Ok(());
        }
        let (reverse_path, size_bytes, domain) = self
            .one(sql::MESSAGE_COPY_FACTS, [id], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, [u8; 16]>(2)?))
            })?
            .ok_or_else(|| StoreError::Corrupt(format!("a recipient without its message {message}")))?;
        let fields = rules::copy_fields(&reverse_path, delivered_to);
        let size_bytes = size_bytes + integer(fields.len());
        let place = self.place(account, name, delivered_to.domain(), domain)?;
        let row = params![
            place.mailbox,
            place.uid,
            place.modseq,
            id,
            account.0.as_bytes(),
            place.domain,
            size_bytes,
            self.clock.0,
            &fields[..],
        ];
        self.execute(sql::MAIL_INSERT, row)?;
        self.use_account(account, place.domain, size_bytes)
    }

    /// The next UID of the mailbox, which is made if absent.
    fn place(
        &mut self,
        account: AccountId,
        name: &str,
        ours: &Domain,
        fallback: [u8; 16],
    ) -> Result<Place, StoreError> {
        let next = |tx: &Self| {
            tx.one(sql::MAILBOX_NEXT, params![account.0.as_bytes(), name], |row| {
                Ok(Place { mailbox: row.get(0)?, uid: row.get(1)?, modseq: row.get(2)?, domain: row.get(3)? })
            })
        };
        if let Some(place) = next(self)? {
            return Ok(place);
        }
        let before =
            self.one(sql::MAILBOX_GONE_READ, params![account.0.as_bytes(), name], |row| row.get::<_, u32>(0))?;
        let domain = self.domain_id(ours)?.unwrap_or(fallback);
        let validity = rules::uid_validity(self.clock.0, before);
        self.execute(sql::MAILBOX_MAKE, params![domain, account.0.as_bytes(), name, validity])?;
        next(self)?.ok_or_else(|| StoreError::Corrupt(format!("mailbox {name} was made and is not there")))
    }

    fn domain_id(&self, domain: &Domain) -> Result<Option<[u8; 16]>, StoreError> {
        let key = format!("domain/{domain}");
        // Whatever somebody made of the row by hand, mail is delivered.
        let text = self.one(sql::DIRECTORY_ENTRY, [key], |row| Ok(row.get::<_, String>(0).ok()))?.flatten();
        let entry = text.and_then(|text| serde_json::from_str::<Entry>(&text).ok());
        Ok(entry.and_then(|entry| match entry.value {
            Value::Domain(domain) => Some(domain.id.into_bytes()),
            _ => None,
        }))
    }

    fn use_account(&self, account: AccountId, domain: [u8; 16], bytes: i64) -> Result<(), StoreError> {
        self.execute(sql::ACCOUNT_USE, params![account.0.as_bytes(), domain, bytes]).map(drop)
    }

    pub(super) fn expunge(
        &mut self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        session: Option<Uuid>,
    ) -> Result<(), StoreError> {
        let id = account.0.as_bytes();
        if let Some(session) = session {
            let lease = params![id, session.as_bytes(), self.clock.0];
            self.one(sql::LEASE_HELD, lease, |_| Ok(()))?.ok_or(StoreError::Fenced)?;
        }
        let modseq = self
            .one(sql::MAILBOX_OWNER, params![mailbox.0, id], |row| row.get::<_, i64>(0))?
            .ok_or_else(|| StoreError::Conflict("there is no such mailbox".into()))?
            + 1;
        let mut freed = 0;
        let mut changed = false;
        for uid in uids {
            let size = self.one(sql::MAIL_SIZE, params![mailbox.0, uid.0], |row| row.get::<_, i64>(0))?;
            if let Some(size) = size {
                self.execute(sql::MAIL_EXPUNGE, params![mailbox.0, uid.0, self.clock.0, modseq])?;
                freed += size;
                changed = true;
            }
        }
        if changed {
            self.execute(sql::MAILBOX_MODSEQ, params![mailbox.0, modseq])?;
            self.use_account(account, [0; 16], -freed)?;
        }
        Ok(())
    }

    pub(super) fn lock(&self, account: AccountId, session: Uuid, ttl: Duration) -> Result<(), StoreError> {
        let until = self.clock + ttl;
        let row = params![account.0.as_bytes(), session.as_bytes(), until.0, self.clock.0];
        match self.execute(sql::LEASE_TAKE, row)? {
            0 => Err(StoreError::Conflict("another session has this maildrop open".into())),
            _ => Ok(()),
        }
    }

    pub(super) fn unlock(&self, account: AccountId, session: Uuid) -> Result<(), StoreError> {
        self.execute(sql::LEASE_GIVE, params![account.0.as_bytes(), session.as_bytes()]).map(drop)
    }
}
