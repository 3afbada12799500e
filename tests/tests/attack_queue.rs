//! A message that ends its worker at each attempt: it is put off and returned, and takes no other mail with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use paquebot_mta::{
    admin::metrics::Metrics,
    deliver::{Remote, Routed},
    directory::{Directory, Snapshot},
    message::{Body, Message, MessageId},
    queue::{Deps, Engine, EngineHandle, lane::Lane, route::Target},
    sign::Signers,
    store::*,
    time::Micros,
};
use paquebot_mta_api::{
    address::{Address, Domain},
    config::{Delivery, Retry},
    directory::{DomainEntry, Entry, MailboxEntry, Value},
    journey::Step,
};
use paquebot_proto::{
    EnhancedCode, Reply,
    smtp::client_ask::{Capabilities, Outcome},
};
use uuid::Uuid;

const ALICE: &str = "alice@example.com";
const ACCOUNT: AccountId = AccountId(Uuid::from_u128(1));
const START: Micros = Micros(1_700_000_000_000_000);
const RETRY: Retry = Retry { first_ms: 1000, longest_ms: 10_000, warn_after_ms: 600_000, give_up_after_ms: 60_000 };
/// Pauses of 1, 2, 4, 8, 10 … seconds within a minute, and a few more by jitter.
const PANICS_MAX: usize = 20;

/// Takes everything but mail for `poison@`, which ends the worker, and for `slow@`, which never ends.
#[derive(Default)]
struct Poisoned {
    panics: AtomicUsize,
}

impl Remote for Poisoned {
    fn route<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, Routed> {
        let target = Target { host: format!("mx.{domain}"), address: "198.51.100.1".parse().unwrap() };
        async move { Routed { words: format!("{domain}: given"), targets: Ok(vec![target]) } }.boxed()
    }

    fn session<'a>(&'a self, _target: &'a Target, lane: &'a mut Lane) -> BoxFuture<'a, ()> {
        async move {
            while let Some(transaction) = lane.next(&Capabilities::default()).await {
                if transaction.recipients.iter().any(|to| to.starts_with("poison@")) {
                    self.panics.fetch_add(1, Ordering::SeqCst);
                    panic!("as a fault in a parser would");
                }
                if transaction.recipients.iter().any(|to| to.starts_with("slow@")) {
                    std::future::pending::<()>().await;
                }
                let reply = Some(Reply::new(250, EnhancedCode(2, 0, 0), "ok"));
                lane.done(&vec![Outcome { reply, command: "end of DATA" }; transaction.recipients.len()]).await;
            }
        }
        .boxed()
    }
}

struct Bench {
    store: Store,
    engine: EngineHandle,
    began: tokio::time::Instant,
    remote: Arc<Poisoned>,
    /// The next one who reads the clock panics.
    fault: Arc<AtomicBool>,
}

fn directory() -> Arc<Directory> {
    let domain = DomainEntry { domain: "example.com".parse().unwrap(), id: Uuid::nil(), catch_all: None };
    let alice = MailboxEntry { address: ALICE.parse().unwrap(), account: ACCOUNT.0, quota_bytes: None, login: None };
    let values = [Value::Domain(domain), Value::Mailbox(alice)];
    let directory = Directory::default();
    directory.replace(Snapshot::new(1, values.into_iter().map(|value| Entry::new(Uuid::nil(), value)).collect()));
    Arc::new(directory)
}

impl Bench {
    fn start() -> Self {
        let began = tokio::time::Instant::now();
        let fault = Arc::new(AtomicBool::new(false));
        let faulty = fault.clone();
        let clock = Clock::new(move || {
            assert!(!faulty.swap(false, Ordering::SeqCst), "as a fault in a background task would");
            START + began.elapsed()
        });
        let memory = Arc::new(Memory::new());
        let store = Store::new(memory.clone(), memory.blobs());
        let remote = Arc::new(Poisoned::default());
        let engine = Engine::start(Deps {
            store: store.clone(),
            directory: directory(),
            remote: remote.clone(),
            signers: Arc::new(Signers::default()),
            metrics: Arc::new(Metrics::new().unwrap()),
            clock,
            identity: "mail.example.com".parse::<paquebot_mta_api::address::Domain>().unwrap().into(),
            delivery: Delivery { connections_per_destination: 1, retry: RETRY, ..Delivery::default() },
            first_attempts: 100,
        });
        Self { store, engine, began, remote, fault }
    }

    async fn send(&self, to: &str) -> MessageId {
        let address: Address = to.parse().unwrap();
        let id = MessageId::new();
        let accept = Accept {
            message: Arc::new(Message {
                id,
                prefix: Bytes::new(),
                header: Bytes::from_static(b"From: alice@example.com\r\n\r\n"),
                body: Body::Inline(Bytes::from_static(b"hello\r\n")),
                message_id: "1@example.com".into(),
                eight_bit: false,
                utf8_header: false,
            }),
            envelope: Arc::new(Envelope {
                reverse_path: Some(ALICE.parse().unwrap()),
                accepted: START + self.began.elapsed(),
                domain: Uuid::nil(),
                smtputf8: false,
                junk: false,
            }),
            recipients: vec![NewRecipient { index: RecipientIndex(0), original: to.into(), address, account: None }],
            holder: self.engine.holder(),
            events: Vec::new(),
        };
        self.store.accept(accept.clone()).await.unwrap();
        self.engine.submit(accept);
        id
    }

    async fn last_step(&self, id: MessageId) -> Option<Step> {
        let journey = self.store.journey(JourneyOf::Message(id), 1000).await.unwrap();
        journey.into_iter().map(|event| event.step).rfind(|step| *step != Step::Routed)
    }

    /// Until the queue is empty, by the simulated clock.
    async fn empty(&self) {
        for _ in 0..10_000 {
            if self.store.queue_depth().await.unwrap().0 == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("still queued: {:#?}", self.store.queue(None, 10).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_ends_its_worker_is_returned_and_the_others_are_delivered() {
    let bench = Bench::start();
    let mut good = Vec::new();
    let poison = bench.send("poison@bad.example").await;
    for to in ["neighbour@bad.example", "bob@good.example", "carol@good.example"] {
        good.push(bench.send(to).await);
    }
    bench.empty().await;
    for id in good {
        assert_eq!(bench.last_step(id).await, Some(Step::Delivered));
    }
    assert_eq!(bench.last_step(poison).await, Some(Step::Returned), "its sender is told");
    let panics = bench.remote.panics.load(Ordering::SeqCst);
    assert!((2..=PANICS_MAX).contains(&panics), "{panics} attempts: with pauses, and not for ever");
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_a_background_task_does_not_end_it() {
    let bench = Bench::start();
    assert_eq!(bench.engine.holder(), None, "no heartbeat yet: the message waits in the store");
    bench.fault.store(true, Ordering::SeqCst);
    let first = bench.send("bob@good.example").await;
    bench.empty().await;
    assert!(!bench.fault.load(Ordering::SeqCst), "it did panic");
    // Whichever task it was, heartbeat or claims: its absence shows once the lease would have expired.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let second = bench.send("bob@good.example").await;
    bench.empty().await;
    for id in [first, second] {
        assert_eq!(bench.last_step(id).await, Some(Step::Delivered));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_ends_its_worker_is_returned_while_another_is_under_way_for_long() {
    let bench = Bench::start();
    let slow = bench.send("slow@slow.example").await;
    let poison = bench.send("poison@bad.example").await;
    for _ in 0..1200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.last_step(poison).await, Some(Step::Returned), "twice the time after which mail is given up");
    assert_eq!(bench.last_step(slow).await, None);
}
