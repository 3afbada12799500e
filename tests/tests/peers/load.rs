//! Much at once: large messages, many sessions, many recipients, and both sides failing meanwhile.

use std::{collections::BTreeSet, fs};

use paquebot_tests::{
    dns::Dns,
    postfix::{self, Postfix},
    system::{System, own_address, port},
    tool,
};

use super::world::{ALICE, BOB, MAIL, beside_postfix, body, python};

#[test]
fn large_messages_pass_and_larger_ones_do_not() {
    const LIMIT_BYTES: usize = 25 * 1024 * 1024;
    let dns = Dns::start(&[("example.com", "@ 60 IN TXT \"v=spf1 -all\"\n")]);
    let settings = format!("resolvers: [\"{}\"]\nlimits: {{messageBytes: {LIMIT_BYTES}}}\n", dns.address());
    let system = System::start(MAIL, &settings);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message");
    let message = |bytes: usize| {
        let line = |number: usize| format!("{number:0>75}\r\n");
        let body: String = (0..bytes / 77).map(line).collect();
        fs::write(&file, format!("From: {ALICE}\r\nSubject: {bytes}\r\n\r\n{body}")).unwrap();
        body.into_bytes()
    };
    let sent = message(20 * 1024 * 1024);
    let ran = system.submit_file(ALICE, &[BOB], &file);
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(body(&system.fetch_octets(BOB, 1)) == sent, "other octets came out than went in");

    message(LIMIT_BYTES + 1024);
    let ran = system.submit_file(ALICE, &[BOB], &file);
    assert_ne!(ran.code, 0);
    assert!(ran.text().contains("552"), "{}", ran.text());
}

#[test]
fn many_sessions_at_once_lose_nothing() {
    const MESSAGES: usize = 400;
    // smtp-source comes from the loopback address that the system chooses.
    let dns = Dns::start(&[("load.example", "@ 60 IN TXT \"v=spf1 ip4:127.0.0.0/8 -all\"\n")]);
    let system = System::start(MAIL, &format!("resolvers: [\"{}\"]\n", dns.address()));
    let (count, server) = (MESSAGES.to_string(), system.at(port::SMTP).to_string());
    let load = ["-s", "40", "-l", "4096", "-m", &count, "-f", "x@load.example", "-t", BOB, &server];
    tool::must("smtp-source", &load, b"");
    system.fetch_octets(BOB, MESSAGES);
    let list = system.pop3(BOB, "", &["--request", "UIDL"]).text();
    let names: BTreeSet<_> = list.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!((list.lines().count(), names.len()), (MESSAGES, MESSAGES));
    assert_eq!(system.queue(), "The queue is empty.\n");
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
fn a_next_host_that_dies_and_a_server_that_is_killed_lose_nothing() {
    const COUNT: usize = 100;
    let address = own_address();
    let postfix = Postfix::start(address, &["postfix.example"], "");
    let (_dns, mut system) = beside_postfix(address);
    let (host, password) = (system.address.to_string(), system.password(ALICE));
    let submit = |first: usize| {
        let (first, end) = (first.to_string(), (first + COUNT / 2).to_string());
        python(include_str!("submit_many.py"), &[&host, ALICE, &password, "carol@postfix.example", &first, &end], b"");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| submit(0));
        postfix.mails("carol", COUNT / 10);
        postfix.abort();
    });
    submit(COUNT / 2);
    system.kill_and_restart();
    assert!(system.queue().contains("carol@postfix.example"), "{}", system.queue());
    postfix.start_again();
    let subjects = || -> BTreeSet<usize> {
        let subject = |mail: Vec<u8>| {
            let mail = String::from_utf8_lossy(&mail).into_owned();
            mail.lines().find_map(|line| line.strip_prefix("Subject: ")).and_then(|subject| subject.parse().ok())
        };
        postfix.mails("carol", 1).into_iter().filter_map(subject).collect()
    };
    postfix.mails("carol", COUNT);
    // A repeat counts as a mail, too: wait until each number is there.
    postfix.until("all numbers", &|| subjects().len() == COUNT);
}
