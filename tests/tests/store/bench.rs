//! A store to test, whatever its backend, with a clock that the test moves; and what the tests put into it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use paquebot_mta::{
    message::{Body, Message, MessageId},
    store::*,
    time::Micros,
};
use paquebot_mta_api::journey::{Actor, Event, Step};
use uuid::Uuid;

/// Where every test's clock starts: 2026-01-01.
pub const START: Micros = Micros(1_767_225_600_000_000);
pub const TTL: Duration = Duration::from_secs(30);

pub struct Bench {
    pub store: Store,
    pub clock: TestClock,
    pub blobs: Box<dyn Fn() -> usize>,
}

#[derive(Clone)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START.0)))
    }
    pub fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_micros() as i64, Ordering::SeqCst);
    }
    pub fn as_clock(&self) -> Clock {
        let clock = self.clone();
        Clock::new(move || clock.now())
    }
}

impl Bench {
    pub fn memory() -> Self {
        let clock = TestClock::new();
        let memory = Arc::new(Memory::with_clock(clock.as_clock()));
        let blobs = memory.blobs();
        Self { store: Store::in_memory(memory), clock, blobs: Box::new(move || blobs.count()) }
    }

    pub fn sqlite() -> Self {
        let clock = TestClock::new();
        let folder = tempfile::tempdir().unwrap();
        let options = sqlite::Options { clock: clock.as_clock(), ..sqlite::Options::default() };
        let (backend, blobs) = Sqlite::open_with(folder.path(), seal_key(), options).unwrap();
        let root = folder.path().join("blobs");
        let count = move || {
            let _kept = &folder;
            let folders = std::fs::read_dir(&root).unwrap();
            folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
        };
        Self { store: Store::new(backend, blobs), clock, blobs: Box::new(count) }
    }

    /// Waits until there are so many blobs: they go after the commit.
    pub async fn until_blobs(&self, count: usize) {
        let soon = async {
            while (self.blobs)() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), soon).await.expect("blobs");
    }

    /// A process that lives.
    pub async fn incarnation(&self) -> Incarnation {
        let me = Incarnation(Uuid::now_v7());
        self.store.beat(me, TTL).await.unwrap();
        me
    }

    pub async fn claim(&self, who: Incarnation) -> Vec<Held> {
        self.store.claim(who, self.clock.now(), 1000).await.unwrap()
    }
}

pub fn seal_key() -> SealKey {
    SealKey::new(&[7; 32]).unwrap()
}

/// The same tests on every backend.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::bench::Bench::memory()).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::store::bench::Bench::sqlite()).await;
            })+
        }
    };
}
pub(crate) use on_every_store;

pub const BODY: &[u8] = b"Hello.\r\n";

pub fn message(body: &[u8]) -> Message {
    let id = MessageId::new();
    Message {
        id,
        prefix: Bytes::from_static(b"Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\n"),
        header: Bytes::from_static(b"From: a@example.com\r\nSubject: x\r\n\r\n"),
        body: Body::Inline(Bytes::copy_from_slice(body)),
        message_id: format!("{id}@example.com"),
        eight_bit: false,
        utf8_header: false,
    }
}

pub fn recipient(index: u32, address: &str, account: Option<AccountId>) -> NewRecipient {
    NewRecipient {
        index: RecipientIndex(index),
        address: address.parse().unwrap(),
        original: format!("<{address}>"),
        account,
    }
}

pub fn accept_of(message: Message, to: &[&str], holder: Option<Incarnation>) -> Accept {
    Accept {
        message: Arc::new(message),
        envelope: Arc::new(Envelope {
            reverse_path: Some("a@example.com".parse().unwrap()),
            accepted: START,
            domain: Uuid::from_u128(1),
            smtputf8: false,
            junk: false,
        }),
        recipients: to.iter().enumerate().map(|(at, address)| recipient(at as u32, address, None)).collect(),
        holder,
        events: Vec::new(),
    }
}

pub fn accept(to: &[&str], holder: Option<Incarnation>) -> Accept {
    accept_of(message(BODY), to, holder)
}

pub fn attempt(message: MessageId, holder: Incarnation, outcomes: Vec<(u32, Outcome)>) -> Attempt {
    let outcomes = outcomes.into_iter().map(|(index, outcome)| (RecipientIndex(index), outcome)).collect();
    Attempt { message, holder, outcomes, notices: Vec::new(), events: Vec::new() }
}

pub fn deferred(next_attempt: Micros) -> Outcome {
    Outcome::Deferred { next_attempt, error: "451 later".into(), warned: true }
}

pub fn stored(account: AccountId, mailbox: &str) -> Outcome {
    Outcome::Stored { account, mailbox: mailbox.into(), delivered_to: "b@example.org".parse().unwrap() }
}

pub fn event(at: Micros, message: Uuid, message_id: &str, step: Step) -> Event {
    Event {
        at_us: at.0,
        message,
        message_id: message_id.into(),
        recipient: Some("b@example.org".into()),
        actor: Actor::Mta,
        step,
        detail: "why".into(),
    }
}
