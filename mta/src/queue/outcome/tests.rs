//! Replies and faults, one by one, and what each means for the recipient and the host.

use std::time::Duration;

use super::*;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn accepted() -> Found {
    Found::Accepted("250 ok".into())
}

fn failed(class: u8) -> Found {
    Found::Failed(Failure::ours(EnhancedCode(class, 0, 0), "no"))
}

#[test]
fn fates() {
    let retry = Retry::default();
    let deferred = |minutes: u64, age: u64, warn| Fate::Deferred {
        next_attempt: Micros(0) + Duration::from_secs(age + minutes * 60),
        warn,
    };
    // what, found, attempts, warned, has_sender, age, fate
    for (what, found, attempts, warned, has_sender, age, wanted) in [
        ("accepted", accepted(), 0, false, true, 0, Fate::Done),
        ("accepted after its time", accepted(), 9, true, true, 6 * DAY, Fate::Done),
        ("first 4xx", failed(4), 0, false, true, 0, deferred(5, 0, false)),
        ("second", failed(4), 1, false, true, 300, deferred(10, 300, false)),
        ("after four hours: warned", failed(4), 7, false, true, 4 * HOUR, deferred(240, 4 * HOUR, true)),
        ("once", failed(4), 8, true, true, 9 * HOUR, deferred(240, 9 * HOUR, false)),
        ("a bounce warns nobody", failed(4), 7, false, false, 4 * HOUR, deferred(240, 4 * HOUR, false)),
        ("5xx at once", failed(5), 0, false, true, 0, Fate::Returned),
        ("5xx of a bounce", failed(5), 0, false, false, 0, Fate::Dead),
        ("given up", failed(4), 40, true, true, 5 * DAY, Fate::Returned),
        ("a bounce given up", failed(4), 40, false, false, 5 * DAY, Fate::Dead),
    ] {
        let history = History { accepted: Micros(0), attempts, warned, has_sender };
        let now = Micros(0) + Duration::from_secs(age);
        assert_eq!(fate(&found, &history, &retry, now, Dice::MIDDLE), wanted, "{what}");
    }
}

fn reply(code: u16) -> Option<Reply> {
    Some(Reply::plain(code, "words"))
}

#[test]
fn whose_fault() {
    let status = |said: &Said| match said {
        Said::Recipient(Found::Accepted(_)) => "accepted".to_owned(),
        Said::Recipient(Found::Failed(failure)) => format!("recipient {}", failure.status),
        Said::TooMany(failure) => format!("too many {}", failure.status),
        Said::Host(failure) => format!("host {}", failure.status),
    };
    for (reply, command, wanted) in [
        (reply(250), "end of DATA", "accepted"),
        (reply(550), "RCPT TO", "recipient 5.0.0"),
        (reply(450), "RCPT TO", "recipient 4.0.0"),
        (reply(421), "RCPT TO", "host 4.0.0"),
        (reply(421), "end of DATA", "host 4.0.0"),
        (reply(354), "DATA", "recipient 4.0.0"),
        (Some(Reply::new(550, EnhancedCode(5, 1, 1), "x")), "RCPT TO", "recipient 5.1.1"),
        (Some(Reply::new(450, EnhancedCode(5, 1, 1), "x")), "RCPT TO", "recipient 4.0.0"),
        (Some(Reply::new(550, EnhancedCode(2, 1, 1), "x")), "RCPT TO", "recipient 5.0.0"),
        (reply(452), "RCPT TO", "too many 4.5.3"),
        (reply(452), "MAIL FROM", "recipient 4.0.0"),
        (reply(452), "end of DATA", "recipient 4.0.0"),
        (reply(552), "RCPT TO", "recipient 5.0.0"),
        (Some(Reply::new(452, EnhancedCode(4, 5, 3), "x")), "RCPT TO", "too many 4.5.3"),
        (Some(Reply::new(552, EnhancedCode(5, 5, 3), "x")), "RCPT TO", "too many 4.5.3"),
        (Some(Reply::new(452, EnhancedCode(4, 2, 2), "x")), "RCPT TO", "recipient 4.2.2"),
        (None, "MAIL FROM", "host 4.4.2"),
        (None, "DATA", "host 4.4.2"),
        (None, "end of DATA", "recipient 4.4.2"),
    ] {
        let said = of_transaction("mx", &client_ask::Outcome { reply: reply.clone(), command });
        assert_eq!(status(&said), wanted, "{reply:?} {command}");
    }
}

#[test]
fn a_refused_session_is_no_verdict_on_the_message() {
    for (code, status) in [(421, "4.3.2"), (554, "4.3.2"), (500, "4.3.2"), (521, "5.3.2"), (556, "5.3.2")] {
        assert_eq!(of_session("mx", "refused", reply(code).as_ref()).status.to_string(), status, "{code}");
    }
    assert_eq!(of_session("mx", "no greeting", None).to_string(), "4.4.2 mx: no greeting");
}

#[test]
fn what_a_host_must_offer() {
    let all = Capabilities { smtputf8: true, eight_bit: true, size_bytes_max: Some(100), ..Capabilities::default() };
    let none = Capabilities::default();
    let needs = |size_bytes, smtputf8, eight_bit| Needs { size_bytes, smtputf8, eight_bit };
    for (capabilities, needs, wanted) in [
        (&all, needs(100, true, true), None),
        (&all, needs(101, false, false), Some("5.3.4")),
        (&none, needs(1 << 40, false, false), None),
        (&none, needs(1, true, false), Some("5.6.7")),
        (&none, needs(1, false, true), Some("5.6.3")),
        (&none, needs(1, true, true), Some("5.6.7")),
        (&Capabilities { size_bytes_max: Some(0), ..Capabilities::default() }, needs(1 << 40, false, false), None),
    ] {
        let found = lacking("mx", capabilities, needs).map(|it| it.status.to_string());
        assert_eq!(found.as_deref(), wanted, "{capabilities:?} {needs:?}");
    }
}

#[test]
fn strangers_words_stay_on_one_line() {
    assert_eq!(one_line("no\r\nBcc: x\u{1b}[2J\0"), "no  Bcc: x [2J ");
    assert_eq!(one_line(&"ä".repeat(10_000)).chars().count(), DIAGNOSTIC_CHARACTERS_MAX + 1);
}
