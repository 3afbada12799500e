//! POP3 sessions over a real store: the machine, its owner, logins, the lease.

use std::time::Instant;

use bytes::Bytes;
use paquebot_mta_api::{
    directory::{Entry, LoginKeys, MailboxEntry, Value},
    journey::{Actor, Step as Journey},
};
use paquebot_proto::{Framing, Machine, Output, Step, Tls, dot::DotEncoder, pop3::Settings};
use uuid::Uuid;

use super::*;
use crate::{
    admin::metrics::Metrics,
    directory::{Directory, Snapshot},
    message::{Body, Message, MessageId},
    store::*,
};

const ALICE: AccountId = AccountId(Uuid::from_u128(1));
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const LOGIN: &str = "USER alice@example.com\r\nPASS secret\r\n";
const FIELDS: &str = "Return-Path: <bob@example.org>\r\nDelivered-To: alice@example.com\r\n";

struct Place {
    store: Store,
    blobs: Arc<MemoryBlobs>,
    logins: Arc<Logins>,
    me: Incarnation,
}

async fn place() -> Place {
    let memory = Arc::new(Memory::new());
    let blobs = memory.blobs();
    let store = Store::new(memory, blobs.clone());
    let me = Incarnation(Uuid::now_v7());
    store.beat(me, std::time::Duration::from_secs(3600)).await.unwrap();
    let mailbox = |address: &str, account: AccountId, password: &str| {
        Entry::new(
            Uuid::nil(),
            Value::Mailbox(MailboxEntry {
                address: address.parse().unwrap(),
                account: account.0,
                quota_bytes: None,
                login: Some(LoginKeys::derive(password, b"0123456789abcdef", 4096, b"")),
            }),
        )
    };
    let directory = Directory::default();
    directory.replace(Snapshot::new(
        1,
        vec![
            mailbox("alice@example.com", ALICE, "secret"),
            mailbox("carol@example.com", AccountId(Uuid::from_u128(2)), "other"),
        ],
    ));
    let logins = Logins::new(Arc::new(directory), Arc::new(Metrics::new().unwrap()), 10, b"salts");
    Place { store, blobs, logins: Arc::new(logins), me }
}

impl Place {
    /// Puts a message into Alice's INBOX; a long body goes into a blob.
    async fn deliver(&self, message_id: &str, body: &str) -> MessageId {
        let id = MessageId::new();
        let stored = if body.len() > 1000 {
            let mut blob = self.store.create_blob(id).await.unwrap();
            blob.write(Bytes::copy_from_slice(body.as_bytes())).await.unwrap();
            blob.finish().await.unwrap();
            Body::Blob { size_bytes: body.len() as u64 }
        } else {
            Body::Inline(Bytes::copy_from_slice(body.as_bytes()))
        };
        let message = Message {
            id,
            prefix: Bytes::from_static(b"Received: by mail.example.com\r\n"),
            header: format!("Message-ID: <{message_id}>\r\nSubject: hello\r\n\r\n").into(),
            body: stored,
            message_id: message_id.into(),
            eight_bit: false,
            utf8_header: false,
        };
        let envelope = Envelope {
            reverse_path: Some("bob@example.org".parse().unwrap()),
            accepted: Micros(1),
            domain: Uuid::nil(),
            smtputf8: false,
            junk: false,
        };
        let address: paquebot_mta_api::address::Address = "alice@example.com".parse().unwrap();
        let recipient = NewRecipient {
            index: RecipientIndex(0),
            address: address.clone(),
            original: address.to_string(),
            account: Some(ALICE),
        };
        let accept = Accept {
            message: Arc::new(message),
            envelope: Arc::new(envelope),
            recipients: vec![recipient],
            holder: Some(self.me),
            events: vec![],
        };
        self.store.accept(accept).await.unwrap();
        let outcome = Outcome::Stored { account: ALICE, mailbox: "INBOX".into(), delivered_to: address };
        let attempt = Attempt {
            message: id,
            holder: self.me,
            outcomes: vec![(RecipientIndex(0), outcome)],
            notices: vec![],
            events: vec![],
        };
        self.store.attempt(attempt).await.unwrap();
        id
    }

