//! Reading by POP3: curl's commands, STLS, the mailbox in use.

use std::collections::BTreeSet;

use paquebot_tests::{
    system::port,
    tool::{self, Conversation},
};

use super::world::{ALICE, BOB, start};

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
    let names: BTreeSet<_> = ids.lines().filter_map(|line| line.split_once(' ')).collect();
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
