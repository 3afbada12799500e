//! POP3 sessions: whole, byte by byte, pipelined; states, limits, attacks.

use proptest::prelude::*;

use super::{login::FAILED_LOGINS_MAX, *};
use crate::{
    Framing, Output,
    pop3::Listed,
    sasl::{self, LoginAnswer, LoginAsk, ScramKeys, server::tests::client_proof},
};

/// An owner with one user (alice, secret) and three messages.
struct Owner {
    now: Instant,
    open: Answer,
    commit: Answer,
    login: Option<LoginAnswer>,
    committed: Option<Vec<usize>>,
}

impl Owner {
    fn new() -> Self {
        let listed = |size_bytes, uid| Listed { size_bytes, unique_id: format!("77.{uid}") };
        Self {
            now: Instant::now(),
            open: Answer::Opened(vec![listed(120, 1), listed(200, 2), listed(50, 9)]),
            commit: Answer::Done,
            login: None,
            committed: None,
        }
    }

    fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Login(LoginAsk::Password { name, password }) => {
                let right = name == "alice" && password.0 == b"secret";
                let usual = if right { LoginAnswer::Granted } else { LoginAnswer::Denied };
                Answer::Login(self.login.clone().unwrap_or(usual))
            }
            Ask::Login(LoginAsk::Keys { .. }) => {
                Answer::Login(LoginAnswer::Keys(ScramKeys::derive(b"secret", b"salt", 4096)))
            }
            Ask::Login(LoginAsk::Proved { right, .. }) => {
                Answer::Login(if right { LoginAnswer::Granted } else { LoginAnswer::Denied })
            }
            Ask::Open => self.open.clone(),
            Ask::Fetch(2) => Answer::Refused(Refusal::Permanent),
            Ask::Fetch(_) => Answer::Done,
            Ask::Commit(indices) => {
                self.committed = Some(indices);
                self.commit.clone()
            }
        }
    }
}