    fn session(&self) -> Talk {
        let settings = Settings { hostname: "mail.example.com".into(), tls: Tls::Active, nonce_seed: [1; 32] };
        let owner = Session::new(self.store.clone(), self.logins.clone(), CLIENT);
        Talk { machine: ServerMachine::new(Instant::now(), settings), owner }
    }

    async fn uids(&self) -> Vec<u32> {
        let inbox = self.store.mailbox(ALICE, "INBOX").await.unwrap().unwrap();
        self.store.mails(inbox.id, 100).await.unwrap().iter().map(|mail| mail.uid.0).collect()
    }

    async fn journey(&self, of: JourneyOf) -> Vec<Journey> {
        let events = self.store.journey(of, 100).await.unwrap();
        assert!(events.iter().all(|event| event.actor == Actor::Mra));
        events.iter().map(|event| event.step).collect()
    }
}

/// A session without sockets.
struct Talk {
    machine: ServerMachine,
    owner: Session,
}

impl Talk {
    /// What the server says to this. An error is a connection that breaks.
    async fn say(&mut self, input: &str) -> io::Result<String> {
        let (mut rest, mut wire) = (input.as_bytes(), Vec::new());
        loop {
            let fed = self.machine.feed(Instant::now(), rest);
            rest = &rest[fed.consumed..];
            let pause = match fed.step {
                Step::Ask(ask) => {
                    let answer = self.owner.ask(ask).await;
                    self.machine.answer(Instant::now(), answer);
                    false
                }
                Step::Data(_) => false,
                Step::Read | Step::Close => true,
                Step::Upgrade(_) => panic!("TLS is active"),
            };
            while let Some(output) = self.machine.output().pop() {
                match output {
                    Output::Bytes(octets) => wire.extend(octets),
                    Output::Bulk(bulk) => self.bulk(bulk, &mut wire).await?,
                }
            }
            if pause {
                return Ok(String::from_utf8(wire).unwrap());
            }
        }
    }

    async fn bulk(&mut self, bulk: paquebot_proto::Bulk, wire: &mut Vec<u8>) -> io::Result<()> {
        let Framing::Dot { body_lines_max } = bulk.framing else { panic!("raw") };
        let (mut encoder, mut at) = (DotEncoder::new(body_lines_max), 0);
        while !encoder.is_satisfied() {
            let octets = self.owner.bulk(bulk.handle, at..at + 1000).await?;
            if octets.is_empty() {
                break;
            }
            assert!(octets.len() <= 1000);
            at += octets.len() as u64;
            encoder.encode(&octets, wire);
        }
        encoder.finish(wire);
        Ok(())
    }
}

#[tokio::test]
async fn messages_come_as_they_were_stored() {
    let place = place().await;
    let long = "0123456789abcdef\r\n".repeat(1000);
    place.deliver("one@example.org", ".dot\r\nbody\r\n").await;
    place.deliver("two@example.org", &long).await;
    let mut talk = place.session();
    let login = talk.say(LOGIN).await.unwrap();
    assert!(login.ends_with("\r\n+OK now PASS\r\n+OK 2 messages (18302 octets)\r\n"), "{login}");
    let head = |id: &str| {
        format!("{FIELDS}Received: by mail.example.com\r\nMessage-ID: <{id}@example.org>\r\nSubject: hello\r\n\r\n")
    };
    let one = head("one");
    let size = one.len() + ".dot\r\nbody\r\n".len();
    assert_eq!(talk.say("RETR 1\r\n").await.unwrap(), format!("+OK {size} octets\r\n{one}..dot\r\nbody\r\n.\r\n"));
    assert_eq!(talk.say("TOP 1 1\r\n").await.unwrap(), format!("+OK its beginning\r\n{one}..dot\r\n.\r\n"));
    let two = talk.say("RETR 2\r\n").await.unwrap();
    assert!(two.ends_with(&format!("\r\n{}{long}.\r\n", head("two"))));
    assert_eq!(talk.say("TOP 2 0\r\n").await.unwrap(), format!("+OK its beginning\r\n{}.\r\n", head("two")));
}

