//! Programs that hand mail in: swaks, curl, gsasl, an application's own libraries.

use std::fs;

use paquebot_tests::{system::port, tool};

use super::world::{ALICE, BOB, body, python, start};

/// swaks: the AUTH phase failed.
const SWAKS_LOGIN_FAILED: i32 = 28;
/// swaks: no recipient was accepted.
const SWAKS_NO_RECIPIENT: i32 = 24;
/// swaks: MAIL was refused.
const SWAKS_SENDER_REFUSED: i32 = 23;

#[test]
fn swaks_submits_and_curl_fetches() {
    let (_dns, system) = start();
    let password = system.password(ALICE);
    let mut number = 0;
    for (port, tls) in [(port::SUBMISSIONS, "--tlsc"), (port::SUBMISSION, "--tls")] {
        for mechanism in ["PLAIN", "LOGIN"] {
            number += 1;
            let body = format!("Message {number} by {mechanism}\n.\n..two dots\ntrailing blanks  \n");
            let login = [tls, "--auth", mechanism, "--auth-user", ALICE, "--auth-password", &password];
            let message = ["--from", ALICE, "--to", BOB, "--body", &body];
            let ran = system.swaks(port, &[&login[..], &message].concat());
            assert_eq!(ran.code, 0, "{}", ran.text());
            let fetched = system.fetch(BOB, number);
            let (header, fetched_body) = fetched.split_once("\r\n\r\n").unwrap();
            assert!(fetched_body.starts_with(&body.replace('\n', "\r\n")), "{fetched}");
            assert!(header.contains("DKIM-Signature:"), "{header}");
            assert!(header.contains("Delivered-To: bob@example.com"), "{header}");
        }
    }
}

#[test]
fn gsasl_logs_in_by_scram_and_trusts_the_server() {
    let (_dns, system) = start();
    let server = format!("{}:{}", system.address, port::SUBMISSION);
    let name = format!("--authentication-id={ALICE}");
    let gsasl = |password: &str, more: &[&str]| {
        let password = format!("--password={password}");
        let how = ["--smtp", "--starttls", "--connect", &server, "--mechanism=SCRAM-SHA-256", "--no-cb"];
        // An empty file name: the certificate is self-signed.
        tool::run("gsasl", &[&how[..], &["--x509-ca-file=", &name, &password], more].concat(), b"")
    };
    for more in [&[][..], &["--authorization-id="]] {
        let ran = gsasl(&system.password(ALICE), more);
        assert!(ran.code == 0 && ran.text().contains("server trusted"), "{}", ran.text());
    }
    let ran = gsasl("wrong", &[]);
    assert!(ran.code != 0 && ran.text().contains("535 5.7.8"), "{}", ran.text());
}

#[test]
fn octets_above_127_arrive_as_they_were_sent() {
    let (_dns, system) = start();
    let text = "Grüße – 你好\n".repeat(3);
    let fields = ["--add-header", "MIME-Version: 1.0", "--add-header", "Content-Type: text/plain; charset=utf-8"];
    let subject = ["--h-Subject", "Grüße", "--body", &text];
    system.submit(ALICE, &[BOB], &[&fields[..], &subject].concat());
    let fetched = system.fetch(BOB, 1);
    assert!(fetched.contains("Subject: Grüße\r\n"), "{fetched}");
    assert!(fetched.contains(&text.replace('\n', "\r\n")), "{fetched}");

    // Octets that are no UTF-8 at all, in the body only.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message");
    let octets: Vec<u8> = (1..=255).filter(|octet| !b"\r\n".contains(octet)).chain(*b"\r\n").collect();
    fs::write(&file, [b"From: alice@example.com\r\nSubject: octets\r\n\r\n", &octets[..]].concat()).unwrap();
    let ran = system.submit_file(ALICE, &[BOB], &file);
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert_eq!(body(&system.fetch_octets(BOB, 2)), octets);
}

#[test]
fn wrong_passwords_and_logins_in_the_clear_are_refused() {
    let (_dns, system) = start();
    let wrong = ["--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", "wrong", "--from", ALICE, "--to", BOB];
    let ran = system.swaks(port::SUBMISSIONS, &[&["--tlsc"], &wrong[..]].concat());
    assert_eq!(ran.code, SWAKS_LOGIN_FAILED, "{}", ran.text());
    assert!(ran.text().contains("535 5.7.8"), "{}", ran.text());

    let ran = system.swaks(port::SUBMISSION, &wrong);
    assert_eq!(ran.code, SWAKS_LOGIN_FAILED, "{}", ran.text());
    assert!(!ran.text().contains("250-AUTH"), "AUTH was offered without TLS: {}", ran.text());
}

#[test]
fn strangers_reach_users_but_nobody_else() {
    let (_dns, system) = start();
    let from = ["--from", "x@strangers.example", "--to"];
    let ran = system.swaks(port::SMTP, &[&from[..], &["nobody@example.com"]].concat());
    assert_eq!(ran.code, SWAKS_NO_RECIPIENT, "{}", ran.text());
    assert!(ran.text().contains("550 5.1.1"), "{}", ran.text());

    let ran = system.swaks(port::SMTP, &[&from[..], &["y@elsewhere.example"]].concat());
    assert_eq!(ran.code, SWAKS_NO_RECIPIENT, "{}", ran.text());
    assert!(ran.text().contains("550 5.7.1"), "{}", ran.text());

    let ran = system.swaks(port::SMTP, &[&from[..], &["info@example.com"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(system.fetch(BOB, 1).contains("Authentication-Results: mail.example.com"));
}

#[test]
fn nobody_writes_in_anothers_name() {
    let (_dns, system) = start();
    let password = system.password(ALICE);
    let login = ["--tlsc", "--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", &password, "--to", BOB];
    let ran = system.swaks(port::SUBMISSIONS, &[&login[..], &["--from", BOB]].concat());
    assert_eq!(ran.code, SWAKS_SENDER_REFUSED, "{}", ran.text());
    let forged = [&login[..], &["--from", ALICE, "--h-From", "Bob <bob@example.com>"]].concat();
    let ran = system.swaks(port::SUBMISSIONS, &forged);
    assert_ne!(ran.code, 0, "{}", ran.text());
    assert!(ran.text().contains("550 5.7.1"), "{}", ran.text());
}

#[test]
fn an_application_in_python_sends_and_reads() {
    let (_dns, system) = start();
    let address = system.address.to_string();
    python(include_str!("application.py"), &[&address, ALICE, &system.password(ALICE)], b"");
}
