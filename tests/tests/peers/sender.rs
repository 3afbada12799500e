//! Debian's Postfix as the sender.

use std::collections::BTreeSet;

use paquebot_tests::{
    postfix::Postfix,
    system::{own_address, port},
};

use super::world::{ALICE, beside_postfix, certificate};

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
    postfix.wait_until_sent(COUNT);
    // At least once each: a repeat is a mail more, so all are looked at until each number has come.
    let mut subjects = BTreeSet::new();
    for number in 1.. {
        let mail = system.fetch(ALICE, number);
        subjects.extend(mail.lines().find_map(|line| line.strip_prefix("Subject: ")).map(str::to_owned));
        if subjects.len() == COUNT {
            break;
        }
    }
}
