//! The promise: five lines of YAML, a published zone, and mail goes in and comes out.

use std::time::Instant;

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::STANDARD};
use paquebot_tests::{
    cluster::{Cluster, NAME_SERVERS, Place},
    operator::Start,
};

use crate::world::{User, five_lines, publish_and_wait, server_address, took, zone};

/// The node's address.
const NODE: &str = "10.99.0.1";
/// Octets of the attachment.
const ATTACHMENT: usize = 200_000;

#[test]
fn five_lines_of_yaml_carry_mail() {
    let cluster = Cluster::shared();
    let mail = cluster.namespace("first", true);
    let mut start = Start::at(&mail, cluster.image());
    // What the platform team says once: the node's address is what others see of mail that leaves.
    start.settings.defaults.egress_addresses = vec![NODE.parse().unwrap()];
    let mut operator = start.run();
    operator.wait_to_lead();

    let yaml = five_lines(&mail, "example.com");
    assert_eq!(yaml.trim().lines().count(), 5, "{yaml}");
    let applied = Instant::now();
    mail.apply(&yaml);
    mail.wait("mailserver/default", "condition=Ready");
    took("five lines applied to MailServer Ready", applied);
    let server = server_address(&mail);
    let zone_text = zone(&mail, "example.com");
    let published = Instant::now();
    cluster.publish("example.com", &zone_text);
    publish_and_wait(&mail, "example.com");
    took("zone published to MailDomain Ready", published);

    let user = User::postmaster(&mail, &server, "example.com");
    let folder = tempfile::tempdir().unwrap();
    let (message, sent) = (folder.path().join("message"), message());
    // As it goes over the wire, its end included (RFC 5321 4.5.2): swaks leaves every octet as it is.
    std::fs::write(&message, format!("{}.", sent.replace("\r\n.", "\r\n.."))).unwrap();
    let data = format!("@{}", message.display());
    user.must_submit(&user.name, &["--data", &data, "--no-data-fixup", "--suppress-data"]);
    let received = user.fetch(1);
    let text = String::from_utf8(received.clone()).unwrap();
    assert_eq!(body(&text), body(&sent), "the body's octets differ");
    assert_eq!(text.matches("\nDKIM-Signature:").count(), 2, "{text:.2000}");

    let verify = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/verify.py");
    let ran = cluster.exec(Place::Client, "/usr/bin/python3", &[verify, NAME_SERVERS[1], "53", "2"], &received);
    assert_eq!(ran.code, 0, "{}", ran.text());
}

/// A message with an attachment, as a program writes it.
fn message() -> String {
    let mut octets = vec![0; ATTACHMENT];
    rand::fill(&mut octets).unwrap();
    let encoded = STANDARD.encode(&octets);
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let head = "From: Postmaster <postmaster@example.com>\r\nTo: postmaster@example.com\r\nSubject: An attachment\r\n\
                MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n\r\n";
    format!(
        "{head}--edge\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         Gr\u{fc}\u{df}e \t \r\n\r\n..\r\n. a dot\r\n--edge\r\nContent-Type: application/octet-stream\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--edge--\r\n\r\n\r\n",
        lines.join("\r\n")
    )
}

fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").unwrap().1
}
