//! The SMTP server machine with an owner whose world is small and fixed.
//!
//! Everybody has a mailbox but `nobody@`; `full@` is full, `busy@` closes the connection; mail from `spammer@` is
//! refused; a message with the line `X-Store: down` cannot be stored. Alice's password is `secret`.

use std::time::Instant;

use paquebot_proto::{
    EnhancedCode, Reply, Tls,
    sasl::{LoginAnswer, LoginAsk, ScramKeys},
    smtp::{
        Role, ServerMachine, ServerSettings,
        ask::{Answer, Ask},
    },
};

use crate::{
    play::Player,
    script::{Peer, Script},
};

/// The owner.
#[derive(Debug, Default)]
pub struct Receiver {
    data: Vec<u8>,
}

impl Player for Receiver {
    type Machine = ServerMachine;
    const PEER: Peer = Peer::Client;

    fn start(script: &Script, now: Instant) -> (ServerMachine, Self) {
        let mut settings = ServerSettings {
            hostname: "mx.example".into(),
            role: Role::Relay,
            tls: Tls::Available,
            message_bytes_max: 2000,
            recipients_max: 3,
            nonce: [7; 24],
            refusal: None,
        };
        for (key, value) in &script.settings {
            match (key.as_str(), value.as_str()) {
                ("role", "submission") => settings.role = Role::Submission,
                ("tls", "active") => settings.tls = Tls::Active,
                ("tls", "unavailable") => settings.tls = Tls::Unavailable,
                ("refusal", text) => settings.refusal = Some(Reply::plain(text[..3].parse().unwrap(), &text[4..])),
                ("only", _) => {}
                other => panic!("what is the setting {other:?}?"),
            }
        }
        (ServerMachine::new(settings, now), Self::default())
    }

    fn answer(&mut self, ask: Ask) -> (String, Answer) {
        match ask {
            Ask::Login(ask) => {
                let (line, answer) = login(ask);
                (line, Answer::Login(answer))
            }
            Ask::Mail(mail) => {
                let mut line = format!("mail <{}> {}", mail.reverse_path, mail.with);
                mail.size_bytes.iter().for_each(|size| line += &format!(" size {size}"));
                line += if mail.body_8bit { " 8bit" } else { "" };
                line += if mail.smtputf8 { " utf8" } else { "" };
                let spam = mail.reverse_path.starts_with("spammer@");
                (line, if spam { reply(550, (5, 7, 1), "no spam") } else { reply(250, (2, 1, 0), "ok") })
            }
            Ask::Recipient(address) => {
                let answer = match address.split('@').next().unwrap() {
                    "nobody" => reply(550, (5, 1, 1), "no such user"),
                    "full" => reply(452, (4, 2, 2), "mailbox full"),
                    "busy" => reply(421, (4, 3, 2), "too busy"),
                    _ => reply(250, (2, 1, 5), "ok"),
                };
                (format!("rcpt <{address}>"), answer)
            }
            Ask::Data => ("data".into(), Answer::Reply(Reply::plain(354, "go on"))),
            Ask::Commit { size_bytes } => {
                let data = std::mem::take(&mut self.data);
                assert_eq!(size_bytes, data.len() as u64);
                let text = String::from_utf8_lossy(&data).into_owned();
                let down = text.contains("X-Store: down");
                let answer = if down { reply(451, (4, 3, 0), "no disk") } else { reply(250, (2, 0, 0), "stored") };
                (format!("commit {text:?}"), answer)
            }
            Ask::Abandon(_) => {
                self.data.clear();
                ("abandon".into(), Answer::Done)
            }
        }
    }

    fn data(&mut self, octets: &[u8]) {
        self.data.extend_from_slice(octets);
    }

    fn bulk(&mut self, _handle: u64) -> Vec<u8> {
        panic!("an SMTP server sends no messages")
    }
}

fn reply(code: u16, (class, subject, detail): (u8, u16, u16), text: &str) -> Answer {
    Answer::Reply(Reply::new(code, EnhancedCode(class, subject, detail), text))
}

fn login(ask: LoginAsk) -> (String, LoginAnswer) {
    match ask {
        LoginAsk::Password { name, password } => {
            let granted = name == "alice" && password.0 == b"secret";
            (format!("password of {name}"), if granted { LoginAnswer::Granted } else { LoginAnswer::Denied })
        }
        LoginAsk::Keys { name } => {
            let keys = ScramKeys::derive(b"secret", b"0123456789abcdef", 4096);
            (format!("keys of {name}"), LoginAnswer::Keys(keys))
        }
        LoginAsk::Proved { name, right } => {
            let granted = right && name == "alice";
            (format!("{name} proved {right}"), if granted { LoginAnswer::Granted } else { LoginAnswer::Denied })
        }
    }
}
