//! What a journey learns of a POP3 session: fetched, deleted (RFC 5598: the MRA's steps).
//! Lossy where the store cannot: a client never waits for it.

use std::{collections::HashMap, net::IpAddr};

use paquebot_mta_api::journey::{Actor, Event, Step};
use tokio::runtime::Handle;

use super::maildrop::Selected;
use crate::{login::Authenticated, message::MessageId, store::Store, time::Micros};

/// Steps that are written together at most; the rest of a session's at its end.
const TOGETHER_MAX: usize = 64;

/// The steps of one session. Dropped, it writes what is left.
pub struct Events {
    store: Store,
    user: Authenticated,
    client: IpAddr,
    /// What was selected, and whether its end was reached.
    seen: HashMap<usize, (Selected, bool)>,
    waiting: Vec<Event>,
}

impl Events {
    /// Nothing has happened yet.
    pub fn new(store: Store, user: Authenticated, client: IpAddr) -> Self {
        Self { store, user, client, seen: HashMap::new(), waiting: Vec::new() }
    }

    /// A message is about to be read.
    pub fn selected(&mut self, index: usize, message: &Selected) {
        self.seen.entry(index).or_insert_with(|| (message.clone(), false));
    }

    /// A message was read to its end; told once a session.
    pub fn fetched(&mut self, handle: u64, now: Micros) {
        let Some((message, told)) = usize::try_from(handle).ok().and_then(|index| self.seen.get_mut(&index)) else {
            return;
        };
        if std::mem::replace(told, true) {
            return;
        }
        let Selected { message, message_id } = message.clone();
        let event = self.event(message, message_id, Step::Fetched, now);
        self.waiting.push(event);
        if self.waiting.len() >= TOGETHER_MAX {
            self.write();
        }
    }

    /// The step of a message that is deleted; for the write that deletes it.
    pub fn deleted(&self, message: MessageId, message_id: String, now: Micros) -> Event {
        self.event(message, message_id, Step::Deleted, now)
    }

    /// The Message-ID field of a message that was selected before.
    pub fn message_id(&self, index: usize) -> Option<String> {
        self.seen.get(&index).map(|(message, _)| message.message_id.clone())
    }

    fn event(&self, message: MessageId, message_id: String, step: Step, now: Micros) -> Event {
        Event {
            at_us: now.0,
            message: message.0,
            message_id,
            recipient: Some(self.user.address().to_string()),
            actor: Actor::Mra,
            step,
            detail: format!("by POP3 from {}", self.client),
        }
    }

    /// Writes what waits, and waits for it.
    pub async fn settle(&mut self) {
        note(self.store.clone(), std::mem::take(&mut self.waiting)).await;
    }

    /// Writes what waits, aside.
    fn write(&mut self) {
        let events = std::mem::take(&mut self.waiting);
        if let (false, Ok(runtime)) = (events.is_empty(), Handle::try_current()) {
            runtime.spawn(note(self.store.clone(), events));
        }
    }
}

async fn note(store: Store, events: Vec<Event>) {
    if events.is_empty() {
        return;
    }
    if let Err(error) = store.note(events).await {
        tracing::warn!(%error, "steps of a journey are lost");
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.write();
    }
}
