//! The POP3 server machine with an owner whose world is small and fixed.
//!
//! Alice's password is `secret`, her maildrop has three messages, the third one broken in the store. `later@`
//! cannot be told now, `guess@` has failed too often, `busy@` logs in with any password but is in use. With
//! `@ commit lost` or `@ commit down` QUIT cannot delete.

use std::time::Instant;

use paquebot_proto::{
    Tls,
    pop3::{Answer, Ask, Listed, Refusal, ServerMachine, Settings},
    sasl::{LoginAnswer, LoginAsk, ScramKeys},
};

use crate::{
    play::Player,
    script::{Peer, Script},
};

/// Header and body of the messages that can be fetched.
const MESSAGES: [&str; 2] = [
    "From: bob@example.org\r\nSubject: one\r\n\r\nHello.\r\n.a dot\r\n..\r\n.\r\nlast\r\n",
    "Subject: two\r\n\r\nno line end",
];

/// The owner.
#[derive(Debug)]
pub struct Keeper {
    name: String,
    commit: Answer,
}

impl Player for Keeper {
    type Machine = ServerMachine;
    const PEER: Peer = Peer::Client;

    fn start(script: &Script, now: Instant) -> (ServerMachine, Self) {
        let mut settings = Settings { hostname: "pop.example".into(), tls: Tls::Active, nonce_seed: [7; 32] };
        let mut commit = Answer::Done;
        for (key, value) in &script.settings {
            match (key.as_str(), value.as_str()) {
                ("tls", "offered") => settings.tls = Tls::Available,
                ("tls", "missing") => settings.tls = Tls::Unavailable,
                ("commit", "lost") => commit = Answer::Refused(Refusal::InUse),
                ("commit", "down") => commit = Answer::Refused(Refusal::Temporary),
                ("only", _) => {}
                other => panic!("what is the setting {other:?}?"),
            }
        }
        (ServerMachine::new(now, settings), Self { name: String::new(), commit })
    }

    fn answer(&mut self, ask: Ask) -> (String, Answer) {
        match ask {
            Ask::Login(ask) => self.login(ask),
            Ask::Open if self.name == "busy@pop.example" => ("open".into(), Answer::Refused(Refusal::InUse)),
            Ask::Open => {
                let size = |index: usize| MESSAGES.get(index).map_or(99, |text| text.len() as u64);
                let listed = |index| Listed { size_bytes: size(index), unique_id: format!("7.{}", 10 + index) };
                ("open".into(), Answer::Opened((0..3).map(listed).collect()))
            }
            Ask::Fetch(2) => ("fetch 2".into(), Answer::Refused(Refusal::Permanent)),
            Ask::Fetch(index) => (format!("fetch {index}"), Answer::Done),
            Ask::Commit(indices) => (format!("commit {indices:?}"), self.commit.clone()),
        }
    }

    fn data(&mut self, octets: &[u8]) {
        assert!(octets.is_empty(), "POP3 receives no messages");
    }

    fn bulk(&mut self, handle: u64) -> Vec<u8> {
        MESSAGES[usize::try_from(handle).unwrap()].as_bytes().to_vec()
    }
}

impl Keeper {
    fn login(&mut self, ask: LoginAsk) -> (String, Answer) {
        let (line, answer) = match ask {
            LoginAsk::Password { name, password } => {
                let answer = match (name.as_str(), password.0.as_slice()) {
                    ("alice@pop.example", b"secret") | ("busy@pop.example", _) => LoginAnswer::Granted,
                    ("later@pop.example", _) => LoginAnswer::Unavailable,
                    ("guess@pop.example", _) => LoginAnswer::Throttled,
                    _ => LoginAnswer::Denied,
                };
                self.name.clone_from(&name);
                (format!("password of {name}"), answer)
            }
            LoginAsk::Keys { name } => {
                (format!("keys of {name}"), LoginAnswer::Keys(ScramKeys::derive(b"secret", b"0123456789abcdef", 4096)))
            }
            LoginAsk::Proved { name, right } => {
                (format!("{name} proved: {right}"), if right { LoginAnswer::Granted } else { LoginAnswer::Denied })
            }
        };
        (line, Answer::Login(answer))
    }
}
