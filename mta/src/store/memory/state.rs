//! What there is, and what the parts share: references to a message, the journeys, the directory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use paquebot_mta_api::{
    directory::{Entry, Value},
    journey::Event,
};
use uuid::Uuid;

use super::super::{backend::Written, rules, types::*};
use crate::{
    message::{Body, MessageId},
    time::Micros,
};

/// A recipient's row in the queue.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub to: NewRecipient,
    pub shard: u32,
    pub holder: Option<Incarnation>,
    pub next_attempt: Micros,
    pub attempts: u32,
    pub error: String,
    pub warned: bool,
}

/// A message in a mailbox, or its tombstone.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    pub mail: Mail,
    pub fields: bytes::Bytes,
    pub expunged: Option<Micros>,
}

/// A mailbox.
#[derive(Debug)]
pub(super) struct MailboxRow {
    pub account: AccountId,
    pub name: String,
    pub state: MailboxState,
    pub copies: BTreeMap<Uid, Copy>,
}

/// All of it.
#[derive(Default)]
pub(super) struct State {
    pub messages: HashMap<MessageId, Stored>,
    pub queue: BTreeMap<(MessageId, RecipientIndex), Row>,
    /// Alive until then; ended at `None`.
    pub incarnations: HashMap<Incarnation, Option<Micros>>,
    pub mailboxes: BTreeMap<MailboxId, MailboxRow>,
    pub mailboxes_made: i64,
    /// The last UIDVALIDITY of names that were deleted.
    pub names_gone: HashMap<(AccountId, String), u32>,
    /// What each account was given, so that twice is once.
    pub given: BTreeSet<(MessageId, AccountId)>,
    pub accounts_gone: HashMap<AccountId, Micros>,
    pub leases: HashMap<AccountId, (Uuid, Micros)>,
    pub dead: BTreeMap<(MessageId, RecipientIndex), Micros>,
    pub events: Vec<Event>,
    pub entries: BTreeMap<String, Entry>,
    pub epoch: u64,
    pub revision: u64,
    pub complete: bool,
    pub blobs_to_remove: Vec<MessageId>,
}

impl State {
    pub fn note(&mut self, events: &[Event]) {
        self.events.extend_from_slice(events);
    }

    /// Removes the message if nothing refers to it.
    pub fn drop_unreferenced(&mut self, id: MessageId) -> bool {
        let all = (id, RecipientIndex(0))..=(id, RecipientIndex(u32::MAX));
        let referenced = self.queue.range(all.clone()).next().is_some()
            || self.dead.range(all).next().is_some()
            || self.given.range((id, AccountId(Uuid::nil()))..=(id, AccountId(Uuid::max()))).next().is_some();
        if referenced {
            return false;
        }
        let Some(stored) = self.messages.remove(&id) else { return false };
        if matches!(stored.message.body, Body::Blob { .. }) {
            self.blobs_to_remove.push(id);
        }
        true
    }

    pub fn change_directory(&mut self, clock: Micros, change: &DirectoryChange) -> Result<Written, StoreError> {
        let owner_of = |key: &str| Ok(self.entries.get(key).map(|entry| entry.owner));
        if let Err(refusal) = rules::judge_change(change, (self.epoch, self.revision), owner_of)? {
            return Ok(Written::Refused(refusal));
        }
        self.epoch = change.epoch;
        let mut changed = self.revision == 0 || (change.complete && !self.complete);
        self.complete |= change.complete;
        for key in &change.delete {
            changed |= self.entries.remove(key).is_some();
        }
        for entry in &change.put {
            let before = self.entries.insert(entry.value.key(), entry.clone());
            changed |= before.as_ref() != Some(entry);
        }
        self.mark_accounts(clock);
        self.revision += u64::from(changed);
        Ok(Written::Revision(self.revision))
    }

    /// Which accounts with mail the directory does not have, and since when.
    fn mark_accounts(&mut self, clock: Micros) {
        let here: HashSet<_> = self
            .entries
            .values()
            .filter_map(|entry| match &entry.value {
                Value::Mailbox(mailbox) => Some(AccountId(mailbox.account)),
                _ => None,
            })
            .collect();
        for mailbox in self.mailboxes.values().filter(|mailbox| !here.contains(&mailbox.account)) {
            self.accounts_gone.entry(mailbox.account).or_insert(clock);
        }
        self.accounts_gone.retain(|account, _| !here.contains(account));
    }
}
