//! What happens with each kind of next host.

use bytes::Bytes;
use paquebot_mta::{queue::route::Ourselves, store::JourneyOf, time::Micros};
use paquebot_mta_api::journey::Step;
use tokio::net::TcpListener;

use super::{
    bench::{Bench, Body8},
    server::{Script, Server},
};

async fn server(script: Script) -> Server {
    Server::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), script).await
}

fn hello() -> Body8 {
    Body8::Inline(Bytes::from_static(b"hello\r\n.a dot\r\n"))
}

const WIRE: &[u8] = b"Received: here\r\nFrom: alice@example.com\r\nSubject: hello\r\n\r\nhello\r\n.a dot\r\n";

#[tokio::test]
async fn the_preferred_host_refuses_and_the_other_takes_it() {
    let server = server(Script::default()).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.77", "127.0.0.1"]);
    let id = bench.send(&["bob@example.org"], hello()).await;
    bench.empty().await;
    let [taken] = &server.taken()[..] else { panic!("{:?}", server.taken()) };
    assert_eq!(taken.data, WIRE);
    assert!(taken.mail.starts_with("MAIL FROM:<alice@example.com>"), "{}", taken.mail);
    assert_eq!(bench.steps(id).await, [Step::Delivered], "no pause between hosts");
    let journey = bench.journey(id).await;
    let delivered = journey.iter().find(|it| it.step == Step::Delivered).unwrap();
    assert_eq!(delivered.detail, "mx.example.org [127.0.0.1] without TLS: 250 2.0.0 taken");
}

#[tokio::test]
async fn not_now_then_yes() {
    let server = server(Script { finals: ["451 4.3.0 later"].into(), ..Script::default() }).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    let id = bench.send(&["bob@example.org"], hello()).await;
    bench.empty().await;
    assert_eq!(server.taken().len(), 1);
    assert_eq!(bench.steps(id).await, [Step::Deferred, Step::Delivered]);
}

#[tokio::test]
async fn a_greeting_that_refuses_is_the_hosts_fault() {
    for greeting in ["421 4.3.2 busy", "554 5.3.2 no"] {
        let server = server(Script { greetings: [greeting].into(), ..Script::default() }).await;
        let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
        let id = bench.send(&["bob@example.org"], hello()).await;
        bench.empty().await;
        assert_eq!(bench.steps(id).await, [Step::Deferred, Step::Delivered], "{greeting}");
    }
}

#[tokio::test]
async fn a_lost_reply_after_the_dot_is_tried_later() {
    let server = server(Script { finals: [""].into(), ..Script::default() }).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1", "127.0.0.1"]);
    let id = bench.send(&["bob@example.org"], hello()).await;
    bench.empty().await;
    assert_eq!(bench.steps(id).await, [Step::Deferred, Step::Delivered], "not at once at another host");
}

#[tokio::test]
async fn many_recipients_in_one_transaction_and_some_fail() {
    let script = Script {
        recipients: vec![("unknown", "550 5.1.1 no such user"), ("full", "452 4.2.2 over quota")],
        capabilities: vec!["PIPELINING"],
        ..Script::default()
    };
    let server = server(script).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    let good: Vec<String> = (0..97).map(|n| format!("user{n}@example.org")).collect();
    let mut to: Vec<&str> = good.iter().map(String::as_str).collect();
    to.extend(["unknown1@example.org", "unknown2@example.org"]);
    let id = bench.send(&to, hello()).await;
    bench.empty().await;
    let [taken] = &server.taken()[..] else { panic!("{:?}", server.taken()) };
    assert_eq!(taken.recipients.len(), 97);
    let steps = bench.steps(id).await;
    assert_eq!(steps.iter().filter(|it| **it == Step::Returned).count(), 2);
    let [bounce] = &bench.bounces().await[..] else { panic!("one bounce for both") };
    for name in ["unknown1", "unknown2"] {
        assert!(bounce.contains(&format!("Final-Recipient: rfc822; {name}@example.org")), "{bounce}");
    }
    assert!(bounce.contains("mx.example.org said:"), "{bounce}");
    assert_eq!(bench.journey(id).await.iter().filter(|it| it.step == Step::Routed).count(), 1, "one look-up, one step");
}

