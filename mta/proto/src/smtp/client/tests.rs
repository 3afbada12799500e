//! The client machine against servers that say what the test wants.

use proptest::prelude::*;

use super::*;
use crate::{Output, smtp::client_ask::Outcome};

/// What a scripted server saw and what the owner heard.
#[derive(Debug, Default)]
struct Heard {
    /// What the client wrote, a message as `{7}`.
    wrote: String,
    /// `recipient's reply code, command` for each recipient of each transaction.
    outcomes: Vec<(Option<u16>, &'static str)>,
    capabilities: Option<Capabilities>,
    failure: Option<String>,
    closed: bool,
}

fn transaction(recipients: &[&str]) -> Transaction {
    Transaction {
        reverse_path: "a@b".into(),
        recipients: recipients.iter().map(|&recipient| recipient.to_owned()).collect(),
        size_bytes: 5,
        body_8bit: false,
        smtputf8: false,
        message: 7,
    }
}

fn note(outcomes: &[Outcome]) -> impl Iterator<Item = (Option<u16>, &'static str)> {
    outcomes.iter().map(|outcome| (outcome.reply.as_ref().map(|reply| reply.code), outcome.command))
}

/// Runs a client against a server that says these things, one whenever the client waits.
fn run(tls: StartTls, transactions: &[Transaction], says: &[&str]) -> Heard {
    let now = Instant::now();
    let mut client = ClientMachine::new(Settings { hello_name: "us.example".into(), tls }, now);
    let (mut heard, mut says, mut plan) = (Heard::default(), says.iter(), transactions.iter().cloned());
    let mut input: Vec<u8> = Vec::new();
    loop {
        let fed = client.feed(now, &input);
        let (consumed, step) = (fed.consumed, fed.step);
        let mut next = || plan.next().map_or(Answer::Quit, Answer::Send);
        let answer = match step {
            Step::Read => {
                assert_eq!(consumed, input.len());
                while let Some(item) = client.output().pop() {
                    heard.wrote += &match item {
                        Output::Bytes(octets) => String::from_utf8(octets).unwrap(),
                        Output::Bulk(bulk) => format!("{{{}}}", bulk.handle),
                    };
                }
                match says.next() {
                    Some(text) => input = text.as_bytes().to_vec(),
                    None => {
                        input.clear();
                        client.end_of_input(now);
                    }
                }
                continue;
            }
            Step::Data(_) => panic!("a client receives no message"),
            Step::Upgrade(_) => {
                heard.wrote += "<TLS>";
                client.upgraded(now);
                input.clear();
                continue;
            }
            Step::Close => {
                heard.closed = true;
                while let Some(Output::Bytes(octets)) = client.output().pop() {
                    heard.wrote += std::str::from_utf8(&octets).unwrap();
                }
                return heard;
            }
            Step::Ask(Ask::Ready(capabilities)) => {
                heard.capabilities = Some(capabilities);
                next()
            }
            Step::Ask(Ask::Done(outcomes)) => {
                heard.outcomes.extend(note(&outcomes));
                next()
            }
            Step::Ask(Ask::Failed { reason, outcomes, .. }) => {
                heard.failure = Some(reason);
                heard.outcomes.extend(note(&outcomes));
                Answer::Quit
            }
        };
        input.drain(..consumed);
        client.answer(now, answer);
    }
}

const EHLO: &str = "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 100\r\n";
const PLAIN_EHLO: &str = "250 mx\r\n";

fn send(transactions: &[Transaction], says: &[&str]) -> Heard {
    run(StartTls::Off, transactions, &[&["220 mx.example ESMTP\r\n"], says].concat())
}

#[test]
fn one_group_where_pipelining_is_offered() {
    let says = [EHLO, "250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n", "250 2.0.0 taken\r\n", "221 bye\r\n"];
    let heard = send(&[transaction(&["c@d", "e@f"])], &says);
    assert_eq!(
        heard.wrote,
        "EHLO us.example\r\nMAIL FROM:<a@b> SIZE=5\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n{7}QUIT\r\n"
    );
    assert_eq!(heard.outcomes, [(Some(250), "end of DATA"), (Some(550), "RCPT TO")]);
    assert!(heard.failure.is_none() && heard.closed);
    let capabilities = heard.capabilities.unwrap();
    assert_eq!((capabilities.size_bytes_max, capabilities.greeting_name.as_str()), (Some(100), "mx.example"));
}

#[test]
fn one_by_one_where_it_is_not() {
    let says = [PLAIN_EHLO, "250 ok\r\n", "450 later\r\n", "250 ok\r\n", "354 go\r\n", "250 ok\r\n", "221 bye\r\n"];
    let heard = send(&[transaction(&["c@d", "postmaster"])], &says);
    assert_eq!(
        heard.wrote,
        "EHLO us.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<postmaster>\r\nDATA\r\n{7}QUIT\r\n"
    );
    assert_eq!(heard.outcomes, [(Some(450), "RCPT TO"), (Some(250), "end of DATA")]);
}

#[test]
fn a_connection_is_used_again() {
    let both = [transaction(&["c@d"]), transaction(&["e@f"])];
    let group = "250 ok\r\n250 ok\r\n354 go\r\n";
    let heard = send(&both, &[EHLO, group, "250 ok\r\n", group, "452 full\r\n", "221 bye\r\n"]);
    assert_eq!(heard.outcomes, [(Some(250), "end of DATA"), (Some(452), "end of DATA")]);
    assert!(!heard.wrote.contains("RSET"));
    // A transaction of which nothing became is reset first.
    let heard = send(
        &both,
        &[EHLO, "250 ok\r\n250 ok\r\n451 no\r\n", "250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n"],
    );
    assert!(heard.wrote.contains("DATA\r\nRSET\r\nMAIL"), "{}", heard.wrote);
    assert_eq!(heard.outcomes, [(Some(451), "DATA"), (Some(250), "end of DATA")]);
    let heard = send(&both, &[PLAIN_EHLO, "250 ok\r\n", "550 no\r\n", "250 reset\r\n", "550 no\r\n", "221 bye\r\n"]);
    assert!(heard.wrote.contains("RCPT TO:<c@d>\r\nRSET\r\nMAIL"), "{}", heard.wrote);
    assert_eq!(heard.outcomes, [(Some(550), "RCPT TO"), (Some(550), "MAIL FROM")]);
}

#[test]
fn a_354_without_recipients_gets_a_lone_dot() {
    let says = [EHLO, "250 ok\r\n550 no\r\n354 go\r\n", "250 taken nothing\r\n", "221 bye\r\n"];
    let heard = send(&[transaction(&["c@d"])], &says);
    assert!(heard.wrote.ends_with("DATA\r\n.\r\nQUIT\r\n"), "{}", heard.wrote);
    assert_eq!(heard.outcomes, [(Some(550), "RCPT TO")]);
    let says = [EHLO, "450 no\r\n250 ok\r\n354 go\r\n", "250 taken nothing\r\n", "221 bye\r\n"];
    let heard = send(&[transaction(&["c@d"])], &says);
    assert_eq!(heard.outcomes, [(Some(450), "MAIL FROM")]);
}

#[test]
fn helo_where_that_is_all() {
    let heard = send(&[], &["502 what?\r\n", "250 mx\r\n", "221 bye\r\n"]);
    assert_eq!(heard.wrote, "EHLO us.example\r\nHELO us.example\r\nQUIT\r\n");
    assert_eq!(heard.capabilities.unwrap().size_bytes_max, None);
    let heard = send(&[], &["502 what?\r\n", "502 what?\r\n"]);
    assert!(heard.failure.is_some() && heard.closed);
}

#[test]
fn starttls_where_it_is_offered() {
    let says = ["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 go\r\n250 smuggled\r\n", EHLO, "221 bye\r\n"];
    let heard = run(StartTls::Opportunistic, &[], &says);
    assert_eq!(heard.wrote, "EHLO us.example\r\nSTARTTLS\r\n<TLS>EHLO us.example\r\nQUIT\r\n");
    assert!(heard.capabilities.unwrap().tls);
    let says = ["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "454 not now\r\n", "221 bye\r\n"];
    let heard = run(StartTls::Opportunistic, &[], &says);
    assert!(!heard.capabilities.unwrap().tls);
    let heard = run(StartTls::Off, &[], &["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "221 bye\r\n"]);
    assert!(!heard.wrote.contains("STARTTLS"));
}

#[test]
fn sessions_that_break() {
    let one = [transaction(&["c@d", "e@f"])];
    type Row = (&'static [&'static str], &'static [(Option<u16>, &'static str)]);
    let table: &[Row] = &[
        // The peer goes, or says 421.
        (&[EHLO], &[(None, "MAIL FROM"), (None, "MAIL FROM")]),
        (&[EHLO, "250 ok\r\n550 no\r\n"], &[(Some(550), "RCPT TO"), (None, "RCPT TO")]),
        (&[EHLO, "250 ok\r\n550 no\r\n421 bye\r\n"], &[(Some(550), "RCPT TO"), (Some(421), "RCPT TO")]),
        (&[EHLO, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"], &[(None, "end of DATA"), (None, "end of DATA")]),
        // A reply too many could be taken for that to the message.
        (&[EHLO, "250 a\r\n250 b\r\n250 c\r\n354 d\r\n250 e\r\n"], &[(None, "end of DATA"), (None, "end of DATA")]),
        (&[PLAIN_EHLO, "250 a\r\n250 b\r\n"], &[(None, "RCPT TO"), (None, "RCPT TO")]),
        // 250 to DATA is not 250 to the message.
        (&[EHLO, "250 a\r\n250 b\r\n250 c\r\n250 d\r\n"], &[(None, "DATA"), (None, "DATA")]),
        (&[EHLO, "354 a\r\n"], &[(None, "MAIL FROM"), (None, "MAIL FROM")]),
        (&[EHLO, "nonsense\r\n"], &[(None, "MAIL FROM"), (None, "MAIL FROM")]),
        (&["250-mx\r\n250 PIPELINING\r\n250 early\r\n"], &[(None, "MAIL FROM"), (None, "MAIL FROM")]),
    ];
    for (says, outcomes) in table {
        let heard = send(&one, says);
        assert_eq!(heard.outcomes, *outcomes, "{says:?}");
        assert!(heard.failure.is_some() && heard.closed, "{says:?}");
    }
    for greeting in ["554 no\r\n", "421 full\r\n", "HTTP/1.1 400\r\n", "220 a\r\n220 b\r\n"] {
        let heard = run(StartTls::Off, &one, &[greeting, EHLO]);
        assert!(heard.failure.is_some() && heard.outcomes.is_empty(), "{greeting:?}");
    }
}

#[test]
fn what_the_server_cannot_take_is_refused_here() {
    let base = transaction(&["c@d"]);
    for (ehlo, transaction, code) in [
        (PLAIN_EHLO, Transaction { smtputf8: true, ..base.clone() }, 553),
        (PLAIN_EHLO, Transaction { body_8bit: true, ..base.clone() }, 554),
        (EHLO, Transaction { size_bytes: 101, ..base.clone() }, 552),
        (EHLO, Transaction { reverse_path: "a@b>\r\nRSET".into(), ..base.clone() }, 553),
        (EHLO, Transaction { reverse_path: "é@b".into(), ..base.clone() }, 553),
    ] {
        let heard = send(&[transaction], &[ehlo, "221 bye\r\n"]);
        assert_eq!(heard.outcomes, [(Some(code), "MAIL FROM")]);
        assert_eq!(heard.wrote, "EHLO us.example\r\nQUIT\r\n");
    }
}

#[test]
fn no_address_becomes_a_command() {
    for address in ["c@d>\r\nRCPT TO:<x@y", "c@d\n", "c\0@d", "c@d> SIZE=1", "", "c", "<c@d>", "é@d", "c d@e"] {
        let says = [EHLO, "250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n", "221 bye\r\n"];
        let heard = send(&[transaction(&[address, "good@d"])], &says);
        assert_eq!(heard.wrote.matches("RCPT").count(), 1, "{address:?}");
        assert_eq!(heard.outcomes, [(Some(553), "RCPT TO"), (Some(250), "end of DATA")], "{address:?}");
    }
}

#[test]
fn the_server_has_its_time_and_no_more() {
    let now = Instant::now();
    let mut client = ClientMachine::new(Settings { hello_name: "us".into(), tls: StartTls::Off }, now);
    assert_eq!(client.deadline(), Some(now + limits::GREETING_TIMEOUT));
    client.feed(now, b"220-slow");
    client.timeout(now);
    assert!(matches!(client.feed(now, b"").step, Step::Read), "not yet");
    client.timeout(now + limits::GREETING_TIMEOUT);
    assert!(matches!(client.feed(now, b"").step, Step::Ask(Ask::Failed { .. })));
    client.answer(now, Answer::Quit);
    assert!(matches!(client.feed(now, b"").step, Step::Close));
}

proptest! {
    /// Whatever the server says, each recipient has one outcome, and success needs a message that was sent.
    #[test]
    fn no_server_makes_it_believe_in_success(
        says in proptest::collection::vec(proptest::collection::vec(prop_oneof![
            Just("250 ok\r\n"), Just("354 go\r\n"), Just("550 no\r\n"), Just("450 no\r\n"), Just("421 bye\r\n"),
            Just("250-more\r\n"), Just("2"), Just("\n"), Just("\r\n"), Just("nonsense\r\n")], 1..5), 0..9),
        pipelining in any::<bool>(),
    ) {
        let says: Vec<String> = says.iter().map(|words| words.concat()).collect();
        let says: Vec<&str> = [if pipelining { EHLO } else { PLAIN_EHLO }].into_iter().chain(says.iter().map(String::as_str)).collect();
        let heard = send(&[transaction(&["c@d", "e@f"])], &says);
        prop_assert!(heard.closed);
        prop_assert_eq!(heard.outcomes.len(), 2);
        let believed = heard.outcomes.iter().any(|(code, _)| code.is_some_and(|code| code < 300));
        prop_assert!(!believed || heard.wrote.contains("{7}"), "{:?}", heard);
        let in_time = heard.outcomes.iter().all(|(code, command)| code.is_none_or(|code| code >= 400) || *command == "end of DATA");
        prop_assert!(in_time, "{:?}", heard);
    }
}
