//! A store in memory: real semantics, nothing on disk. For simulation and tests: it outlives the simulated
//! process as long as somebody holds it.
//!
//! - `state`: what there is;
//! - `queue`: accept, attempt, claim, incarnations;
//! - `mail`: mailboxes, leases, usage;
//! - `sweep`: what is past its time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{FutureExt, future::BoxFuture};
use paquebot_mta_api::{
    admin::Listed,
    journey::{Event, Queued},
};

mod mail;
mod queue;
mod state;
mod sweep;

use state::State;

use super::{
    backend::{Backend, BatchResult, Write, Written},
    blob::{Blobs, MemoryBlobs},
    clock::Clock,
    types::*,
};
use crate::{message::MessageId, time::Micros};

/// A store in memory.
pub struct Memory {
    state: Mutex<State>,
    blobs: MemoryBlobs,
    clock: Clock,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_clock(Clock::system())
    }
}

impl Memory {
    /// An empty one, by the system's clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one that judges expiry by this clock.
    pub fn with_clock(clock: Clock) -> Self {
        Self { state: Mutex::default(), blobs: MemoryBlobs::new(), clock }
    }

    /// Its blobs.
    pub fn blobs(&self) -> Arc<MemoryBlobs> {
        Arc::new(self.blobs.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> Result<T, StoreError>,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let result = read(&self.state());
        async move { result }.boxed()
    }
}

/// One write, all or nothing.
fn write(state: &mut State, clock: Micros, write: &Write) -> Result<Written, StoreError> {
    let done = |()| Written::Done;
    match write {
        Write::Accept(accept) => state.accept(clock, accept).map(done),
        Write::Attempt(attempt) => state.attempt(clock, attempt).map(done),
        Write::Claim { incarnation, now, limit } => {
            Ok(Written::Claimed(state.claim(clock, *incarnation, *now, *limit)))
        }
        Write::Beat { incarnation, ttl } => state.beat(clock, *incarnation, *ttl).map(done),
        Write::Release(incarnation) => {
            state.release(clock, *incarnation);
            Ok(Written::Done)
        }
        Write::Directory(change) => state.change_directory(clock, change),
        Write::Lock { account, session, ttl } => state.lock(clock, *account, *session, *ttl).map(done),
        Write::Unlock { account, session } => {
            state.unlock(*account, *session);
            Ok(Written::Done)
        }
        Write::Expunge { account, mailbox, uids, session, events } => {
            state.expunge(clock, *account, *mailbox, uids, *session)?;
            state.note(events);
            Ok(Written::Done)
        }
        Write::Events(events) => {
            state.note(events);
            Ok(Written::Done)
        }
        Write::Sweep { now, limit } => Ok(Written::Count(state.sweep(*now, *limit))),
    }
}

impl Backend for Memory {
    fn apply(&self, batch: Arc<[Write]>) -> BoxFuture<'_, BatchResult> {
        async move {
            let (results, blobs) = {
                let mut state = self.state();
                let clock = self.clock.now();
                let results = batch.iter().map(|one| write(&mut state, clock, one)).collect();
                (results, std::mem::take(&mut state.blobs_to_remove))
            };
            for id in blobs {
                self.blobs.remove(id).await?;
            }
            Ok(results)
        }
        .boxed()
    }

    fn message(&self, id: MessageId) -> BoxFuture<'_, Result<Stored, StoreError>> {
        self.read(|state| state.messages.get(&id).cloned().ok_or_else(|| gone(id)))
    }

    fn next_due(&self, incarnation: Incarnation) -> BoxFuture<'_, Result<Option<Micros>, StoreError>> {
        let clock = self.clock.now();
        self.read(|state| Ok(state.next_due(clock, incarnation)))
    }

    fn directory(&self) -> BoxFuture<'_, Result<DirectorySet, StoreError>> {
        self.read(|state| {
            Ok(DirectorySet {
                revision: state.revision,
                complete: state.complete,
                entries: state.entries.values().cloned().collect(),
                unreadable: Vec::new(),
            })
        })
    }

    fn directory_listing(&self, of: ListingOf) -> BoxFuture<'_, Result<DirectoryListing, StoreError>> {
        self.read(|state| {
            let wanted = state.entries.iter().filter(|(key, _)| of.has(key));
            let listed = wanted.map(|(key, it)| Listed { key: key.clone(), owner: it.owner, digest: it.digest });
            Ok(DirectoryListing {
                epoch: state.epoch,
                revision: state.revision,
                complete: state.complete,
                entries: listed.collect(),
            })
        })
    }

    fn directory_revision(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read(|state| Ok(state.revision))
    }

    fn queue(
        &self,
        after: Option<(MessageId, RecipientIndex)>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(RecipientIndex, Queued)>, StoreError>> {
        self.read(|state| Ok(state.list(after, limit)))
    }

    fn queue_depth(&self) -> BoxFuture<'_, Result<(u64, Option<Micros>), StoreError>> {
        self.read(|state| {
            let oldest = state.queue.first_key_value().and_then(|((id, _), _)| state.messages.get(id));
            Ok((state.queue.len() as u64, oldest.map(|stored| stored.envelope.accepted)))
        })
    }

    fn journey(&self, of: JourneyOf, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.read(|state| {
            let mut steps: Vec<_> = state
                .events
                .iter()
                .filter(|event| match &of {
                    JourneyOf::MessageIdField(field) => !field.is_empty() && event.message_id == *field,
                    JourneyOf::Message(id) => event.message == id.0,
                })
                .cloned()
                .collect();
            steps.sort_by_key(|event| event.at_us);
            steps.truncate(limit);
            Ok(steps)
        })
    }

    fn mailbox(&self, account: AccountId, name: &str) -> BoxFuture<'_, Result<Option<MailboxState>, StoreError>> {
        let name = super::rules::mailbox_name(name).map(str::to_owned);
        self.read(|state| Ok(name.ok().and_then(|name| state.find_mailbox(account, &name))))
    }

    fn mails(&self, mailbox: MailboxId, limit: usize) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>> {
        self.read(|state| Ok(state.list_mails(mailbox, limit)))
    }

    fn mail(&self, mailbox: MailboxId, uid: Uid) -> BoxFuture<'_, Result<MailContent, StoreError>> {
        self.read(|state| state.mail_content(mailbox, uid))
    }

    fn usage(&self, account: AccountId) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read(|state| Ok(state.usage(account)))
    }
}

fn gone(id: MessageId) -> StoreError {
    StoreError::Conflict(format!("message {id} is gone"))
}