/// RFC 5321 §4.5.3.1.10: the others go in further transactions, at once.
#[tokio::test]
async fn too_many_recipients_for_one_transaction() {
    for messages_max in [None, Some(1), Some(2)] {
        let script = Script {
            recipients: vec![("unknown", "550 5.1.1 no such user")],
            recipients_max: Some(2),
            messages_max,
            capabilities: vec!["PIPELINING"],
            ..Script::default()
        };
        let server = server(script).await;
        let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
        let to = [
            "a@example.org",
            "b@example.org",
            "c@example.org",
            "unknown@example.org",
            "d@example.org",
            "e@example.org",
        ];
        let id = bench.send(&to, hello()).await;
        bench.empty().await;
        let taken: Vec<usize> = server.taken().iter().map(|it| it.recipients.len()).collect();
        assert_eq!(taken, [2, 2, 1], "{messages_max:?}");
        let steps = bench.steps(id).await;
        let count = |step| steps.iter().filter(|it| **it == step).count();
        if messages_max != Some(1) {
            // A host that hangs up after the first transaction is left alone for a while.
            assert_eq!(count(Step::Deferred), 0, "{messages_max:?}: {steps:?}");
        }
        assert_eq!((count(Step::Delivered), count(Step::Returned)), (5, 1), "{messages_max:?}: {steps:?}");
    }
}

/// Where nobody was taken, a further transaction at once would hear the same.
#[tokio::test]
async fn a_host_that_takes_nobody_is_tried_later() {
    let server = server(Script { recipients: vec![("bob", "452 4.5.3 too many")], ..Script::default() }).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    let id = bench.send(&["bob@example.org"], hello()).await;
    while bench.steps(id).await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.steps(id).await.first(), Some(&Step::Deferred));
    bench.engine.drain(std::time::Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_bounce_is_signed_and_its_journey_says_so() {
    let refused = vec![("nobody", "550 5.1.1 no such user")];
    let server = server(Script { recipients: refused, ..Script::default() }).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    bench.send(&["nobody@example.org"], hello()).await;
    bench.empty().await;
    let [bounce] = &bench.bounces().await[..] else { panic!("one bounce") };
    assert!(bounce.starts_with("DKIM-Signature: v=1; a=ed25519-sha256;"), "{bounce}");
    let id = bounce.lines().find_map(|line| line.strip_prefix("Message-ID: <")?.strip_suffix('>')).unwrap();
    let journey = bench.store.journey(JourneyOf::MessageIdField(id.to_owned()), 100).await.unwrap();
    let steps: Vec<_> = journey.iter().map(|it| it.step).collect();
    assert_eq!(steps, [Step::Signed, Step::Queued, Step::Stored]);
    assert_eq!(journey[0].detail, "DKIM d=example.com: ed25519-sha256 s=e1");
}

#[tokio::test]
async fn a_new_name_is_said_from_the_next_connection_on() {
    let server = server(Script { messages_max: Some(1), ..Script::default() }).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    bench.send(&["bob@example.org"], hello()).await;
    bench.empty().await;
    let name = "new.example.com".parse().unwrap();
    bench.identity.replace(Ourselves { hostname: name, addresses: Vec::new() });
    bench.send(&["bob@example.org"], hello()).await;
    bench.empty().await;
    let said: Vec<_> = server.taken().into_iter().map(|it| it.hello).collect();
    assert_eq!(said, ["EHLO mail.example.com", "EHLO new.example.com"]);
}

#[tokio::test]
async fn one_connection_for_many_messages() {
    let server = server(Script { capabilities: vec!["PIPELINING"], ..Script::default() }).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push((Micros::now(), bench.send(&["bob@example.org"], hello()).await));
    }
    bench.empty().await;
    assert_eq!((server.taken().len(), server.connections()), (20, 1));
    for (sent, id) in ids {
        let journey = bench.journey(id).await;
        let [routed, delivered] = &journey[..] else { panic!("{journey:?}") };
        assert_eq!((routed.step, delivered.step), (Step::Routed, Step::Delivered));
        assert!(sent.0 <= routed.at_us && routed.at_us < delivered.at_us, "{sent:?} {journey:?}");
    }
}