#[tokio::test]
async fn quit_deletes_at_once_and_the_journey_knows() {
    let place = place().await;
    let first = place.deliver("one@example.org", "1\r\n").await;
    place.deliver("two@example.org", "2\r\n").await;
    place.deliver("three@example.org", "3\r\n").await;
    let mut talk = place.session();
    talk.say(&format!("{LOGIN}RETR 1\r\nRETR 1\r\nTOP 2 0\r\nDELE 1\r\nDELE 3\r\n")).await.unwrap();
    assert_eq!(place.uids().await, [1, 2, 3], "not before QUIT");
    assert_eq!(talk.say("QUIT\r\n").await.unwrap(), "+OK deleted; goodbye\r\n");
    assert_eq!(place.uids().await, [2]);
    for (id, steps) in
        [("one", vec![Journey::Fetched, Journey::Deleted]), ("two", vec![]), ("three", vec![Journey::Deleted])]
    {
        assert_eq!(place.journey(JourneyOf::MessageIdField(format!("{id}@example.org"))).await, steps, "{id}");
    }
    assert_eq!(place.journey(JourneyOf::Message(first)).await.len(), 2);
    let again = place.session().say(&format!("{LOGIN}UIDL\r\n")).await.unwrap();
    assert!(again.contains("1 messages") && again.ends_with(".2\r\n.\r\n"), "the lock is free at once: {again}");
}

#[tokio::test]
async fn a_session_that_breaks_deletes_nothing_and_unlocks() {
    let place = place().await;
    place.deliver("one@example.org", "1\r\n").await;
    let mut talk = place.session();
    talk.say(&format!("{LOGIN}RETR 1\r\nDELE 1\r\n")).await.unwrap();
    drop(talk);
    let unlocked_and_noted = async {
        while place.session().say(LOGIN).await.unwrap().contains("[IN-USE]") {
            tokio::task::yield_now().await;
        }
        while place.journey(JourneyOf::MessageIdField("one@example.org".into())).await != [Journey::Fetched] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), unlocked_and_noted).await.unwrap();
    assert_eq!(place.uids().await, [1]);
}

#[tokio::test]
async fn the_maildrop_is_one_sessions() {
    let place = place().await;
    place.deliver("one@example.org", "1\r\n").await;
    let (mut first, mut second) = (place.session(), place.session());
    first.say(LOGIN).await.unwrap();
    let refused = second.say(&format!("{LOGIN}STAT\r\n")).await.unwrap();
    assert!(refused.contains("\r\n-ERR [IN-USE] ") && refused.ends_with("-ERR log in first\r\n"), "{refused}");
    let other = second.say("USER carol@example.com\r\nPASS other\r\nSTAT\r\nRETR 1\r\n").await.unwrap();
    assert!(other.ends_with("+OK 0 0\r\n-ERR no such message\r\n"), "another's maildrop: {other}");
    first.say("QUIT\r\n").await.unwrap();
    assert!(place.session().say(LOGIN).await.unwrap().contains("+OK 1 messages"));
}

#[tokio::test]
async fn mail_that_comes_later_is_not_in_the_snapshot() {
    let place = place().await;
    place.deliver("one@example.org", "1\r\n").await;
    let mut talk = place.session();
    talk.say(LOGIN).await.unwrap();
    place.deliver("two@example.org", "2\r\n").await;
    assert_eq!(talk.say("STAT\r\nRETR 2\r\n").await.unwrap(), "+OK 1 148\r\n-ERR no such message\r\n");
    talk.say("DELE 1\r\nQUIT\r\n").await.unwrap();
    assert_eq!(place.uids().await, [2]);
}

/// The lease is taken from a session: what it marked is not deleted, not even in part.
#[tokio::test]
async fn a_lost_lock_deletes_nothing() {
    let place = place().await;
    place.deliver("one@example.org", "1\r\n").await;
    place.deliver("two@example.org", "2\r\n").await;
    let mut talk = place.session();
    talk.say(&format!("{LOGIN}DELE 1\r\nDELE 2\r\n")).await.unwrap();
    let session = talk.owner.open.as_ref().unwrap().lease.session();
    place.store.unlock(ALICE, session).await.unwrap();
    place.store.lock(ALICE, Uuid::now_v7(), lease::LEASE_TTL).await.unwrap();
    assert_eq!(talk.say("QUIT\r\n").await.unwrap(), "-ERR [IN-USE] the lock was lost; nothing was deleted\r\n");
    assert_eq!(place.uids().await, [1, 2]);
    let blocked = place.session().say(LOGIN).await.unwrap();
    assert!(blocked.contains("[IN-USE]"), "it did not give back what is another's: {blocked}");
}

