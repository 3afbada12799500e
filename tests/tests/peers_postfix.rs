//! Debian's Postfix as the next host and as the sender.

use std::{collections::BTreeSet, fs, path::Path};

use paquebot_tests::{
    dns::Dns,
    greylist,
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
    let own = own_address();
    let targets = "allowedTargets: [127.0.0.0/8], retry: {firstMs: 200}";
    let delivery = format!("delivery: {{port: {}, sourceAddress: {own}, {targets}}}", postfix::PORT);
    let system = System::start_at(own, MAIL, &format!("resolvers: [\"{}\"]\n{delivery}\n", dns.address()));
    (dns, system)
}

/// Reads a message, and verifies each of its signatures with the keys that this name server has.
const VERIFY: &str = r#"
import sys, dkim, dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = [sys.argv[1]], int(sys.argv[2])
def lookup(name, timeout=5):
    return b"".join(resolver.resolve(name.decode(), "TXT")[0].strings)
verifier = dkim.DKIM(sys.stdin.buffer.read())
for index in range(int(sys.argv[3])):
    assert verifier.verify(idx=index, dnsfunc=lookup), "signature %d is not valid" % index
"#;

fn verify(dns: &Dns, message: &[u8], signatures: usize) {
    let (at, count) = (dns.address(), signatures.to_string());
    let arguments = ["-c", VERIFY, &at.ip().to_string(), &at.port().to_string(), &count];
    tool::must("/usr/bin/python3", &arguments, message);
}

#[test]
fn postfix_takes_our_mail_over_tls_and_its_signatures_hold() {
    let folder = tempfile::tempdir().unwrap();
    let address = own_address();
    let postfix = Postfix::start(address, &["postfix.example"], &certificate(folder.path()));
    let (_dns, system) = beside_postfix(address);
    let published = Dns::start(&[("example.com", &system.records())]);
    let body = "Grüße\n.\n..two\ntrailing \t\n\n\n";
    system.submit(ALICE, &["carol@postfix.example", "dave@postfix.example"], &["--body", body]);
    for user in ["carol", "dave"] {
        let mail = postfix.mails(user, 1).remove(0);
        verify(&published, &mail, 2);
        let mail = String::from_utf8(mail).unwrap();
        assert!(mail.contains(body), "{mail}");
        assert!(mail.contains("with ESMTPS") && mail.contains("(TLSv1.3 TLS_"), "not over TLS: {mail}");
        assert_eq!(mail.matches("DKIM-Signature:").count(), 2, "one by RSA, one by Ed25519: {mail}");
        assert!(!mail.contains("[127.0.0.1]"), "the address of the user's program is nobody's business: {mail}");
    }
    assert_eq!(postfix.logged("nrcpt=2"), 1, "one transaction for both: {}", postfix.log());

    let file = folder.path().join("message");
    fs::write(&file, "From: alice@example.com\r\nTo: Jörg <jörg@postfix.example>\r\nSubject: ü\r\n\r\nü\r\n").unwrap();
    let ran = system.submit_file(ALICE, &["jörg@postfix.example"], &file);
    assert_eq!(ran.code, 0, "{}", ran.text());
    let mail = postfix.mails(postfix::REST, 1).remove(0);
    verify(&published, &mail, 2);
    let mail = String::from_utf8(mail).unwrap();
    assert!(mail.contains("Delivered-To: jörg@postfix.example"), "{mail}");
}

#[test]
fn what_postfix_refuses_comes_back_to_the_sender() {
    let address = own_address();
    let refuse = "smtpd_recipient_restrictions = \
                  check_recipient_access inline:{carol@postfix.example=reject}, reject_unauth_destination\n\
                  smtpd_discard_ehlo_keywords = smtputf8, 8bitmime";
    let postfix = Postfix::start(address, &["postfix.example"], refuse);
    let (_dns, system) = beside_postfix(address);
    let both = ["carol@postfix.example", "dave@postfix.example"];
    system.submit(ALICE, &both, &["--body", "half of this comes back"]);
    assert_eq!(postfix.mails("dave", 1).len(), 1);
    let bounce = system.fetch(ALICE, 1);
    assert!(bounce.contains("Content-Type: multipart/report"), "{bounce}");
    assert!(bounce.contains("Final-Recipient: rfc822; carol@postfix.example"), "{bounce}");
    assert!(!bounce.contains("Final-Recipient: rfc822; dave@postfix.example"), "{bounce}");
    assert!(bounce.contains("554 5.7.1"), "{bounce}");

    // RFC 6531 §3.2, RFC 6152 §3: a host that cannot take such a message is not given it.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message");
    let cases = [("jörg@postfix.example", "x", "5.6.7"), ("dave@postfix.example", "ü", "5.6.3")];
    for (number, (to, text, status)) in (2..).zip(cases) {
        fs::write(&file, format!("From: alice@example.com\r\nSubject: x\r\n\r\n{text}\r\n")).unwrap();
        let ran = system.submit_file(ALICE, &[to], &file);
        assert_eq!(ran.code, 0, "{}", ran.text());
        let bounce = system.fetch(ALICE, number);
        assert!(bounce.contains(&format!("Status: {status}")), "{bounce}");
    }
    assert_eq!(postfix.mails("dave", 1).len(), 1, "{}", postfix.log());
}

