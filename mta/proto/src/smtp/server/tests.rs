//! The server machine, driven as the driver drives it.

use proptest::prelude::*;

use super::*;
use crate::{
    Output,
    sasl::LoginAsk,
    smtp::ask::{Cause, MailFrom},
};

/// An owner that takes all but `nobody@…`, and what it was asked.
#[derive(Debug, Default)]
struct Owner {
    log: Vec<String>,
    data: Vec<u8>,
}

impl Owner {
    fn answer(&mut self, ask: Ask) -> Answer {
        self.log.push(match &ask {
            Ask::Mail(MailFrom { reverse_path, with, .. }) => format!("mail {reverse_path} {with}"),
            Ask::Recipient(address) => format!("rcpt {address}"),
            Ask::Commit { size_bytes } => format!("commit {size_bytes}"),
            Ask::Login(_) => "login".into(),
            Ask::Abandon(Cause::Left) => "abandon".into(),
            other => format!("{other:?}").to_lowercase(),
        });
        match ask {
            Ask::Login(LoginAsk::Password { password, .. }) if password.0 == b"right" => {
                Answer::Login(LoginAnswer::Granted)
            }
            Ask::Login(_) => Answer::Login(LoginAnswer::Denied),
            Ask::Recipient(address) if address.starts_with("nobody@") => {
                Answer::Reply(Reply::new(550, EnhancedCode(5, 1, 1), "no such user"))
            }
            Ask::Data => Answer::Reply(Reply::plain(354, "go on")),
            Ask::Abandon(_) => Answer::Done,
            Ask::Mail(_) | Ask::Recipient(_) | Ask::Commit { .. } => {
                Answer::Reply(Reply::new(250, EnhancedCode(2, 0, 0), "fine"))
            }
        }
    }
}

/// A session: a machine, its owner, its time.
struct Session {
    machine: ServerMachine,
    owner: Owner,
    now: Instant,
    closed: bool,
    upgrades: usize,
}

fn settings(role: Role, tls: Tls) -> Settings {
    Settings {
        hostname: "mx.example".into(),
        role,
        tls,
        message_bytes_max: 1000,
        recipients_max: 3,
        nonce: [7; 24],
        refusal: None,
    }
}

impl Session {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let machine = ServerMachine::new(settings, now);
        let mut session = Self { machine, owner: Owner::default(), now, closed: false, upgrades: 0 };
        session.send(b"");
        session
    }

    fn relay() -> Self {
        Self::new(settings(Role::Relay, Tls::Available))
    }

    /// Feeds as the driver does.
    fn send(&mut self, mut input: &[u8]) {
        while !self.closed {
            let fed = self.machine.feed(self.now, input);
            input = &input[fed.consumed..];
            match fed.step {
                Step::Read => {
                    assert!(input.is_empty(), "Read, but not all is consumed");
                    return;
                }
                Step::Data(octets) => self.owner.data.extend_from_slice(octets),
                Step::Ask(ask) => {
                    let answer = self.owner.answer(ask);
                    self.machine.answer(self.now, answer);
                }
                Step::Upgrade(_) => {
                    self.upgrades += 1;
                    self.machine.upgraded(self.now);
                    input = &[];
                }
                Step::Close => self.closed = true,
            }
        }
    }

    /// The codes of the replies so far.
    fn codes(&mut self) -> Vec<u16> {
        let mut text = String::new();
        while let Some(Output::Bytes(octets)) = self.machine.output().pop() {
            text += std::str::from_utf8(&octets).unwrap();
        }
        let lines = text.split_terminator("\r\n").filter(|line| line.as_bytes()[3] == b' ');
        lines.map(|line| line[..3].parse().unwrap()).collect()
    }
}

const GROUP: &[u8] = b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";