fn settings(tls: Tls) -> Settings {
    Settings { hostname: "mail.example.com".into(), tls, nonce_seed: [7; 32] }
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum End {
    Open,
    Closed,
}

fn written(machine: &mut ServerMachine, text: &mut String) {
    while let Some(output) = machine.output().pop() {
        match output {
            Output::Bytes(octets) => text.push_str(std::str::from_utf8(&octets).unwrap()),
            Output::Bulk(bulk) => {
                let Framing::Dot { body_lines_max } = bulk.framing else { panic!("raw") };
                text.push_str(&format!("<message {} {body_lines_max:?}>\r\n", bulk.handle));
            }
        }
    }
}

/// Feeds a machine as the driver does; upgrades at once.
fn feed(machine: &mut ServerMachine, owner: &mut Owner, input: &[u8], text: &mut String) -> End {
    let mut rest = input;
    loop {
        let fed = machine.feed(owner.now, rest);
        rest = &rest[fed.consumed..];
        match fed.step {
            Step::Read => {
                assert!(rest.is_empty(), "left {rest:?}");
                written(machine, text);
                return End::Open;
            }
            Step::Data(octets) => assert!(octets.is_empty()),
            Step::Ask(ask) => {
                let answer = owner.answer(ask);
                machine.answer(owner.now, answer);
            }
            Step::Upgrade(Upgrade::Tls) => {
                written(machine, text);
                text.push_str("<TLS>\r\n");
                rest = &[];
                machine.upgraded(owner.now);
            }
            Step::Close => {
                written(machine, text);
                return End::Closed;
            }
        }
        if machine.output().is_full() {
            written(machine, text);
        }
    }
}

/// What the server says to these lines, fed in pieces of so many octets; without the greeting.
fn talk(tls: Tls, owner: &mut Owner, input: &str, piece: usize) -> (String, End) {
    let mut machine = ServerMachine::new(owner.now, settings(tls));
    let mut text = String::new();
    let mut end = feed(&mut machine, owner, b"", &mut text);
    for chunk in input.as_bytes().chunks(piece) {
        if end == End::Open {
            end = feed(&mut machine, owner, chunk, &mut text);
        }
    }
    let replies = text.strip_prefix("+OK mail.example.com POP3 ready\r\n").unwrap();
    (replies.replace("\r\n", "\n"), end)
}

/// The replies to a session that is logged in, the login's own left out.
fn session(owner: &mut Owner, input: &str) -> (String, End) {
    let (text, end) = talk(Tls::Active, owner, &format!("USER alice\r\nPASS secret\r\n{input}"), usize::MAX);
    let replies = text.strip_prefix("+OK now PASS\n+OK 3 messages (370 octets)\n").expect(&text);
    (replies.to_owned(), end)
}

#[test]
fn commands_over_a_maildrop() {
    for (input, replies) in [
        ("STAT\r\n", "+OK 3 370\n"),
        ("LIST\r\n", "+OK one line a message\n1 120\n2 200\n3 50\n.\n"),
        ("LIST 2\r\n", "+OK 2 200\n"),
        ("LIST 4\r\n", "-ERR no such message\n"),
        ("LIST 0\r\n", "-ERR no such message\n"),
        ("UIDL\r\n", "+OK one line a message\n1 77.1\n2 77.2\n3 77.9\n.\n"),
        ("UIDL 3\r\n", "+OK 3 77.9\n"),
        ("RETR 1\r\n", "+OK 120 octets\n<message 0 None>\n"),
        ("TOP 2 5\r\n", "+OK its beginning\n<message 1 Some(5)>\n"),
        ("RETR 3\r\n", "-ERR [SYS/PERM] the stored data is broken; tell your postmaster\n"),
        ("RETR 9\r\n", "-ERR no such message\n"),
        ("NOOP\r\n", "+OK here\n"),
        (
            "DELE 2\r\nDELE 2\r\nRETR 2\r\nLIST 2\r\nSTAT\r\nLIST\r\n",
            "+OK marked; QUIT deletes\n-ERR no such message\n-ERR no such message\n-ERR no such message\n\
             +OK 2 170\n+OK one line a message\n1 120\n3 50\n.\n",
        ),
        ("DELE 2\r\nRSET\r\nSTAT\r\n", "+OK marked; QUIT deletes\n+OK nothing is marked\n+OK 3 370\n"),
        ("USER alice\r\n", "-ERR you are logged in already\n"),
        ("STLS\r\n", "-ERR you are logged in already\n"),
        ("RETR\r\n", "-ERR write it as: RETR message\n"),
    ] {
        assert_eq!(session(&mut Owner::new(), input), (replies.to_owned(), End::Open), "{input:?}");
    }
}

#[test]
fn any_split_says_the_same() {
    let input = "CAPA\r\nUSER alice\r\nPASS wrong\r\nAUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\nSTAT\r\nRETR 1\r\nDELE 1\r\n\
                 BOGUS\r\nA\nB\r\nDELE 3\r\nQUIT\r\n";
    let mut whole = Owner::new();
    let (text, end) = talk(Tls::Active, &mut whole, input, usize::MAX);
    assert_eq!((end, whole.committed), (End::Closed, Some(vec![0, 2])));
    assert!(text.ends_with("+OK deleted; goodbye\n"), "{text}");
    for piece in 1..20 {
        assert_eq!(talk(Tls::Active, &mut Owner::new(), input, piece).0, text, "by {piece}");
    }
}

#[test]
fn quit() {
    for (input, commit, committed, reply) in [
        ("QUIT\r\n", Answer::Done, Some(vec![]), "+OK goodbye\n"),
        ("DELE 1\r\nRSET\r\nQUIT\r\n", Answer::Done, Some(vec![]), "+OK goodbye\n"),
        ("DELE 1\r\nQUIT\r\n", Answer::Done, Some(vec![0]), "+OK deleted; goodbye\n"),
        (
            "DELE 3\r\nQUIT\r\n",
            Answer::Refused(Refusal::Temporary),
            Some(vec![2]),
            "-ERR [SYS/TEMP] nothing was deleted; try again later\n",
        ),
        (
            "DELE 3\r\nQUIT\r\n",
            Answer::Refused(Refusal::InUse),
            Some(vec![2]),
            "-ERR [IN-USE] the lock was lost; nothing was deleted\n",
        ),
    ] {
        let mut owner = Owner { commit, ..Owner::new() };
        let (text, end) = session(&mut owner, input);
        assert_eq!((end, owner.committed), (End::Closed, committed), "{input:?}");
        assert!(text.ends_with(reply), "{text}");
    }
}

#[test]
fn without_quit_nothing_is_deleted() {
    for drop_it in [ServerMachine::end_of_input, ServerMachine::timeout, ServerMachine::shutdown] {
        let mut owner = Owner::new();
        let (mut machine, mut text) = (ServerMachine::new(owner.now, settings(Tls::Active)), String::new());
        feed(&mut machine, &mut owner, b"USER alice\r\nPASS secret\r\nDELE 1\r\n", &mut text);
        text.clear();
        drop_it(&mut machine, owner.now);
        feed(&mut machine, &mut owner, b"", &mut text);
        assert_eq!((owner.committed, text.as_str()), (None, ""));
    }
}

#[test]
fn logins_need_tls() {
    for (tls, want) in [
        (Tls::Available, "-ERR no login without TLS: say STLS first\n"),
        (Tls::Unavailable, "-ERR no login without TLS, and this server has no certificate\n"),
    ] {
        for command in ["USER alice", "PASS secret", "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "AUTH SCRAM-SHA-256"] {
            assert_eq!(talk(tls, &mut Owner::new(), &format!("{command}\r\n"), 9).0, want, "{command}");
        }
    }
}

#[test]
fn logins() {
    for (input, reply) in [
        ("PASS secret\r\n", "-ERR say USER first\n"),
        ("USER alice\r\nNOOP\r\nPASS secret\r\n", "+OK now PASS\n-ERR log in first\n-ERR say USER first\n"),
        (
            "USER alice\r\nPASS wrong\r\nPASS secret\r\n",
            "+OK now PASS\n-ERR [AUTH] name or password wrong\n-ERR say USER first\n",
        ),
        ("AUTH CRAM-MD5\r\n", "-ERR unknown mechanism; CAPA lists what there is\n"),
        ("AUTH PLAIN\r\n*\r\nAUTH PLAIN\r\n", "+ \n-ERR login cancelled\n+ \n"),
        ("AUTH PLAIN =\r\n", "-ERR [AUTH] malformed response\n"),
        ("AUTH PLAIN %%%\r\n", "-ERR [AUTH] malformed response\n"),
        ("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", "+OK 3 messages (370 octets)\n"),
        ("AUTH login\r\nYWxpY2U=\r\nc2VjcmV0\r\n", "+ VXNlcm5hbWU6\n+ UGFzc3dvcmQ6\n+OK 3 messages (370 octets)\n"),
        ("STAT\r\nRETR 1\r\n", "-ERR log in first\n-ERR log in first\n"),
        ("STLS\r\n", "-ERR TLS is active\n"),
    ] {
        assert_eq!(talk(Tls::Active, &mut Owner::new(), input, usize::MAX), (reply.to_owned(), End::Open), "{input:?}");
    }
}

/// A known and an unknown name cannot be told apart by the replies.
#[test]
fn replies_do_not_tell_whether_a_name_exists() {
    let replies = |name: &str| talk(Tls::Active, &mut Owner::new(), &format!("USER {name}\r\nPASS wrong\r\n"), 99);
    assert_eq!(replies("alice"), replies("nobody"));
}

#[test]
fn answers_become_response_codes() {
    for (login, open, code) in [
        (LoginAnswer::Denied, Answer::Done, "-ERR [AUTH] "),
        (LoginAnswer::Unavailable, Answer::Done, "-ERR [SYS/TEMP] "),
        (LoginAnswer::Throttled, Answer::Done, "-ERR [SYS/TEMP] "),
        (LoginAnswer::Granted, Answer::Refused(Refusal::InUse), "-ERR [IN-USE] "),
        (LoginAnswer::Granted, Answer::Refused(Refusal::Temporary), "-ERR [SYS/TEMP] "),
        (LoginAnswer::Granted, Answer::Refused(Refusal::Permanent), "-ERR [SYS/PERM] "),
        (LoginAnswer::Granted, Answer::Done, "-ERR [SYS/TEMP] "),
    ] {
        let mut owner = Owner { login: Some(login), open, ..Owner::new() };
        let (text, end) = talk(Tls::Active, &mut owner, "USER alice\r\nPASS secret\r\nSTAT\r\n", usize::MAX);
        let mut lines = text.lines().skip(1);
        assert!(lines.next().unwrap().starts_with(code), "{text}");
        assert_eq!((lines.next(), end), (Some("-ERR log in first"), End::Open));
    }
}

/// SCRAM's last word is a challenge that the client answers with an empty line (RFC 5034 §4).
#[test]
fn scram() {
    for (password, last, want) in [
        ("secret", "", "+OK 3 messages (370 octets)\r\n"),
        ("secret", "*", "-ERR [AUTH] malformed response\r\n"),
        ("wrong", "", "-ERR [AUTH] name or password wrong\r\n"),
    ] {
        let mut owner = Owner::new();
        let (mut machine, mut text) = (ServerMachine::new(owner.now, settings(Tls::Active)), String::new());
        let initial = sasl::encode(b"n,,n=alice,r=abc");
        feed(&mut machine, &mut owner, format!("AUTH SCRAM-SHA-256 {initial}\r\n").as_bytes(), &mut text);
        let challenge = text.lines().last().unwrap().strip_prefix("+ ").unwrap();
        let server_first = String::from_utf8(sasl::decode(challenge.as_bytes()).unwrap()).unwrap();
        let proof = sasl::encode(client_proof(password, "n=alice,r=abc", &server_first).as_bytes());
        text.clear();
        feed(&mut machine, &mut owner, format!("{proof}\r\n").as_bytes(), &mut text);
        if password == "secret" {
            assert!(text.starts_with("+ dj"), "v= comes before +OK: {text}");
            feed(&mut machine, &mut owner, format!("{last}\r\n").as_bytes(), &mut text);
        }
        assert!(text.ends_with(want), "{text}");
    }
}

#[test]
fn capabilities_change_with_the_state() {
    let capa = |tls, before: &str| talk(tls, &mut Owner::new(), &format!("{before}CAPA\r\n"), usize::MAX).0;
    for (tls, before, stls, user) in [
        (Tls::Unavailable, "", false, false),
        (Tls::Available, "", true, false),
        (Tls::Available, "STLS\r\n", true, false),
        (Tls::Active, "", false, true),
        (Tls::Active, "USER alice\r\nPASS secret\r\n", false, true),
    ] {
        let text = capa(tls, before);
        if before == "STLS\r\n" {
            assert!(!text.contains("PIPELINING"), "pipelined behind STLS: dropped");
            continue;
        }
        assert_eq!(text.contains("\nSTLS\n"), stls, "{text}");
        assert_eq!(text.contains("\nUSER\nSASL SCRAM-SHA-256 PLAIN LOGIN\n"), user, "{text}");
        assert!(text.contains("\nPIPELINING\n") && text.ends_with("\n.\n"), "{text}");
    }
}

/// What an attacker puts behind STLS in the clear never reaches the secured session.
#[test]
fn nothing_survives_stls() {
    let mut owner = Owner::new();
    let (mut machine, mut text) = (ServerMachine::new(owner.now, settings(Tls::Available)), String::new());
    feed(&mut machine, &mut owner, b"STLS\r\nUSER mallory\r\nPASS x\r\nNO", &mut text);
    assert!(text.ends_with("+OK begin TLS\r\n<TLS>\r\n"), "{text}");
    text.clear();
    feed(&mut machine, &mut owner, b"PASS secret\r\nUSER alice\r\nPASS secret\r\n", &mut text);
    assert_eq!(text, "-ERR say USER first\r\n+OK now PASS\r\n+OK 3 messages (370 octets)\r\n");
}

#[test]
fn limits() {
    let many = |line: &str, count: u32| line.repeat(usize::try_from(count).unwrap());
    for (input, lines) in [
        (many("XYZZY\r\n", BAD_COMMANDS_MAX + 5), BAD_COMMANDS_MAX),
        (many(&format!("NOOP{}\r\n", " ".repeat(300)), BAD_COMMANDS_MAX + 5), BAD_COMMANDS_MAX),
        (many(&format!("{}\r\n", "A".repeat(100_000)), BAD_COMMANDS_MAX + 5), BAD_COMMANDS_MAX),
        (many("NO\0OP\r\n", BAD_COMMANDS_MAX + 5), BAD_COMMANDS_MAX),
        (many("USER a\nPASS b\r\n", BAD_COMMANDS_MAX + 5), BAD_COMMANDS_MAX),
        (many("USER alice\r\nPASS wrong\r\n", FAILED_LOGINS_MAX + 5), 2 * FAILED_LOGINS_MAX),
        (many("AUTH PLAIN AAAA\r\n", FAILED_LOGINS_MAX + 5), FAILED_LOGINS_MAX),
    ] {
        let (text, end) = talk(Tls::Active, &mut Owner::new(), &input, 5000);
        assert_eq!((text.lines().count(), end), (lines as usize, End::Closed), "{:?}", &input[..10]);
    }
}

/// A line that is broken in the middle of a login exchange is no response and no command.
#[test]
fn a_broken_line_ends_the_exchange() {
    let input = "AUTH LOGIN\r\nYWxp\0Y2U=\r\nc2VjcmV0\r\n";
    let (text, _) = talk(Tls::Active, &mut Owner::new(), input, usize::MAX);
    assert!(text.starts_with("+ VXNlcm5hbWU6\n-ERR NUL"), "{text}");
    assert!(text.ends_with("-ERR unknown command; CAPA lists what there is\n"), "{text}");
}

/// Many small commands with a long reply each: the output never holds more than a little.
#[test]
fn long_lists_are_written_in_pieces() {
    let messages: Vec<_> = (0..20_000).map(|uid| Listed { size_bytes: 1, unique_id: format!("1.{uid}") }).collect();
    let mut owner = Owner { open: Answer::Opened(messages), ..Owner::new() };
    let now = owner.now;
    let mut machine = ServerMachine::new(now, settings(Tls::Active));
    let input = format!("USER alice\r\nPASS secret\r\n{}", "UIDL\r\n".repeat(20));
    let (mut rest, mut lines) = (input.as_bytes(), 0);
    loop {
        let fed = machine.feed(now, rest);
        rest = &rest[fed.consumed..];
        let done = matches!(fed.step, Step::Read);
        if let Step::Ask(ask) = fed.step {
            let answer = owner.answer(ask);
            machine.answer(now, answer);
        }
        while let Some(Output::Bytes(octets)) = machine.output().pop() {
            assert!(octets.len() < crate::output::OUTPUT_BYTES_HIGH + 100);
            lines += octets.iter().filter(|octet| **octet == b'\n').count();
        }
        if done {
            break;
        }
    }
    assert_eq!(lines, 3 + 20 * 20_002);
}

#[test]
fn time() {
    let mut owner = Owner::new();
    let start = owner.now;
    let (mut machine, mut text) = (ServerMachine::new(start, settings(Tls::Active)), String::new());
    assert_eq!(machine.deadline(), Some(start + IDLE_MAX));
    owner.now = start + IDLE_MAX / 2;
    feed(&mut machine, &mut owner, b"CAP", &mut text);
    assert_eq!(machine.deadline(), Some(start + IDLE_MAX), "half a line keeps nothing open");
    feed(&mut machine, &mut owner, b"A\r\n", &mut text);
    assert_eq!(machine.deadline(), Some(owner.now + IDLE_MAX));
    text.clear();
    machine.timeout(owner.now);
    assert_eq!(feed(&mut machine, &mut owner, b"USER alice\r\n", &mut text), End::Closed);
    assert_eq!(text, "", "RFC 1939 §3: no reply");
}

#[test]
fn draining() {
    let mut owner = Owner::new();
    let (mut machine, mut text) = (ServerMachine::new(owner.now, settings(Tls::Active)), String::new());
    machine.shutdown(owner.now);
    assert_eq!(feed(&mut machine, &mut owner, b"", &mut text), End::Closed, "nothing is under way before the login");

    for (command, committed, last) in [
        ("QUIT\r\n", Some(vec![0]), "+OK deleted; goodbye\r\n"),
        ("RETR 2\r\n", None, "-ERR [SYS/TEMP] the server is stopping; come back soon\r\n"),
    ] {
        let mut owner = Owner::new();
        let mut machine = ServerMachine::new(owner.now, settings(Tls::Active));
        feed(&mut machine, &mut owner, b"USER alice\r\nPASS secret\r\nDELE 1\r\n", &mut text);
        machine.shutdown(owner.now);
        assert_eq!(machine.deadline(), Some(owner.now + STOPPING_MAX));
        assert_eq!(feed(&mut machine, &mut owner, command.as_bytes(), &mut text), End::Closed);
        assert!(text.ends_with(last) && owner.committed == committed, "{text}");
    }
}

proptest! {
    #[test]
    fn any_input_any_split(input in "((USER|PASS|AUTH|STAT|LIST|UIDL|RETR|TOP|DELE|RSET|NOOP|CAPA|XX)( [a-z0-9=]{0,6}){0,3}(\r\n|\n|\r)){0,12}", piece in 1..40usize) {
        let login = format!("USER alice\r\nPASS secret\r\n{input}");
        for text in [&input, &login] {
            let whole = talk(Tls::Active, &mut Owner::new(), text, usize::MAX);
            prop_assert_eq!(talk(Tls::Active, &mut Owner::new(), text, piece), whole);
        }
    }

    #[test]
    fn any_bytes(input in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut owner = Owner::new();
        let mut machine = ServerMachine::new(owner.now, settings(Tls::Active));
        feed(&mut machine, &mut owner, &input, &mut String::new());
        prop_assert!(owner.committed.is_none());
    }
}
