//! The SMTP client machine with an owner that sends what the transcript says.
//!
//! `@ send REVERSE-PATH RECIPIENT,… [8bit] [utf8]` in the head: one transaction each, then QUIT. The message is always
//! the same, 25 octets with a line that begins with a dot. `@ starttls off` keeps it in the clear.

use std::{collections::VecDeque, time::Instant};

use paquebot_proto::smtp::{
    ClientMachine, ClientSettings, StartTls,
    client_ask::{Answer, Ask, Outcome, Transaction},
};

use crate::{
    play::Player,
    script::{Peer, Script},
};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\n.dot.\r\n";

/// The owner.
#[derive(Debug)]
pub struct Sender {
    plan: VecDeque<Transaction>,
}

impl Player for Sender {
    type Machine = ClientMachine;
    const PEER: Peer = Peer::Server;

    fn start(script: &Script, now: Instant) -> (ClientMachine, Self) {
        let tls = if script.setting("starttls") == Some("off") { StartTls::Off } else { StartTls::Opportunistic };
        let sends = script.settings.iter().filter(|(key, _)| key == "send");
        let plan = sends.map(|(_, value)| transaction(value)).collect();
        (ClientMachine::new(ClientSettings { hello_name: "us.example".into(), tls }, now), Self { plan })
    }

    fn answer(&mut self, ask: Ask) -> (String, Answer) {
        let line = match ask {
            Ask::Ready(found) => {
                let mut line = format!("ready {}", found.greeting_name);
                let words = [
                    (found.pipelining, "pipelining"),
                    (found.eight_bit, "8bit"),
                    (found.smtputf8, "utf8"),
                    (found.tls, "tls"),
                ];
                words.iter().filter(|(is, _)| *is).for_each(|(_, word)| line += &format!(" {word}"));
                found.size_bytes_max.iter().for_each(|size| line += &format!(" size {size}"));
                line
            }
            Ask::Done(outcomes) => format!("done{}", words(&outcomes)),
            Ask::Failed { reason, outcomes, .. } => {
                return (format!("failed: {reason}{}", words(&outcomes)), Answer::Quit);
            }
        };
        (line, self.plan.pop_front().map_or(Answer::Quit, Answer::Send))
    }

    fn data(&mut self, _octets: &[u8]) {
        panic!("an SMTP client receives no messages")
    }

    fn bulk(&mut self, handle: u64) -> Vec<u8> {
        assert_eq!(handle, 7);
        MESSAGE.to_vec()
    }
}

fn transaction(value: &str) -> Transaction {
    let mut words = value.split(' ');
    let reverse_path = words.next().unwrap().trim_matches(['<', '>']).to_owned();
    let recipients = words.next().unwrap().split(',').map(str::to_owned).collect();
    let flags: Vec<_> = words.collect();
    Transaction {
        reverse_path,
        recipients,
        size_bytes: MESSAGE.len() as u64,
        body_8bit: flags.contains(&"8bit"),
        smtputf8: flags.contains(&"utf8"),
        message: 7,
    }
}

fn words(outcomes: &[Outcome]) -> String {
    let reply = |outcome: &Outcome| outcome.reply.as_ref().map_or("nothing".to_owned(), ToString::to_string);
    outcomes.iter().map(|outcome| format!(" | {}: {}", outcome.command, reply(outcome))).collect()
}
