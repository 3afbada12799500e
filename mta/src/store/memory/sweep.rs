//! Drops what is past its time, in bounded steps.

use super::{
    super::{rules, types::*},
    state::State,
};
use crate::{message::MessageId, time::Micros};

impl State {
    /// At most `limit` of each kind.
    pub fn sweep(&mut self, now: Micros, limit: usize) -> u64 {
        let journeys = self.sweep_journeys(now, limit);
        let dead = self.sweep_dead(now, limit);
        let copies = self.sweep_copies(now, limit);
        let orphans: Vec<_> = self.messages.keys().copied().collect();
        let orphans = orphans.into_iter().filter(|id| self.drop_unreferenced(*id)).take(limit).count() as u64;
        self.leases.retain(|_, (_, until)| *until > now);
        journeys + dead + copies + orphans
    }

    fn sweep_journeys(&mut self, now: Micros, limit: usize) -> u64 {
        let mut left = limit;
        let before = self.events.len();
        self.events.retain(|event| {
            let goes = left > 0 && Micros(event.at_us) + rules::JOURNEY_KEPT <= now;
            left -= usize::from(goes);
            !goes
        });
        (before - self.events.len()) as u64
    }

    fn sweep_dead(&mut self, now: Micros, limit: usize) -> u64 {
        let past: Vec<_> = self
            .dead
            .iter()
            .filter(|(_, since)| **since + rules::DEAD_LETTER_KEPT <= now)
            .map(|(key, _)| *key)
            .take(limit)
            .collect();
        for key in &past {
            self.dead.remove(key);
            self.drop_unreferenced(key.0);
        }
        past.len() as u64
    }

    /// Tombstones past their time, and all copies of accounts that are gone for long.
    fn sweep_copies(&mut self, now: Micros, limit: usize) -> u64 {
        let mut past: Vec<(MailboxId, Uid, MessageId, AccountId)> = Vec::new();
        for (id, mailbox) in &self.mailboxes {
            let gone = self.account_past(mailbox.account, now);
            for copy in mailbox.copies.values() {
                let old = copy.expunged.is_some_and(|since| since + rules::TOMBSTONE_KEPT <= now);
                if past.len() < limit && (gone || old) {
                    past.push((*id, copy.mail.uid, copy.mail.message, mailbox.account));
                }
            }
        }
        for (mailbox, uid, message, account) in &past {
            if let Some(row) = self.mailboxes.get_mut(mailbox) {
                row.copies.remove(uid);
            }
            self.given.remove(&(*message, *account));
            self.drop_unreferenced(*message);
        }
        self.sweep_mailboxes(now);
        past.len() as u64
    }

    /// Empty mailboxes of accounts that are gone for long; their names' UIDVALIDITY is remembered.
    fn sweep_mailboxes(&mut self, now: Micros) {
        let past: Vec<_> = self
            .mailboxes
            .iter()
            .filter(|(_, row)| row.copies.is_empty() && self.account_past(row.account, now))
            .map(|(id, _)| *id)
            .collect();
        for row in past.iter().filter_map(|id| self.mailboxes.remove(id)).collect::<Vec<_>>() {
            self.names_gone.insert((row.account, row.name), row.state.uid_validity);
        }
    }

    fn account_past(&self, account: AccountId, now: Micros) -> bool {
        self.accounts_gone.get(&account).is_some_and(|since| *since + rules::ACCOUNT_KEPT <= now)
    }
}
