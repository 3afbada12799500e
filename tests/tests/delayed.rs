//! A next host that never answers, as a user sees it: told of the delay, then the message back; and what is counted.

use std::time::{Duration, Instant};

use paquebot_tests::{
    dns::Dns,
    pause,
    system::{System, own_address, port},
};

const MAIL: &str = "
apiVersion: paquebot.dev/v1alpha1
kind: MailDomain
metadata: {name: example.com}
---
apiVersion: paquebot.dev/v1alpha1
kind: Mailbox
metadata: {name: alice}
spec: {address: alice@example.com}
";
const ALICE: &str = "alice@example.com";
const SEEN_SECONDS_MAX: Duration = Duration::from_secs(60);

/// A system for which nobody listens at the MX of deaf.example.
fn start(give_up_ms: u32) -> (Dns, System) {
    let (own, deaf) = (own_address(), own_address());
    let dns = Dns::start(&[("deaf.example", &format!("@ 60 IN MX 10 mx\nmx 60 IN A {deaf}\n"))]);
    let retry = format!("{{firstMs: 200, longestMs: 400, warnAfterMs: 300, giveUpAfterMs: {give_up_ms}}}");
    let delivery = format!("{{port: 2525, allowedTargets: [127.0.0.0/8], retry: {retry}}}");
    let settings = format!("resolvers: [\"{}\"]\ndelivery: {delivery}\n", dns.address());
    (dns, System::start_at(own, MAIL, &settings))
}

fn metrics(system: &System) -> String {
    system.get("/metrics").unwrap()
}

fn has_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_sender_is_told_of_the_delay_and_gets_the_message_back() {
    let (_dns, system) = start(2000);
    system.submit(ALICE, &["bob@deaf.example"], &["--header", "Subject: hello"]);
    let delay = system.fetch(ALICE, 1);
    let always = ["Return-Path: <>", "Auto-Submitted: auto-replied", "DKIM-Signature: ", "cannot connect to"];
    has_all(&delay, &always);
    has_all(&delay, &["Subject: Your message is delayed", "Action: delayed", "Status: 4.4.2", "Will-Retry-Until: "]);
    let bounce = system.fetch(ALICE, 2);
    has_all(&bounce, &always);
    has_all(&bounce, &["Subject: Your message could not be delivered", "Action: failed", "Status: 5.4.7"]);
    has_all(&bounce, &["It has been tried since ", "Subject: hello"]);
    assert!(system.queue().contains("The queue is empty"), "{}", system.queue());
    let counted = metrics(&system);
    has_all(&counted, &["paquebot_recipients_total{outcome=\"returned\"} 1", "paquebot_queue_recipients 0"]);
    has_all(&counted, &["paquebot_recipients_total{outcome=\"deferred\"} ", "code=\"none\",destination=\"other\""]);
    assert!(!counted.contains("paquebot_store_commit_seconds_count 0"), "{counted}");
}

#[test]
fn what_waits_and_what_was_verified_is_counted() {
    let (_dns, system) = start(600_000);
    let ran = system.swaks(port::SMTP, &["--from", "bob@deaf.example", "--to", ALICE]);
    assert_eq!(ran.code, 0, "{}", ran.text());
    let counted = metrics(&system);
    for method in ["spf", "dkim", "dmarc"] {
        has_all(&counted, &[&format!("paquebot_verifications_total{{method=\"{method}\",result=\"none\"}} 1")]);
    }
    system.submit(ALICE, &["bob@deaf.example", "carol@deaf.example"], &[]);
    let began = Instant::now();
    while !metrics(&system).contains("paquebot_queue_recipients 2") {
        assert!(began.elapsed() < SEEN_SECONDS_MAX, "{}", metrics(&system));
        pause();
    }
}
