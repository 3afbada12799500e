//! Debian's Postfix as the next host and as the sender.

use std::path::Path;

use paquebot_tests::{
    dns::Dns,
    postfix::{self, Postfix},
    system::{System, own_address, port},
    tool,
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

/// A certificate for Postfix, so that both speak TLS.
fn certificate(folder: &Path) -> String {
    let (key, chain) = (folder.join("key.pem"), folder.join("chain.pem"));
    let (key, chain) = (key.to_string_lossy().into_owned(), chain.to_string_lossy().into_owned());
    let subject = "/CN=mx.postfix.example";
    tool::must(
        "openssl",
        &[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", subject, "-keyout", &key, "-out",
            &chain,
        ],
        b"",
    );
    format!("smtpd_tls_chain_files = {key}, {chain}\nsmtpd_tls_security_level = may\nsmtp_tls_security_level = may\n")
}

/// A Paquebot whose mail for postfix.example goes to an instance of Postfix at this address.
fn beside_postfix(postfix: std::net::IpAddr) -> (Dns, System) {
    let zone = format!("@ 60 IN MX 10 mx\nmx 60 IN A {postfix}\n@ 60 IN TXT \"v=spf1 ip4:{postfix} -all\"\n");
    let dns = Dns::start(&[("postfix.example", &zone)]);
    let settings = format!(
        "resolvers: [\"{}\"]\ndelivery: {{port: {}, allowedTargets: [127.0.0.0/8]}}\n",
        dns.address(),
        postfix::PORT
    );
    let system = System::start(MAIL, &settings);
    (dns, system)
}

fn submit(system: &System, to: &[&str], body: &str) {
    let server = format!("{}:{}", system.address, port::SUBMISSIONS);
    let password = system.password(ALICE);
    let to = to.join(",");
    let login = ["--tlsc", "--auth", "PLAIN", "--auth-user", ALICE, "--auth-password", &password];
    let message = ["--server", &server, "--from", ALICE, "--to", &to, "--body", body];
    tool::must("swaks", &[&login[..], &message[..]].concat(), b"");
}

fn fetch(system: &System, number: usize) -> String {
    let user = format!("{ALICE}:{}", system.password(ALICE));
    let url = format!("pop3s://{}:{}/{number}", system.address, port::POP3S);
    for _ in 0..1000 {
        let ran = tool::run("curl", &["--silent", "--insecure", "--max-time", "10", "--user", &user, &url], b"");
        if ran.code == 0 {
            return ran.text;
        }
    }
    panic!("message {number} never came: {}", system.paquebot(&["queue", "list"]));
}

#[test]
fn postfix_takes_our_mail_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let address = own_address();
    let postfix = Postfix::start(address, &["postfix.example"], &certificate(folder.path()));
    let (_dns, system) = beside_postfix(address);
    let body = "Grüße\n.\n..two\n";
    submit(&system, &["carol@postfix.example", "dave@postfix.example"], body);
    for user in ["carol", "dave"] {
        let mail = postfix.mails(user, 1).remove(0);
        let mail = String::from_utf8(mail).unwrap();
        assert!(mail.contains(body), "{mail}");
        assert!(mail.contains("ESMTPS"), "not over TLS: {mail}");
        assert_eq!(mail.matches("DKIM-Signature:").count(), 2, "one by RSA, one by Ed25519: {mail}");
    }
}

#[test]
fn what_postfix_refuses_comes_back_to_the_sender() {
    let address = own_address();
    let refuse = "smtpd_recipient_restrictions = check_recipient_access inline:{carol@postfix.example=reject}, permit_mynetworks, reject_unauth_destination";
    let postfix = Postfix::start(address, &["postfix.example"], refuse);
    let (_dns, system) = beside_postfix(address);
    submit(&system, &["carol@postfix.example", "dave@postfix.example"], "half of this comes back");
    assert_eq!(postfix.mails("dave", 1).len(), 1);
    let bounce = fetch(&system, 1);
    assert!(bounce.contains("Content-Type: multipart/report"), "{bounce}");
    assert!(bounce.contains("Final-Recipient: rfc822; carol@postfix.example"), "{bounce}");
    assert!(!bounce.contains("Final-Recipient: rfc822; dave@postfix.example"), "{bounce}");
    assert!(bounce.contains("554 5.7.1"), "{bounce}");
}

#[test]
fn postfix_hands_mail_to_us() {
    let folder = tempfile::tempdir().unwrap();
    let address = own_address();
    let (_dns, system) = beside_postfix(address);
    let relay = format!(
        "{}relayhost = [{}]:{}\nsmtp_bind_address = {address}\n",
        certificate(folder.path()),
        system.address,
        port::SMTP
    );
    let postfix = Postfix::start(address, &["postfix.example"], &relay);
    let from = "carol@postfix.example";
    postfix.send(from, ALICE, &format!("From: {from}\nTo: {ALICE}\nSubject: hello\n\n.\n..two\nlast"));
    let mail = fetch(&system, 1);
    assert!(mail.contains("\r\n\r\n.\r\n..two\r\nlast\r\n"), "{mail}");
    assert!(mail.contains("spf=pass"), "{mail}");
    assert!(mail.contains("with ESMTPS"), "not over TLS: {mail}");
    assert!(mail.contains(&format!("Return-Path: <{from}>")), "{mail}");
    let id = mail.lines().find_map(|line| line.strip_prefix("Message-Id: <")).unwrap_or_default();
    let trace = system.paquebot(&["trace", id.trim_end_matches('>')]);
    assert!(trace.contains("MDA"), "{trace}");
}

#[test]
fn a_killed_server_loses_nothing_that_postfix_handed_over() {
    let address = own_address();
    let (_dns, mut system) = beside_postfix(address);
    let relay =
        format!("relayhost = [{}]:{}\nminimal_backoff_time = 1s\nqueue_run_delay = 1s\n", system.address, port::SMTP);
    let postfix = Postfix::start(address, &["postfix.example"], &relay);
    const COUNT: usize = 40;
    for number in 0..COUNT {
        postfix.send("carol@postfix.example", ALICE, &format!("From: carol@postfix.example\nSubject: {number}\n\nx\n"));
        if number == COUNT / 2 {
            system.kill_and_restart();
        }
    }
    let last = fetch(&system, COUNT);
    assert!(last.contains("Subject: "), "{last}");
    let subjects: std::collections::BTreeSet<String> = (1..=COUNT)
        .map(|number| fetch(&system, number))
        .filter_map(|mail| mail.lines().find(|line| line.starts_with("Subject: ")).map(str::to_owned))
        .collect();
    assert!(subjects.len() >= COUNT - 1, "at least once each, a repeat at most: {subjects:?}");
}
