//! From the greeting to the first transaction: EHLO, HELO where that is all, STARTTLS where it is offered.

use std::time::Instant;

use super::{ClientMachine, StartTls, State, limits};
use crate::{
    reply::Reply,
    smtp::client_ask::{Ask, Capabilities},
};

impl ClientMachine {
    pub(super) fn say_ehlo(&mut self, now: Instant) {
        let line = format!("EHLO {}\r\n", self.settings.hello_name);
        self.say(now, &line, State::Ehlo);
    }

    fn say(&mut self, now: Instant, line: &str, state: State) {
        self.output.push(line.as_bytes());
        self.state = state;
        self.deadline = now + limits::COMMAND_TIMEOUT;
    }

    /// A reply before the first transaction.
    pub(super) fn greeting_reply(&mut self, now: Instant, reply: Reply) {
        match (&self.state, reply.is_positive()) {
            (State::Greeting, true) => {
                let name = reply.lines.first().and_then(|line| line.split(' ').next()).unwrap_or_default();
                self.capabilities.greeting_name = name.to_owned();
                self.say_ehlo(now);
            }
            (State::Ehlo, true) => {
                let offers_tls = self.learn(&reply);
                if offers_tls && self.settings.tls == StartTls::Opportunistic && !self.capabilities.tls {
                    self.say(now, "STARTTLS\r\n", State::StartTls);
                } else {
                    self.ready();
                }
            }
            // RFC 5321 §3.2: a server that knows no EHLO is spoken to in SMTP without extensions.
            (State::Ehlo, false) if reply.is_permanent() => {
                let line = format!("HELO {}\r\n", self.settings.hello_name);
                self.say(now, &line, State::Helo);
            }
            (State::Helo, true) => self.ready(),
            (State::StartTls, true) => {
                self.state = State::Upgrading;
                self.deadline = now + limits::COMMAND_TIMEOUT;
            }
            // RFC 7435 §4: opportunistic is as well as can be.
            (State::StartTls, false) => self.ready(),
            (State::Greeting, false) => self.fail("the server's greeting refuses", Some(reply)),
            (_, false) => self.fail("the server refuses EHLO and HELO", Some(reply)),
            (_, true) => self.fail("the server spoke out of turn", Some(reply)),
        }
    }

    fn ready(&mut self) {
        self.state = State::Asked;
        self.due = Some(Ask::Ready(self.capabilities.clone()));
    }

    /// Takes the capabilities from EHLO's reply (RFC 5321 §4.1.1.1); returns whether STARTTLS is among them.
    fn learn(&mut self, reply: &Reply) -> bool {
        let before = std::mem::take(&mut self.capabilities);
        let mut offers_tls = false;
        let mut found = Capabilities { tls: before.tls, greeting_name: before.greeting_name, ..Default::default() };
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "PIPELINING" => found.pipelining = true,
                "8BITMIME" => found.eight_bit = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "STARTTLS" => offers_tls = true,
                // RFC 1870 §4: 0 and nothing both mean that no limit is known.
                "SIZE" => {
                    found.size_bytes_max = words.next().and_then(|word| word.parse().ok()).filter(|max| *max > 0);
                }
                _ => {}
            }
        }
        self.capabilities = found;
        offers_tls
    }
}
