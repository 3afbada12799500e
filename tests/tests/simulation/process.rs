//! A process that accepts and delivers, and may die.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use paquebot_mta::{
    admin::metrics::Metrics,
    directory::{Directory, Snapshot},
    message::{Body, Message, MessageId},
    queue::{Deps, Engine, EngineHandle},
    sign::Signers,
    store::*,
    time::Micros,
};
use paquebot_mta_api::{
    address::{Address, Domain},
    config::{Delivery, Retry},
    directory::{DomainEntry, Entry, MailboxEntry, Value},
};
use uuid::Uuid;

use super::{
    hosts::Hosts,
    unreliable::{Chance, Death, Unreliable},
};

/// Mailboxes of example.com.
pub const ACCOUNTS: [(&str, u128); 2] = [("alice@example.com", 1), ("bob@example.com", 2)];

pub fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// The simulated wall clock: it moves with tokio's.
pub fn clock() -> Clock {
    let start = tokio::time::Instant::now();
    Clock::new(move || Micros(1_700_000_000_000_000) + start.elapsed())
}

fn directory() -> Arc<Directory> {
    let mut values = vec![Value::Domain(DomainEntry {
        domain: "example.com".parse().unwrap(),
        id: Uuid::from_u128(9),
        catch_all: None,
    })];
    for (name, account) in ACCOUNTS {
        values.push(Value::Mailbox(MailboxEntry {
            address: address(name),
            account: Uuid::from_u128(account),
            quota_bytes: None,
            login: None,
        }));
    }
    let directory = Directory::default();
    directory.replace(Snapshot::new(1, values.into_iter().map(|value| Entry::new(Uuid::nil(), value)).collect()));
    Arc::new(directory)
}

/// A message that was answered with 250.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub message: MessageId,
    pub message_id: String,
    pub has_sender: bool,
    pub recipients: Vec<Address>,
}

pub struct Process {
    pub backend: Arc<Unreliable>,
    store: Store,
    pub engine: EngineHandle,
    clock: Clock,
}

impl Process {
    pub fn start(memory: &Arc<Memory>, hosts: &Arc<Hosts>, clock: &Clock, faults: u64, death: Death) -> Self {
        let backend = Unreliable::new(memory.clone(), hosts.chance.clone(), faults, death);
        let store = Store::new(backend.clone(), memory.blobs());
        let retry = Retry { first_ms: 1000, longest_ms: 10_000, warn_after_ms: 20_000, give_up_after_ms: 60_000 };
        let engine = Engine::start(Deps {
            store: store.clone(),
            directory: directory(),
            remote: hosts.clone(),
            signers: Arc::new(Signers::default()),
            metrics: Arc::new(Metrics::new().unwrap()),
            clock: clock.clone(),
            identity: "mail.example.com".parse::<Domain>().unwrap().into(),
            delivery: Delivery { connections: 3, connections_per_destination: 2, retry, ..Delivery::default() },
            first_attempts: 8,
        });
        Self { backend, store, engine, clock: clock.clone() }
    }

    /// What the receiving side does: `Some` is a 250.
    pub async fn accept(&self, number: u64, sender: Option<&str>, to: &[&str]) -> Option<Accepted> {
        let message_id = format!("{number}@simulation");
        let message = Message {
            id: MessageId::new(),
            prefix: Bytes::new(),
            header: Bytes::from(format!("From: <x@example.com>\r\nMessage-ID: <{message_id}>\r\n\r\n")),
            body: Body::Inline(Bytes::from_static(b"hello\r\n")),
            message_id: message_id.clone(),
            eight_bit: false,
            utf8_header: false,
        };
        let recipients: Vec<Address> = to.iter().map(|it| address(it)).collect();
        let accepted = Accepted { message: message.id, message_id, has_sender: sender.is_some(), recipients };
        let new = accepted.recipients.iter().enumerate().map(|(index, to)| NewRecipient {
            index: RecipientIndex(u32::try_from(index).unwrap()),
            address: to.clone(),
            original: to.to_string(),
            account: ACCOUNTS
                .iter()
                .find(|(name, _)| *name == to.to_string())
                .map(|(_, account)| AccountId(Uuid::from_u128(*account))),
        });
        let accept = Accept {
            message: Arc::new(message),
            envelope: Arc::new(Envelope {
                reverse_path: sender.map(address),
                accepted: self.clock.now(),
                domain: Uuid::from_u128(9),
                smtputf8: false,
                junk: false,
            }),
            recipients: new.collect(),
            holder: self.engine.holder(),
            events: Vec::new(),
        };
        self.store.accept(accept.clone()).await.ok()?;
        self.engine.submit(accept);
        Some(accepted)
    }

    /// As SIGKILL would: nothing is written any more, nothing given back.
    pub fn kill(&self) {
        self.backend.die();
        self.engine.abort();
    }

    pub fn writes(&self) -> u64 {
        self.backend.writes.load(Ordering::SeqCst)
    }
}

/// A world of its own: time, store, next hosts.
pub struct World {
    pub memory: Arc<Memory>,
    pub hosts: Arc<Hosts>,
    pub clock: Clock,
}

impl World {
    pub fn new(seed: u64, faults: u64) -> Self {
        let clock = clock();
        let chance = Arc::new(Chance::new(seed));
        Self {
            memory: Arc::new(Memory::with_clock(clock.clone())),
            hosts: Arc::new(Hosts { chance, faults, arrived: Default::default() }),
            clock,
        }
    }

    pub fn process(&self, faults: u64, death: Death) -> Process {
        Process::start(&self.memory, &self.hosts, &self.clock, faults, death)
    }
}
