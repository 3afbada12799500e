//! Users' programs from Debian against a running mail system: swaks and curl hand mail in, curl fetches it.

use std::fs;

use paquebot_tests::{
    dns::Dns,
    system::{System, port},
    tool::{self, Conversation},
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

fn body(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|octets| octets == b"\r\n\r\n").expect("a header");
    &message[end + 4..]
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
fn curl_lists_looks_and_deletes() {
    let (_dns, system) = start();
    for subject in ["first", "second", "third"] {
        system.submit(ALICE, &[BOB], &["--h-Subject", subject, "--body", "one\ntwo\nthree\n"]);
    }
    let third = system.fetch_octets(BOB, 3);
    let ask = |path: &str, request: &str| {
        let ran = system.pop3(BOB, path, &["--request", request]);
        assert_eq!(ran.code, 0, "{request}: {}", ran.text());
        ran.text()
    };
    let list = system.pop3(BOB, "", &[]).text();
    assert_eq!(list.lines().count(), 3, "{list}");
    assert_eq!(list.lines().last(), Some(format!("3 {}", third.len()).as_str()), "{list}");

    let ids = ask("", "UIDL");
    let names: std::collections::BTreeSet<_> = ids.lines().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(names.len(), 3, "{ids}");

    let top = ask("", "TOP 3 1");
    assert!(top.contains("Subject: third") && top.contains("one\r\n") && !top.contains("two"), "{top}");

    let gone = system.pop3(BOB, "2", &["--request", "DELE", "--list-only"]);
    assert_eq!(gone.code, 0, "{}", gone.text());
    let rest = ask("", "UIDL");
    assert_eq!(rest.lines().count(), 2, "{rest}");
    let kept =
        |text: &str| text.lines().filter_map(|line| line.split(' ').nth(1).map(str::to_owned)).collect::<Vec<_>>();
    let (before, after) = (kept(&ids), kept(&rest));
    assert_eq!(after, [before[0].clone(), before[2].clone()], "the others keep their names");
    assert_eq!(system.fetch_octets(BOB, 2), third);
}

#[test]
fn the_clear_port_wants_tls_before_a_password() {
    let (_dns, system) = start();
    let user = format!("{BOB}:{}", system.password(BOB));
    let url = format!("pop3://{}:{}/", system.address, port::POP3);
    let curl = |tls: &[&str]| {
        let always = ["--silent", "--show-error", "--insecure", "--max-time", "60", "--user", &user, "--url", &url];
        tool::run("curl", &[&always[..], tls].concat(), b"")
    };
    assert_ne!(curl(&[]).code, 0, "a password in the clear was taken");
    for mechanism in ["AUTH=PLAIN", "AUTH=LOGIN"] {
        let ran = curl(&["--ssl-reqd", "--login-options", mechanism]);
        assert_eq!(ran.code, 0, "{mechanism}: {}", ran.text());
    }
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
    let names: std::collections::BTreeSet<_> = list.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!((list.lines().count(), names.len()), (MESSAGES, MESSAGES));
    assert_eq!(system.queue(), "The queue is empty.\n");
}

/// An application's libraries: Python's own.
const APPLICATION: &str = r#"
import email.message, email.policy, poplib, smtplib, ssl, sys
host, user, password = sys.argv[1:]
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
message = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
message["From"], message["To"], message["Subject"] = user, user, "Grüße"
message.set_content("ü\n.\n", cte="8bit")
message.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream", filename="ü")
smtp = smtplib.SMTP(host, 2587, timeout=60)
smtp.starttls(context=tls)
smtp.login(user, password)
for _ in range(3):
    assert smtp.send_message(message, mail_options=["SMTPUTF8", "BODY=8BITMIME"]) == {}
smtp.quit()
while True:
    pop = poplib.POP3(host, 2110, timeout=60)
    assert "STLS" in pop.capa(), pop.capa()
    pop.stls(context=tls)
    pop.user(user)
    pop.pass_(password)
    if pop.stat()[0] == 3:
        break
    pop.quit()
assert len(set(pop.uidl()[1])) == 3
assert any(line.startswith(b"Subject: ") for line in pop.top(1, 0)[1])
whole = b"\r\n".join(pop.retr(3)[1]) + b"\r\n"
read = email.message_from_bytes(whole, policy=email.policy.SMTPUTF8)
assert read["Subject"] == "Grüße", whole
assert read.get_body().get_content().splitlines() == ["ü", "."], whole
attachment, = read.iter_attachments()
assert attachment.get_content() == bytes(range(256)), whole
pop.dele(1)
pop.dele(2)
pop.rset()
pop.dele(3)
pop.quit()
pop = poplib.POP3_SSL(host, 2995, timeout=60, context=tls)
pop.user(user)
pop.pass_(password)
assert pop.stat()[0] == 2, pop.stat()
pop.quit()
"#;

#[test]
fn an_application_in_python_sends_and_reads() {
    let (_dns, system) = start();
    let address = system.address.to_string();
    tool::must(
        "timeout",
        &["120", "/usr/bin/python3", "-c", APPLICATION, &address, ALICE, &system.password(ALICE)],
        b"",
    );
}

#[test]
fn a_second_pop3_session_waits_for_the_first() {
    let (_dns, system) = start();
    system.submit(ALICE, &[BOB], &["--body", "x"]);
    system.fetch(BOB, 1);
    let server = system.at(port::POP3S).to_string();
    let mut first = Conversation::tls(&server, &[]);
    assert!(first.line().starts_with("+OK"));
    assert!(first.say(&format!("USER {BOB}")).starts_with("+OK"));
    assert!(first.say(&format!("PASS {}", system.password(BOB))).starts_with("+OK"));
    assert!(first.say("DELE 1").starts_with("+OK"));

    let mut second = Conversation::tls(&server, &[]);
    assert!(second.line().starts_with("+OK"));
    assert!(second.say(&format!("USER {BOB}")).starts_with("+OK"));
    let refused = second.say(&format!("PASS {}", system.password(BOB)));
    assert!(refused.starts_with("-ERR [IN-USE]"), "{refused}");

    // Gone without QUIT: nothing is deleted (RFC 1939 §6), and the mailbox is free.
    drop(first);
    system.fetch(BOB, 1);
}