#[test]
fn a_greylisting_host_gets_it_again() {
    let address = own_address();
    let greylist = greylist::start(address);
    let settings =
        format!("smtpd_recipient_restrictions = check_policy_service inet:{greylist}, reject_unauth_destination");
    let postfix = Postfix::start(address, &["postfix.example"], &settings);
    let (_dns, system) = beside_postfix(address);
    let id = "<greylisted@example.com>";
    let both = ["carol@postfix.example", "dave@postfix.example"];
    system.submit(ALICE, &both, &["--h-Message-Id", id, "--body", "x"]);
    assert_eq!((postfix.mails("carol", 1).len(), postfix.mails("dave", 1).len()), (1, 1));
    assert_eq!(postfix.logged("451 4.7.1"), 2, "once for each: {}", postfix.log());
    let trace = system.paquebot(&["trace", id]);
    assert!(trace.contains("451 4.7.1") && trace.contains("Greylisted"), "{trace}");
}

#[test]
fn a_host_that_takes_few_recipients_at_once_gets_the_rest_later() {
    let address = own_address();
    let settings = "smtpd_recipient_limit = 2\nsmtpd_tls_security_level = none";
    let postfix = Postfix::start(address, &["postfix.example"], settings);
    let (_dns, system) = beside_postfix(address);
    let to: Vec<String> = (0..5).map(|number| format!("user{number}@postfix.example")).collect();
    system.submit(ALICE, &to.iter().map(String::as_str).collect::<Vec<_>>(), &["--body", "x"]);
    assert_eq!(postfix.mails(postfix::REST, 5).len(), 5);
    assert_eq!((postfix.logged("nrcpt=2"), postfix.logged("nrcpt=1")), (2, 1), "{}", postfix.log());
}

#[test]
fn a_host_whose_tls_is_too_old_gets_it_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let address = own_address();
    let old = format!("{}smtpd_tls_protocols = !TLSv1.2, !TLSv1.3\n", certificate(folder.path()));
    let postfix = Postfix::start(address, &["postfix.example"], &old);
    let (_dns, system) = beside_postfix(address);
    system.submit(ALICE, &["carol@postfix.example"], &["--body", "x"]);
    let mail = postfix.mails("carol", 1).remove(0);
    assert!(String::from_utf8_lossy(&mail).contains("with ESMTP id"), "{}", postfix.log());
}

#[test]
fn a_connection_that_the_host_has_closed_costs_nothing() {
    let address = own_address();
    let postfix = Postfix::start(address, &["postfix.example"], "smtpd_timeout = 1s");
    let (_dns, system) = beside_postfix(address);
    for number in 1..=3 {
        let id = format!("<{number}@example.com>");
        system.submit(ALICE, &["carol@postfix.example"], &["--h-Message-Id", &id, "--body", "x"]);
        postfix.mails("carol", number);
        postfix.wait_for_log("timeout after", number);
        let trace = system.paquebot(&["trace", &id]);
        assert!(trace.contains("250 2.0.0 Ok") && !trace.contains("again"), "{trace}");
    }
}

#[test]
fn what_postfix_returns_reaches_the_sender() {
    let address = own_address();
    let (_dns, system) = beside_postfix(address);
    let forward = format!(
        "relayhost = [{}]:{}\nvirtual_alias_maps = inline:{{dave@postfix.example=gone@elsewhere.example}}\n",
        system.address,
        port::SMTP
    );
    let postfix = Postfix::start(address, &["postfix.example"], &forward);
    system.submit(ALICE, &["dave@postfix.example"], &["--body", "x"]);
    let bounce = system.fetch(ALICE, 1);
    assert!(bounce.contains("Return-Path: <>"), "{bounce}");
    assert!(bounce.contains("Final-Recipient: rfc822; gone@elsewhere.example"), "{bounce}");
    assert!(bounce.contains("550 5.7.1"), "we are no open relay: {bounce} {}", postfix.log());
}

