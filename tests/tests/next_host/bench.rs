//! An engine over the memory store whose routes are given and whose sessions are real.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use paquebot_mta::{
    admin::metrics::Metrics,
    deliver::{Remote, Routed, remote::Smtp},
    directory::{Directory, Snapshot},
    dns::Resolver,
    identity::Identity,
    message::{Body, Message, MessageId},
    queue::{Deps, Engine, EngineHandle, lane::Lane, route::Target},
    sign::Signers,
    store::*,
    time::Micros,
};
use paquebot_mta_api::{
    address::{Address, Domain},
    config::{Delivery, Retry},
    directory::{DkimKeyEntry, DomainEntry, Entry, KeyAlgorithm, MailboxEntry, PrivateKey, Value},
    journey::{Event, Step},
};
use uuid::Uuid;

pub const ALICE: &str = "alice@example.com";
const ACCOUNT: AccountId = AccountId(Uuid::from_u128(1));

/// Real sessions, given routes.
struct Given {
    smtp: Smtp,
    targets: Vec<IpAddr>,
}

impl Remote for Given {
    fn route<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, Routed> {
        let target = |address: &IpAddr| Target { host: format!("mx.{domain}"), address: *address };
        let targets = Ok(self.targets.iter().map(target).collect());
        async move { Routed { words: format!("{domain}: given"), targets } }.boxed()
    }

    fn session<'a>(&'a self, target: &'a Target, lane: &'a mut Lane) -> BoxFuture<'a, ()> {
        self.smtp.session(target, lane)
    }
}

pub struct Bench {
    pub store: Store,
    pub engine: EngineHandle,
    pub identity: Identity,
}

impl Bench {
    pub fn start(port: u16, targets: &[&str]) -> Self {
        let memory = Arc::new(Memory::new());
        let store = Store::new(memory.clone(), memory.blobs());
        let retry = Retry { first_ms: 50, longest_ms: 200, warn_after_ms: 60_000, give_up_after_ms: 60_000 };
        let delivery = Delivery {
            port,
            retry,
            source_address: Some("127.0.0.1".parse().unwrap()),
            connections_per_destination: 1,
            ..Delivery::default()
        };
        let identity: Identity = "mail.example.com".parse::<Domain>().unwrap().into();
        let resolver = Resolver::new(&["127.0.0.1:9".parse().unwrap()]).unwrap();
        let smtp = Smtp::new(delivery.clone(), identity.clone(), resolver).unwrap();
        let engine = Engine::start(Deps {
            store: store.clone(),
            directory: directory(),
            remote: Arc::new(Given { smtp, targets: targets.iter().map(|it| it.parse().unwrap()).collect() }),
            signers: Arc::new(Signers::default()),
            metrics: Arc::new(Metrics::new().unwrap()),
            clock: Clock::system(),
            identity: identity.clone(),
            delivery,
            first_attempts: 1000,
        });
        Self { store, engine, identity }
    }

    /// Accepts a message as the receiving side would; its queue id.
    pub async fn send(&self, to: &[&str], body: Body8) -> MessageId {
        let id = MessageId::new();
        let inline = match &body {
            Body8::Blob(octets) => {
                let mut blob = self.store.create_blob(id).await.unwrap();
                blob.write(octets.clone()).await.unwrap();
                blob.finish().await.unwrap();
                Body::Blob { size_bytes: octets.len() as u64 }
            }
            Body8::Inline(octets) => Body::Inline(octets.clone()),
            Body8::Gone => Body::Blob { size_bytes: 200_000 },
        };
        let recipients: Vec<Address> = to.iter().map(|it| it.parse().unwrap()).collect();
        let new = recipients.iter().enumerate().map(|(index, to)| NewRecipient {
            index: RecipientIndex(u32::try_from(index).unwrap()),
            address: to.clone(),
            original: to.to_string(),
            account: None,
        });
        let accept = Accept {
            message: Arc::new(Message {
                id,
                prefix: Bytes::from_static(b"Received: here\r\n"),
                header: Bytes::from_static(b"From: alice@example.com\r\nSubject: hello\r\n\r\n"),
                body: inline,
                message_id: "1@example.com".into(),
                eight_bit: false,
                utf8_header: false,
            }),
            envelope: Arc::new(Envelope {
                reverse_path: Some(ALICE.parse().unwrap()),
                accepted: Micros::now(),
                domain: Uuid::from_u128(9),
                smtputf8: false,
                junk: false,
            }),
            recipients: new.collect(),
            holder: self.engine.holder(),
            events: Vec::new(),
        };
        self.store.accept(accept.clone()).await.unwrap();
        self.engine.submit(accept);
        id
    }

    /// Waits until the queue is empty.
    pub async fn empty(&self) {
        let wait = async {
            while self.store.queue_depth().await.unwrap().0 > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), wait).await.is_err() {
            panic!("still queued: {:#?}", self.store.queue(None, 10).await);
        }
    }

    pub async fn journey(&self, id: MessageId) -> Vec<Event> {
        self.store.journey(JourneyOf::Message(id), 1000).await.unwrap()
    }

    pub async fn steps(&self, id: MessageId) -> Vec<Step> {
        self.journey(id).await.into_iter().map(|it| it.step).filter(|it| *it != Step::Routed).collect()
    }

    /// The bounces in alice's INBOX.
    pub async fn bounces(&self) -> Vec<String> {
        let Some(inbox) = self.store.mailbox(ACCOUNT, "INBOX").await.unwrap() else { return Vec::new() };
        let mut texts = Vec::new();
        for mail in self.store.mails(inbox.id, 100).await.unwrap() {
            let content = self.store.mail(inbox.id, mail.uid).await.unwrap();
            let body = self.store.read_body(&content.message, 0..u64::MAX).await.unwrap();
            texts.push(
                String::from_utf8([&content.message.prefix[..], &content.message.header, &body].concat()).unwrap(),
            );
        }
        texts
    }
}

/// Where a body lies.
#[derive(Clone)]
pub enum Body8 {
    Inline(Bytes),
    Blob(Bytes),
    /// Nowhere any more.
    Gone,
}

fn directory() -> Arc<Directory> {
    let values = [
        Value::Domain(DomainEntry { domain: "example.com".parse().unwrap(), id: Uuid::from_u128(9), catch_all: None }),
        Value::DkimKey(DkimKeyEntry {
            domain: "example.com".parse().unwrap(),
            selector: "e1".into(),
            algorithm: KeyAlgorithm::Ed25519,
            private_key: PrivateKey(rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_der()),
        }),
        Value::Mailbox(MailboxEntry {
            address: ALICE.parse().unwrap(),
            account: ACCOUNT.0,
            quota_bytes: None,
            login: None,
        }),
    ];
    let directory = Directory::default();
    directory.replace(Snapshot::new(1, values.into_iter().map(|value| Entry::new(Uuid::nil(), value)).collect()));
    Arc::new(directory)
}
