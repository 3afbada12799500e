//! Debian's Postfix as the next host: TLS, signatures, refusals, greylisting, old and idle hosts.

use std::fs;

use paquebot_tests::{
    dns::Dns,
    greylist,
    postfix::{self, Postfix},
    system::own_address,
};

use super::world::{ALICE, beside_postfix, certificate, python};

/// python3-dkim accepts each signature, by the keys that this name server has.
fn verify(dns: &Dns, message: &[u8], signatures: usize) {
    let (at, count) = (dns.address(), signatures.to_string());
    python(include_str!("verify.py"), &[&at.ip().to_string(), &at.port().to_string(), &count], message);
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
        assert!(mail.contains("with ESMTPS"), "not over TLS: {mail}");
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
        eprintln!("BOUNCE {bounce}");
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
    assert!(trace.contains("deferred") && trace.contains("451 4.7.1"), "{trace}");
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
        assert!(trace.contains("250 2.0.0 Ok") && !trace.contains("deferred"), "{trace}");
    }
}
