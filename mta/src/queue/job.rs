//! What the engine works on: a message, and those of its recipients that go the same way.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use paquebot_mta_api::address::{Address, Domain};
use tokio::sync::Notify;

use super::outcome::Failure;
use crate::{
    message::{Body, Message},
    store::{AccountId, Envelope, Held, Incarnation, NewRecipient, RecipientIndex},
    time::Micros,
};

/// Where a job waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Mailboxes here, and what can be decided without leaving.
    Local,
    /// A domain elsewhere, by MX.
    Domain(Domain),
}

/// Where a recipient is now, by the directory of this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A mailbox of ours.
    Mailbox(AccountId),
    /// Elsewhere, under this address.
    Remote(Address),
    /// Nowhere.
    Nowhere(Failure),
}

/// A recipient that is held.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Its place in the envelope.
    pub index: RecipientIndex,
    /// Where it goes, aliases expanded at RCPT.
    pub address: Address,
    /// What the client said in RCPT.
    pub original: String,
    /// The account, as it was at RCPT.
    pub account: Option<AccountId>,
    /// Failed attempts so far.
    pub attempts: u32,
    /// Whether the sender was told of a delay.
    pub warned: bool,
    /// Where it is now.
    pub place: Place,
}

impl From<Held> for Recipient {
    fn from(held: Held) -> Self {
        Self {
            index: held.index,
            place: Place::Remote(held.address.clone()),
            address: held.address,
            original: held.original,
            account: held.account,
            attempts: held.attempts,
            warned: held.warned,
        }
    }
}

impl From<NewRecipient> for Recipient {
    fn from(new: NewRecipient) -> Self {
        Self {
            index: new.index,
            place: Place::Remote(new.address.clone()),
            address: new.address,
            original: new.original,
            account: new.account,
            attempts: 0,
            warned: false,
        }
    }
}

/// A message with recipients of one destination.
#[derive(Debug, Clone)]
pub struct Job {
    /// The message.
    pub message: Arc<Message>,
    /// Its envelope.
    pub envelope: Arc<Envelope>,
    /// At least one, at most a transaction's.
    pub recipients: Vec<Recipient>,
    /// Who holds the rows.
    pub holder: Incarnation,
    /// When it came into line.
    pub since: Micros,
    /// Whether its journey already names the DNS answers, or another job of the same message does.
    pub route_told: bool,
    /// Its share of the budget: given back when the last job of the message is settled or dropped.
    pub ticket: Arc<Ticket>,
}

impl Job {
    /// The same job for others of its recipients.
    pub fn with(&self, recipients: Vec<Recipient>) -> Self {
        Self { recipients, ..self.clone() }
    }
}

/// How much may be in memory at once.
#[derive(Debug)]
pub struct Budget {
    messages_max: usize,
    bytes_max: usize,
    messages: AtomicUsize,
    bytes: AtomicUsize,
    /// Told when much became free.
    room: Notify,
}

impl Budget {
    /// A budget of so much.
    pub fn new(messages_max: usize, bytes_max: usize) -> Self {
        Self { messages_max, bytes_max, messages: AtomicUsize::new(0), bytes: AtomicUsize::new(0), room: Notify::new() }
    }

    /// Messages for which there is room.
    pub fn room(&self) -> usize {
        if self.bytes.load(Ordering::Relaxed) >= self.bytes_max {
            return 0;
        }
        self.messages_max.saturating_sub(self.messages.load(Ordering::Relaxed))
    }

    /// Whether nothing is in memory.
    pub fn is_idle(&self) -> bool {
        self.messages.load(Ordering::Relaxed) == 0
    }

    /// Waits until much became free.
    pub async fn freed(&self) {
        self.room.notified().await;
    }

    /// A share for this message. Never refused: who asks has looked at [`Budget::room`].
    pub fn ticket(self: &Arc<Self>, message: &Message) -> Arc<Ticket> {
        let body = match &message.body {
            Body::Inline(octets) => octets.len(),
            Body::Blob { .. } => 0,
        };
        let bytes = message.prefix.len() + message.header.len() + body;
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Arc::new(Ticket { budget: self.clone(), bytes })
    }
}

/// A message's share of the budget.
#[derive(Debug)]
pub struct Ticket {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let before = self.budget.messages.fetch_sub(1, Ordering::Relaxed);
        let bytes_before = self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        let half = self.budget.bytes_max / 2;
        let bytes_at_half = bytes_before > half && bytes_before - self.bytes <= half;
        // Woken at half, not at each: claiming is done in batches.
        if bytes_at_half || before == self.budget.messages_max / 2 + 1 || before == 1 {
            self.budget.room.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt;

    use super::*;
    use crate::message::MessageId;

    #[tokio::test]
    async fn room_is_told_whichever_bound_was_reached() {
        let message = |octets: usize| Message {
            id: MessageId::new(),
            prefix: Bytes::new(),
            header: Bytes::new(),
            body: Body::Inline(vec![b'x'; octets].into()),
            message_id: String::new(),
            eight_bit: false,
            utf8_header: false,
        };
        for (octets, messages) in [(0, 10), (100, 4)] {
            let budget = Arc::new(Budget::new(10, 400));
            let mut tickets: Vec<_> = (0..messages).map(|_| budget.ticket(&message(octets))).collect();
            assert_eq!(budget.room(), 0, "{octets}");
            while tickets.len() > 1 && budget.freed().now_or_never().is_none() {
                tickets.pop();
            }
            let told = tickets.len();
            drop(tickets);
            assert!(told > 1, "{octets}: told before the last is gone, at {told}");
        }
    }
}