#[test]
fn a_pipelined_group_is_taken() {
    let mut session = Session::relay();
    session
        .send(b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<nobody@d>\r\nDATA\r\nx\r\n..\r\n.\r\nQUIT\r\n");
    assert_eq!(session.codes(), [220, 250, 250, 250, 550, 354, 250, 221]);
    assert_eq!(session.owner.log, ["mail a@b ESMTP", "rcpt c@d", "rcpt nobody@d", "data", "commit 6"]);
    assert_eq!(session.owner.data, b"x\r\n.\r\n");
    assert!(session.closed);
}

#[test]
fn a_peer_that_vanishes_commits_nothing() {
    for rest in [&b"x"[..], b"x\r\n", b"x\r\n.", b"x\r\n.\r"] {
        let mut session = Session::relay();
        session.send(GROUP);
        session.send(rest);
        session.machine.end_of_input(session.now);
        session.send(b"");
        assert_eq!(session.owner.log.last().unwrap(), "abandon");
        assert!(session.closed);
    }
}

#[test]
fn what_came_before_the_end_of_input_is_still_done() {
    let mut session = Session::relay();
    session.machine.end_of_input(session.now);
    session.send(&[GROUP, b"x\r\n.\r\n"].concat());
    assert_eq!(session.owner.log.last().unwrap(), "commit 3");
    assert!(session.closed);
}

#[test]
fn starttls_forgets_and_drops() {
    let mut session = Session::relay();
    session.send(b"EHLO c\r\nMAIL FROM:<a@b>\r\nSTARTTLS\r\nRSET\r\nQUIT\r\n");
    assert_eq!((session.codes(), session.upgrades), (vec![220, 250, 250, 220], 1));
    assert_eq!(session.owner.log, ["mail a@b ESMTP", "abandon"]);
    session.send(b"MAIL FROM:<a@b>\r\nEHLO c\r\nSTARTTLS\r\n");
    assert_eq!(session.codes(), [503, 250, 503]);
    session.send(b"MAIL FROM:<a@b>\r\n");
    assert_eq!(session.owner.log.last().unwrap(), "mail a@b ESMTPS");
}

#[test]
fn submission_wants_tls_and_login() {
    let mut session = Session::new(settings(Role::Submission, Tls::Available));
    session.send(b"EHLO c\r\nMAIL FROM:<a@b>\r\nAUTH PLAIN AGEAcmlnaHQ=\r\n");
    assert_eq!(session.codes(), [220, 250, 530, 530]);
    session.send(b"STARTTLS\r\n");
    session.send(b"EHLO c\r\nMAIL FROM:<a@b>\r\n");
    session.send(b"AUTH PLAIN AGEAd3Jvbmc=\r\nNOOP\r\n");
    session.send(b"AUTH LOGIN\r\n");
    session.send(b"*\r\n");
    session.send(b"AUTH CRAM-MD5\r\n");
    session.send(b"AUTH PLAIN !\r\n");
    assert_eq!(session.codes(), [220, 250, 530, 535, 334, 501, 504, 501]);
    session.send(b"AUTH PLAIN AGEAcmlnaHQ=\r\nNOOP\r\n");
    session.send(b"AUTH PLAIN AGEAcmlnaHQ=\r\n");
    session.send(b"MAIL FROM:<a@b>\r\n");
    assert_eq!(session.codes(), [235, 503, 250]);
    assert_eq!(session.owner.log, ["login", "login", "mail a@b ESMTPSA"]);
}

#[test]
fn three_failed_logins_are_enough() {
    let mut session = Session::new(settings(Role::Submission, Tls::Active));
    session.send(b"EHLO c\r\n");
    (0..3).for_each(|_| session.send(b"AUTH PLAIN AGEAd3Jvbmc=\r\n"));
    assert_eq!(session.codes(), [220, 250, 535, 535, 535, 421]);
    assert!(session.closed);
}

#[test]
fn an_answer_of_the_wrong_kind_is_no_success() {
    let now = Instant::now();
    let (mail, data): (&[u8], &[u8]) = (b"MAIL FROM:<a@b>\r\n", b"DATA\r\n");
    for (line, wrong) in [
        (mail, Answer::Done),
        (mail, Answer::Reply(Reply::plain(354, "go on"))),
        (data, Answer::Reply(Reply::plain(250, "stored already"))),
        (data, Answer::Login(LoginAnswer::Granted)),
    ] {
        let mut session = Session::relay();
        session.send(b"EHLO c\r\n");
        if line == data {
            session.send(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
        }
        session.codes();
        assert!(matches!(session.machine.feed(now, line).step, Step::Ask(_)));
        session.machine.answer(now, wrong.clone());
        assert_eq!(session.codes(), [451], "{wrong:?}");
    }
}

#[test]
fn timeouts() {
    let mut session = Session::relay();
    session.send(GROUP);
    assert_eq!(session.codes(), [220, 250, 250, 250, 354]);
    session.machine.timeout(session.now);
    assert!(session.codes().is_empty(), "not yet");
    // A drop now and then holds the session only so long.
    let mut waited = 0;
    while session.machine.deadline().unwrap() > session.now + std::time::Duration::from_secs(60) {
        session.now += std::time::Duration::from_secs(60);
        session.send(b"x");
        waited += 1;
        assert!(waited < 100);
    }
    session.now += std::time::Duration::from_secs(60);
    session.machine.timeout(session.now);
    session.send(b"");
    assert_eq!(session.codes(), [421]);
    assert_eq!(session.owner.log.last().unwrap(), "abandon");
    assert!(session.closed);
}

#[test]
fn a_drain_lets_a_message_finish() {
    let mut session = Session::relay();
    session.send(GROUP);
    session.machine.shutdown(session.now);
    session.send(b"x\r\n.\r\nNOOP\r\n");
    assert_eq!(session.codes(), [220, 250, 250, 250, 354, 250, 421]);
    let mut idle = Session::relay();
    idle.send(b"EHLO c\r\nMAIL FROM:<a@b>\r\n");
    idle.machine.shutdown(idle.now);
    idle.send(b"");
    assert_eq!(idle.codes(), [220, 250, 250, 421]);
    assert_eq!(idle.owner.log.last().unwrap(), "abandon");
}

#[test]
fn a_refusing_greeting() {
    let refusal = Some(Reply::plain(554, "no"));
    let mut session = Session::new(Settings { refusal, ..settings(Role::Relay, Tls::Unavailable) });
    session.send(b"EHLO c\r\nMAIL FROM:<a@b>\r\nQUIT\r\n");
    assert_eq!(session.codes(), [554, 503, 503, 221]);
    let refusal = Some(Reply::plain(421, "full"));
    let session = Session::new(Settings { refusal, ..settings(Role::Relay, Tls::Unavailable) });
    assert!(session.closed);
}

#[test]
fn an_endless_refused_message_is_cut() {
    let mut session = Session::relay();
    session.send(GROUP);
    (0..100).for_each(|_| session.send(&[b'x'; 100]));
    assert_eq!(session.codes(), [220, 250, 250, 250, 354, 552]);
    assert!(session.closed && session.owner.data.len() <= 1000);
}

#[test]
fn floods_end() {
    for (line, count) in [("NOOP\r\n", 101), ("BAD\r\n", 20), ("RSET\r\n", 101), ("EHLO c\r\n", 101)] {
        let mut session = Session::relay();
        session.send(line.repeat(10_000).as_bytes());
        assert!(session.closed, "{line}");
        assert_eq!(session.codes().len(), 1 + count.min(100) + 1, "{line}");
    }
    let mut session = Session::relay();
    session.send(b"EHLO c\r\n");
    session.send("MAIL FROM:<a@b>\r\nRCPT TO:<nobody@d>\r\nRSET\r\n".repeat(1000).as_bytes());
    assert!(session.closed);
    let mut session = Session::relay();
    session.send(b"EHLO c\r\nMAIL FROM:<a@b>\r\n");
    session.send("RCPT TO:<a@d>\r\n".repeat(10_000).as_bytes());
    assert!(session.closed && session.owner.log.iter().filter(|line| line.starts_with("rcpt")).count() == 3);
}

proptest! {
    #[test]
    fn arbitrary_bytes_break_nothing(
        words in proptest::collection::vec(prop_oneof![
            Just(b"EHLO c\r\n".to_vec()), Just(b"MAIL FROM:<a@b>\r\n".to_vec()), Just(b"RCPT TO:<a@b>\r\n".to_vec()),
            Just(b"DATA\r\n".to_vec()), Just(b"\r\n.\r\n".to_vec()), Just(b"\n".to_vec()), Just(b"STARTTLS\r\n".to_vec()),
            Just(b"AUTH LOGIN\r\n".to_vec()), Just(b"RSET\r\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ], 0..40),
        piece in 1usize..60,
        submission in any::<bool>(),
    ) {
        let role = if submission { Role::Submission } else { Role::Relay };
        let mut session = Session::new(settings(role, if submission { Tls::Active } else { Tls::Available }));
        for chunk in words.concat().chunks(piece) {
            session.send(chunk);
            session.codes();
        }
        session.machine.end_of_input(session.now);
        session.send(b"");
        prop_assert!(session.closed);
        // Each transaction ends in exactly one way.
        let count = |word: &str| session.owner.log.iter().filter(|line| line.starts_with(word)).count();
        prop_assert_eq!(count("mail"), count("commit") + count("abandon"));
    }
}
