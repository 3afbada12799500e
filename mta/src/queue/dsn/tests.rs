//! Notices as text, whole: failure, delay, internationalised; and what they never contain.

use bytes::Bytes;
use paquebot_proto::{EnhancedCode, Reply};
use uuid::Uuid;

use super::*;
use crate::message::Body;

fn message(header: &str) -> Message {
    Message {
        id: MessageId(Uuid::from_u128(1)),
        prefix: Bytes::from_static(b"Received: from laptop by mail.example.com; Thu, 1 Jan 1970 00:00:00 +0000\r\n"),
        header: Bytes::copy_from_slice(header.as_bytes()),
        body: Body::Inline(Bytes::from_static(b"secret\r\n")),
        message_id: "1@laptop".into(),
        eight_bit: false,
        utf8_header: !header.is_ascii(),
    }
}

fn failure(code: u16, text: &str) -> Failure {
    Failure::said("mx.example.org", &Reply::new(code, EnhancedCode(5, 1, 1), text))
}

fn written(kind: Kind, message: &Message, recipients: &[(&str, &str, Failure)]) -> String {
    let addresses: Vec<Address> = recipients.iter().map(|(address, ..)| address.parse().unwrap()).collect();
    let reported: Vec<_> = recipients
        .iter()
        .zip(&addresses)
        .map(|((_, original, failure), address)| Reported { address, original, failure })
        .collect();
    let composed = compose(&Notice {
        kind,
        id: MessageId(Uuid::from_u128(2)),
        reporter: &"mail.example.com".parse().unwrap(),
        from: &"postmaster@example.com".parse().unwrap(),
        to: &"alice@example.com".parse().unwrap(),
        message,
        accepted: Micros(0),
        now: Micros(60_000_000),
        recipients: &reported,
    });
    let text = String::from_utf8([composed.header, composed.body].concat()).unwrap();
    assert!(text.split("\r\n").all(|line| line.len() <= LINE_BYTES_MAX && !line.contains(['\r', '\n'])), "{text}");
    text.replace("\r\n", "\n")
}

#[test]
fn failure_of_two() {
    let message = message("From: alice@example.com\r\nSubject: hello\r\n\r\n");
    insta::assert_snapshot!(written(
        Kind::Failed,
        &message,
        &[
            ("bob@example.org", "bob@example.org", failure(550, "no such user")),
            ("carol@example.net", "carol@example.net", Failure::ours(EnhancedCode(4, 4, 1), "no host answered")),
        ],
    ));
}

#[test]
fn delay() {
    let message = message("From: alice@example.com\r\n\r\n");
    let until = Micros(5 * 86_400_000_000);
    insta::assert_snapshot!(written(
        Kind::Delayed { until },
        &message,
        &[("bob@example.org", "bob@example.org", Failure::ours(EnhancedCode(4, 4, 1), "no host answered"))],
    ));
}

#[test]
fn internationalised() {
    let message = message("From: alice@example.com\r\nSubject: grüße\r\n\r\n");
    insta::assert_snapshot!(written(
        Kind::Failed,
        &message,
        &[("jörg@example.org", "jörg@example.org", failure(550, "niemand heißt so"))],
    ));
}

#[test]
fn what_an_alias_hides_stays_hidden() {
    let text = written(
        Kind::Failed,
        &message("\r\n"),
        &[("private@example.net", "info@example.com", failure(550, "<private@example.net> is unknown"))],
    );
    assert!(!text.contains("private@"), "{text}");
    assert!(text.contains("<info@example.com> is unknown"), "{text}");
}

#[test]
fn strangers_cannot_forge_parts_or_fields() {
    let boundary = format!("--=_{}", MessageId(Uuid::from_u128(2)));
    let mut evil = message(&format!("X: {}\r\nBcc: x\r\n", "y".repeat(2000)));
    evil.message_id = "1>\r\nBcc: <victim@example.org".into();
    let reply = Reply::new(550, EnhancedCode(5, 0, 0), "no\r\n\r\nAction: delivered\r\nBcc: x");
    let text = written(
        Kind::Failed,
        &evil,
        &[("bob@example.org", "bob@example.org\r\nAction: delivered", Failure::said("evil\r\nX: y", &reply))],
    );
    assert!(!text.contains("\nAction: delivered"), "{text}");
    assert!(!text.contains("In-Reply-To"), "{text}");
    assert!(!text.contains("yyyy"), "a line that nobody may send is not returned");
    assert_eq!(text.matches(&boundary).count(), 4, "three parts and the end");
}

#[test]
fn a_huge_header_is_cut() {
    let message = message(&"X-Filler: 0123456789\r\n".repeat(20_000));
    let text = written(Kind::Failed, &message, &[("bob@example.org", "", failure(550, "no"))]);
    assert!(text.len() < RETURNED_HEADER_BYTES_MAX + 4096);
    assert!(text.contains("Final-Recipient: rfc822; bob@example.org"));
}