#[test]
fn large_messages_and_many_recipients() {
    const BODY_BYTES: usize = 20 * 1024 * 1024;
    const RECIPIENTS: usize = 150;
    let folder = tempfile::tempdir().unwrap();
    let address = own_address();
    let limits = "message_size_limit = 60000000\nvirtual_mailbox_limit = 0\n";
    let (_dns, system) = beside_postfix(address);
    let relay = format!("{limits}relayhost = [{}]:{}\n", system.address, port::SMTP);
    let postfix = Postfix::start(address, &["postfix.example"], &relay);
    let body: String = (0..BODY_BYTES / 77).map(|number| format!("{number:0>75}\n")).collect();

    let file = folder.path().join("message");
    let crlf = body.replace('\n', "\r\n");
    fs::write(&file, format!("From: {ALICE}\r\nSubject: large\r\n\r\n{crlf}")).unwrap();
    let ran = system.submit_file(ALICE, &["carol@postfix.example"], &file);
    assert_eq!(ran.code, 0, "{}", ran.text());
    let mail = postfix.mails("carol", 1).remove(0);
    assert!(mail.ends_with(format!("\n\n{body}").as_bytes()), "other octets than were sent");

    let from = "carol@postfix.example";
    postfix.send(from, ALICE, &format!("From: {from}\nSubject: large\n\n{body}"));
    let mail = system.fetch_octets(ALICE, 1);
    assert!(mail.ends_with(format!("\r\n\r\n{crlf}").as_bytes()), "other octets than were sent");

    fs::write(&file, format!("From: {ALICE}\r\nSubject: many\r\n\r\nx\r\n")).unwrap();
    let to: Vec<String> = (0..RECIPIENTS).map(|number| format!("user{number}@postfix.example")).collect();
    let ran = system.submit_file(ALICE, &to.iter().map(String::as_str).collect::<Vec<_>>(), &file);
    assert_eq!(ran.code, 0, "{}", ran.text());
    let mails = postfix.mails(postfix::REST, RECIPIENTS);
    let got = mails.iter().filter_map(|mail| {
        let mail = String::from_utf8_lossy(mail).into_owned();
        mail.lines().find_map(|line| line.strip_prefix("Delivered-To: ")).map(str::to_owned)
    });
    assert_eq!(got.collect::<BTreeSet<_>>(), to.into_iter().collect(), "each once");
    assert!(postfix.logged("nrcpt=") <= 6, "not one transaction a recipient: {}", postfix.log());
}

#[test]
fn postfix_hands_over_many_messages_in_one_session() {
    const COUNT: usize = 30;
    let address = own_address();
    let (_dns, system) = beside_postfix(address);
    let relay = format!(
        "relayhost = [{}]:{}\nsmtp_connection_cache_destinations = static:all\n\
         default_destination_concurrency_limit = 1\n",
        system.address,
        port::SMTP
    );
    let postfix = Postfix::start(address, &["postfix.example"], &relay);
    for number in 0..COUNT {
        postfix.send("carol@postfix.example", ALICE, &format!("From: carol@postfix.example\nSubject: {number}\n\nx\n"));
    }
    system.fetch(ALICE, COUNT);
    let reused = postfix.logged("conn_use=");
    assert!(reused > COUNT / 2, "{reused} of {COUNT} in a session that had one before: {}", postfix.log());
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
    let mail = system.fetch(ALICE, 1);
    assert!(mail.contains("\r\n\r\n.\r\n..two\r\nlast\r\n"), "{mail}");
    assert!(mail.contains("spf=pass"), "{mail}");
    assert!(mail.contains("with ESMTPS"), "not over TLS: {mail}");
    assert!(mail.contains(&format!("Return-Path: <{from}>")), "{mail}");
    let id = mail.lines().find_map(|line| line.strip_prefix("Message-Id: <")).unwrap_or_default();

    // RFC 6531: from an address beyond ASCII.
    let from = "jörg@postfix.example";
    postfix.send(from, ALICE, &format!("From: Jörg <{from}>\nTo: {ALICE}\nSubject: ü\n\nü\n"));
    let international = system.fetch(ALICE, 2);
    assert!(international.contains("Return-Path: <jörg@postfix.example>"), "{international}");
    assert!(international.contains("with UTF8SMTPS "), "{international}");
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
    let last = system.fetch(ALICE, COUNT);
    assert!(last.contains("Subject: "), "{last}");
    let subjects: BTreeSet<String> = (1..=COUNT)
        .map(|number| system.fetch(ALICE, number))
        .filter_map(|mail| mail.lines().find(|line| line.starts_with("Subject: ")).map(str::to_owned))
        .collect();
    assert!(subjects.len() >= COUNT - 1, "at least once each, a repeat at most: {subjects:?}");
}
