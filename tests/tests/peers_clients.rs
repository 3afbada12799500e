//! Users' programs from Debian against a running mail system: swaks hands mail in, curl fetches it.

use paquebot_tests::{
    dns::Dns,
    system::{System, port},
    tool::{self, Ran},
};

const MAIL: &str = "
apiVersion: paquebot.dev/v1alpha1
kind: MailDomain
metadata: {name: example.com}
spec: {aliases: [{name: info, to: [bob@example.com]}]}
---
apiVersion: paquebot.dev/v1alpha1
kind: Mailbox
metadata: {name: alice}
spec: {address: alice@example.com}
---
apiVersion: paquebot.dev/v1alpha1
kind: Mailbox
metadata: {name: bob}
spec: {address: bob@example.com}
";

const ALICE: &str = "alice@example.com";
const BOB: &str = "bob@example.com";
/// swaks: the AUTH phase failed.
const SWAKS_LOGIN_FAILED: i32 = 28;
/// swaks: no recipient was accepted.
const SWAKS_NO_RECIPIENT: i32 = 24;
/// swaks: MAIL was refused.
const SWAKS_SENDER_REFUSED: i32 = 23;

fn start() -> (Dns, System) {
    let dns = Dns::start(&[("example.com", "@ 60 IN TXT \"v=spf1 -all\"\n")]);
    let system = System::start(MAIL, &format!("resolvers: [\"{}\"]\n", dns.address()));
    (dns, system)
}

fn swaks(system: &System, port: u16, arguments: &[&str]) -> Ran {
    let server = format!("{}:{port}", system.address);
    let mut all = vec!["--server", &server, "--helo", "client.example.com"];
    all.extend(arguments);
    tool::run("swaks", &all, b"")
}

/// Message `number` of a mailbox by POP3 over TLS, once there are as many.
fn fetch(system: &System, mailbox: &str, number: usize) -> String {
    let user = format!("{mailbox}:{}", system.password(mailbox));
    let url = format!("pop3s://{}:{}/{number}", system.address, port::POP3S);
    for _ in 0..500 {
        let ran = tool::run("curl", &["--silent", "--insecure", "--max-time", "10", "--user", &user, &url], b"");
        if ran.code == 0 {
            return ran.text;
        }
    }
    panic!("message {number} of {mailbox} never came");
}

#[test]
fn swaks_submits_and_curl_fetches() {
    let (_dns, system) = start();
    let password = system.password(ALICE);
    let mut number = 0;
    for (port, tls) in [(port::SUBMISSIONS, "--tlsc"), (port::SUBMISSION, "--tls")] {
        for mechanism in ["PLAIN", "LOGIN"] {
            number += 1;
            let body = format!("Message {number} by {mechanism}\n.\n..two dots\ntrailing blanks  \n");
            let ran = swaks(
                &system,
                port,
                &[tls, "--auth", mechanism, "--auth-user", ALICE, "--auth-password", &password, "--from", ALICE]
                    .into_iter()
                    .chain(["--to", BOB, "--body", &body])
                    .collect::<Vec<_>>(),
            );
            assert_eq!(ran.code, 0, "{}", ran.text);
            let fetched = fetch(&system, BOB, number);
            let (header, fetched_body) = fetched.split_once("\r\n\r\n").unwrap();
            assert!(fetched_body.starts_with(&body.replace('\n', "\r\n")), "{fetched}");
            assert!(header.contains("DKIM-Signature:"), "{header}");
            assert!(header.contains("Delivered-To: bob@example.com"), "{header}");
        }
    }
}

#[test]
fn wrong_passwords_and_logins_in_the_clear_are_refused() {
    let (_dns, system) = start();
    let wrong = ["--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", "wrong", "--from", ALICE, "--to", BOB];
    let ran = swaks(&system, port::SUBMISSIONS, &[&["--tlsc"], &wrong[..]].concat());
    assert_eq!(ran.code, SWAKS_LOGIN_FAILED, "{}", ran.text);
    assert!(ran.text.contains("535 5.7.8"), "{}", ran.text);

    let ran = swaks(&system, port::SUBMISSION, &wrong);
    assert_eq!(ran.code, SWAKS_LOGIN_FAILED, "{}", ran.text);
    assert!(!ran.text.contains("250-AUTH"), "AUTH was offered without TLS: {}", ran.text);
}

#[test]
fn strangers_reach_users_but_nobody_else() {
    let (_dns, system) = start();
    let ran = swaks(&system, port::SMTP, &["--from", "x@strangers.example", "--to", "nobody@example.com"]);
    assert_eq!(ran.code, SWAKS_NO_RECIPIENT, "{}", ran.text);
    assert!(ran.text.contains("550 5.1.1"), "{}", ran.text);

    let ran = swaks(&system, port::SMTP, &["--from", "x@strangers.example", "--to", "y@elsewhere.example"]);
    assert_eq!(ran.code, SWAKS_NO_RECIPIENT, "{}", ran.text);
    assert!(ran.text.contains("550 5.7.1"), "{}", ran.text);

    let ran = swaks(&system, port::SMTP, &["--from", "x@strangers.example", "--to", "info@example.com"]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(fetch(&system, BOB, 1).contains("Authentication-Results: mail.example.com"));
}

#[test]
fn nobody_writes_in_anothers_name() {
    let (_dns, system) = start();
    let password = system.password(ALICE);
    let login = ["--tlsc", "--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", &password, "--to", BOB];
    let ran = swaks(&system, port::SUBMISSIONS, &[&login[..], &["--from", BOB]].concat());
    assert_eq!(ran.code, SWAKS_SENDER_REFUSED, "{}", ran.text);
    let forged = [&login[..], &["--from", ALICE, "--h-From", "Bob <bob@example.com>"]].concat();
    let ran = swaks(&system, port::SUBMISSIONS, &forged);
    assert_ne!(ran.code, 0, "{}", ran.text);
    assert!(ran.text.contains("550 5.7.1"), "{}", ran.text);
}