/// A message that another session removes meanwhile can still be fetched; to delete it too is no fault.
#[tokio::test]
async fn removed_meanwhile() {
    let place = place().await;
    place.deliver("one@example.org", "1\r\n").await;
    let mut talk = place.session();
    talk.say(LOGIN).await.unwrap();
    let inbox = place.store.mailbox(ALICE, "INBOX").await.unwrap().unwrap();
    place.store.expunge(ALICE, inbox.id, vec![Uid(1)], None, vec![]).await.unwrap();
    assert!(talk.say("RETR 1\r\n").await.unwrap().ends_with("\r\n1\r\n.\r\n"));
    assert_eq!(talk.say("DELE 1\r\nQUIT\r\n").await.unwrap(), "+OK marked; QUIT deletes\r\n+OK deleted; goodbye\r\n");
}

#[tokio::test]
async fn half_a_message_breaks_the_connection() {
    let place = place().await;
    let id = place.deliver("one@example.org", &"x\r\n".repeat(1000)).await;
    let mut talk = place.session();
    talk.say(LOGIN).await.unwrap();
    assert_eq!(talk.owner.ask(Ask::Fetch(0)).await, Answer::Done);
    place.blobs.remove(id).await.unwrap();
    assert!(talk.owner.bulk(0, 1000..2000).await.is_err());
}

/// A connection broken at each RETR would keep the client from all that comes after.
#[tokio::test]
async fn a_body_that_is_gone_is_refused_and_the_next_message_comes() {
    let place = place().await;
    let id = place.deliver("one@example.org", &"x\r\n".repeat(1000)).await;
    place.deliver("two@example.org", "2\r\n").await;
    let mut talk = place.session();
    talk.say(LOGIN).await.unwrap();
    place.blobs.remove(id).await.unwrap();
    let refused = talk.say("RETR 1\r\n").await.unwrap();
    assert!(refused.starts_with("-ERR"), "{refused}");
    assert!(talk.say("RETR 2\r\n").await.unwrap().ends_with("\r\n2\r\n.\r\n"));
}

#[tokio::test]
async fn bulk_is_only_of_the_message_that_was_asked_for() {
    let place = place().await;
    place.deliver("one@example.org", "1\r\n").await;
    let mut talk = place.session();
    assert!(talk.owner.bulk(0, 0..10).await.is_err(), "nobody has logged in");
    talk.say(LOGIN).await.unwrap();
    assert!(talk.owner.bulk(0, 0..10).await.is_err(), "nothing is selected");
    assert_eq!(talk.owner.ask(Ask::Fetch(0)).await, Answer::Done);
    assert!(talk.owner.bulk(1, 0..10).await.is_err(), "another message");
    assert_eq!(talk.owner.bulk(0, 0..6).await.unwrap(), "Return");
    assert_eq!(talk.owner.bulk(0, 147..u64::MAX).await.unwrap(), "\n");
    assert_eq!(talk.owner.bulk(0, 148..u64::MAX).await.unwrap(), "");
    assert_eq!(talk.owner.bulk(0, u64::MAX..u64::MAX).await.unwrap(), "");
    assert!(matches!(talk.owner.ask(Ask::Fetch(1)).await, Answer::Refused(_)));
}

#[tokio::test]
async fn nothing_without_a_login() {
    let place = place().await;
    for ask in [Ask::Open, Ask::Fetch(0), Ask::Commit(vec![0])] {
        assert_eq!(place.session().owner.ask(ask).await, Answer::Refused(Refusal::Temporary));
    }
}

#[test]
fn faults() {
    for (error, want) in [
        (StoreError::Unavailable(String::new()), Refusal::Temporary),
        (StoreError::Full(String::new()), Refusal::Temporary),
        (StoreError::Fenced, Refusal::InUse),
        (StoreError::Conflict(String::new()), Refusal::InUse),
        (StoreError::Corrupt(String::new()), Refusal::Permanent),
    ] {
        assert_eq!(refusal(&error), want);
    }
}