#[tokio::test]
async fn a_connection_that_the_host_closed_is_made_anew() {
    let server = server(Script { messages_max: Some(1), ..Script::default() }).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(bench.send(&["bob@example.org"], hello()).await);
        bench.empty().await;
    }
    for id in ids {
        assert_eq!(bench.steps(id).await, [Step::Delivered], "no fault of the message");
    }
    assert_eq!(server.taken().len(), 3);
}

#[tokio::test]
async fn a_large_body_streams_from_the_blob_store() {
    let server = server(Script::default()).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    let body: Bytes = "..0123456789\r\n".repeat(40_000).into();
    bench.send(&["bob@example.org"], Body8::Blob(body.clone())).await;
    bench.empty().await;
    let [taken] = &server.taken()[..] else { panic!("nothing taken") };
    assert!(taken.data.ends_with(&body) && taken.data.len() > body.len());
}

#[tokio::test]
async fn a_host_without_smtputf8_gets_no_such_address() {
    let server = server(Script { capabilities: vec!["8BITMIME"], ..Script::default() }).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    let id = bench.send(&["jörg@example.org"], hello()).await;
    bench.empty().await;
    assert_eq!(bench.steps(id).await, [Step::Returned]);
    let [bounce] = &bench.bounces().await[..] else { panic!("no bounce") };
    assert!(bounce.contains("Status: 5.6.7") && bounce.contains("utf-8; jörg@example.org"), "{bounce}");
}

#[tokio::test]
async fn a_failed_handshake_goes_on_without_tls() {
    let server = server(Script { capabilities: vec!["STARTTLS"], broken_tls: true, ..Script::default() }).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    let id = bench.send(&["bob@example.org"], hello()).await;
    bench.empty().await;
    assert_eq!((server.taken().len(), server.connections()), (1, 2));
    assert_eq!(bench.steps(id).await, [Step::Delivered]);
}

#[tokio::test]
async fn a_destination_that_is_down_costs_one_connection_not_one_a_message() {
    // Bound, never accepting more than a probe: the port answers, the greeting refuses.
    let server = server(Script { greetings: vec!["421 4.3.2 down"; 50].into(), ..Script::default() }).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1"]);
    for _ in 0..50 {
        bench.send(&["bob@example.org"], hello()).await;
    }
    while bench.store.queue(None, 100).await.unwrap().iter().any(|(_, row)| row.attempts == 0) {
        tokio::task::yield_now().await;
    }
    assert!(server.connections() < 25, "{} connections for 50 messages", server.connections());
    bench.engine.drain(std::time::Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_body_that_is_gone_is_our_fault_and_keeps_no_other_message() {
    let server = server(Script::default()).await;
    let bench = Bench::start(server.address.port(), &["127.0.0.1", "127.0.0.1"]);
    let gone = bench.send(&["bob@example.org"], Body8::Gone).await;
    let good = bench.send(&["bob@example.org"], hello()).await;
    let both = async {
        while !bench.steps(good).await.contains(&Step::Delivered) || bench.steps(gone).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), both).await.unwrap();
    let journey = bench.journey(gone).await;
    let deferred = journey.iter().find(|it| it.step == Step::Deferred).unwrap();
    assert!(deferred.detail.contains("4.3.0 the stored message cannot be read"), "{}", deferred.detail);
    assert!(deferred.detail.contains("is gone"), "{}", deferred.detail);
    assert!(server.taken().iter().all(|taken| taken.data == WIRE), "half a message never looks like a whole one");
}
