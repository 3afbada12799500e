//! Mailboxes: copies, tombstones, leases, usage.

use std::{collections::BTreeMap, time::Duration};

use paquebot_mta_api::address::Address;
use uuid::Uuid;

use super::{
    super::{rules, types::*},
    gone,
    state::{Copy, MailboxRow, State},
};
use crate::{message::MessageId, time::Micros};

impl State {
    pub fn find_mailbox(&self, account: AccountId, name: &str) -> Option<MailboxState> {
        self.mailboxes
            .values()
            .find(|mailbox| mailbox.account == account && mailbox.name == name)
            .map(|mailbox| mailbox.state.clone())
    }

    fn mailbox_or_new(&mut self, clock: Micros, account: AccountId, name: &str) -> MailboxId {
        if let Some(state) = self.find_mailbox(account, name) {
            return state.id;
        }
        self.mailboxes_made += 1;
        let id = MailboxId(self.mailboxes_made);
        let before = self.names_gone.get(&(account, name.to_owned())).copied();
        let state = MailboxState {
            id,
            uid_validity: rules::uid_validity(clock.0, before),
            uid_next: Uid(1),
            modseq: ModSeq(1),
        };
        let row = MailboxRow { account, name: name.to_owned(), state, copies: BTreeMap::new() };
        self.mailboxes.insert(id, row);
        id
    }

    pub fn store_copy(
        &mut self,
        clock: Micros,
        id: MessageId,
        account: AccountId,
        mailbox: &str,
        delivered_to: &Address,
    ) -> Result<(), StoreError> {
        let name = rules::mailbox_name(mailbox)?;
        let stored = self.messages.get(&id).cloned().ok_or_else(|| gone(id))?;
        if !self.given.insert((id, account)) {
            return Ok(());
        }
        let reverse_path = stored.envelope.reverse_path.as_ref().map(ToString::to_string).unwrap_or_default();
        let fields = rules::copy_fields(&reverse_path, delivered_to);
        let mailbox = self.mailbox_or_new(clock, account, name);
        if let Some(row) = self.mailboxes.get_mut(&mailbox) {
            let uid = row.state.uid_next;
            row.state.uid_next = Uid(uid.0.saturating_add(1));
            row.state.modseq = ModSeq(row.state.modseq.0 + 1);
            let size_bytes = fields.len() as u64 + stored.message.size_bytes();
            let mail = Mail { uid, modseq: row.state.modseq, message: id, size_bytes, internal_date: clock };
            row.copies.insert(uid, Copy { mail, fields, expunged: None });
        }
        Ok(())
    }

    pub fn expunge(
        &mut self,
        clock: Micros,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        session: Option<Uuid>,
    ) -> Result<(), StoreError> {
        if session.is_some_and(|session| !self.leases.get(&account).is_some_and(|it| it.0 == session && it.1 > clock)) {
            return Err(StoreError::Fenced);
        }
        let row = self.mailboxes.get_mut(&mailbox).filter(|row| row.account == account).ok_or_else(no_mailbox)?;
        let modseq = ModSeq(row.state.modseq.0 + 1);
        for uid in uids {
            if let Some(copy) = row.copies.get_mut(uid).filter(|copy| copy.expunged.is_none()) {
                copy.expunged = Some(clock);
                copy.mail.modseq = modseq;
                row.state.modseq = modseq;
            }
        }
        Ok(())
    }

    pub fn lock(&mut self, clock: Micros, account: AccountId, session: Uuid, ttl: Duration) -> Result<(), StoreError> {
        if self.leases.get(&account).is_some_and(|(holder, until)| *holder != session && *until > clock) {
            return Err(StoreError::Conflict("another session has this maildrop open".into()));
        }
        self.leases.insert(account, (session, clock + ttl));
        Ok(())
    }

    pub fn unlock(&mut self, account: AccountId, session: Uuid) {
        if self.leases.get(&account).is_some_and(|(holder, _)| *holder == session) {
            self.leases.remove(&account);
        }
    }

    pub fn list_mails(&self, mailbox: MailboxId, limit: usize) -> Vec<Mail> {
        let copies = self.mailboxes.get(&mailbox).into_iter().flat_map(|row| row.copies.values());
        copies.filter(|copy| copy.expunged.is_none()).take(limit).map(|copy| copy.mail.clone()).collect()
    }

    pub fn mail_content(&self, mailbox: MailboxId, uid: Uid) -> Result<MailContent, StoreError> {
        let copy = self.mailboxes.get(&mailbox).and_then(|row| row.copies.get(&uid)).ok_or_else(no_mail)?;
        let stored = self.messages.get(&copy.mail.message).ok_or_else(no_mail)?;
        Ok(MailContent { copy_fields: copy.fields.clone(), message: stored.message.clone() })
    }

    pub fn usage(&self, account: AccountId) -> u64 {
        self.mailboxes
            .values()
            .filter(|row| row.account == account)
            .flat_map(|row| row.copies.values())
            .filter(|copy| copy.expunged.is_none())
            .map(|copy| copy.mail.size_bytes)
            .sum()
    }
}

fn no_mailbox() -> StoreError {
    StoreError::Conflict("there is no such mailbox".into())
}

fn no_mail() -> StoreError {
    StoreError::Conflict("the message is gone from the mailbox".into())
}
