//! AUTH (RFC 4954): the exchange itself is `sasl`'s, here stand its words in SMTP.
//!
//! Passwords travel over TLS only. What was pipelined behind AUTH or a response is dropped: it was written
//! by somebody who could not know the outcome.

use std::time::Instant;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Asked, Role, ServerMachine, State, Tls, Turn, limits};
use crate::{
    line::LOGIN_LINE_BYTES_MAX,
    machine::Step,
    reply::{EnhancedCode, Reply},
    sasl::{Exchange, LoginAnswer, Mechanism, SaslFailure, SaslStep},
    smtp::ask::Ask,
};

impl ServerMachine {
    /// Whether AUTH is of use now.
    pub(super) fn offers_login(&self) -> bool {
        self.settings.role == Role::Submission && self.settings.tls == Tls::Active && !self.logged_in
    }

    /// AUTH, TLS being up.
    pub(super) fn login(&mut self, mechanism: &str, initial: Option<&str>) {
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        if self.settings.role == Role::Relay {
            return self.refuse(&Reply::new(502, EnhancedCode(5, 5, 1), "No login here: use the submission port"));
        }
        // RFC 4954 §4: once a session, and not in a transaction.
        if self.logged_in || self.transaction.is_some() || !extended {
            return self.refuse(&Reply::new(503, EnhancedCode(5, 5, 1), "AUTH is not permitted now"));
        }
        let Some(mechanism) = Mechanism::parse(mechanism) else {
            return self.refuse(&Reply::new(504, EnhancedCode(5, 5, 4), "Mechanism not offered"));
        };
        let initial = match initial {
            // RFC 4954 §4: "=" is an initial response of no octets.
            Some("=") => Some(Vec::new()),
            Some(text) => match STANDARD.decode(text) {
                Ok(octets) => Some(octets),
                Err(_) => return self.login_failed(SaslFailure::Malformed),
            },
            None => None,
        };
        let mut exchange = Box::new(Exchange::start(mechanism, self.exchange_nonce()));
        let step = exchange.response(initial.as_deref());
        self.login_step(exchange, step);
    }

    /// A nonce for one exchange: SCRAM's must never come twice (RFC 5802 §5.1), and the settings hold one.
    fn exchange_nonce(&mut self) -> [u8; 24] {
        self.tally.exchanges += 1;
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.settings.nonce);
        context.update(&self.tally.exchanges.to_be_bytes());
        let mut nonce = self.settings.nonce;
        nonce.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        nonce
    }

    /// A line of the exchange.
    pub(super) fn login_line<'a>(&mut self, now: Instant, input: &'a [u8]) -> Turn<'a> {
        let read = self.lines.read(input, LOGIN_LINE_BYTES_MAX);
        match read.line {
            None => return (read.consumed, Some(Step::Read)),
            Some(Err(fault)) => {
                self.state = State::Commands;
                self.line_fault(fault);
            }
            Some(Ok(line)) => {
                self.deadline = now + limits::COMMAND_TIMEOUT;
                self.login_response(&line);
            }
        }
        (input.len(), None)
    }

    fn login_response(&mut self, line: &[u8]) {
        let state = std::mem::replace(&mut self.state, State::Commands);
        if line == b"*" {
            return self.refuse(&Reply::new(501, EnhancedCode(5, 7, 0), "Login cancelled"));
        }
        match (state, STANDARD.decode(line)) {
            (State::Login(mut exchange), Ok(response)) => {
                let step = exchange.response(Some(&response));
                self.login_step(exchange, step);
            }
            (State::LoginProof, Ok(response)) if response.is_empty() => self.login_granted(),
            _ => self.login_failed(SaslFailure::Malformed),
        }
    }

    pub(super) fn login_answer(&mut self, mut exchange: Box<Exchange>, answer: LoginAnswer) {
        let step = exchange.answer(answer);
        self.login_step(exchange, step);
    }

    fn login_step(&mut self, exchange: Box<Exchange>, step: SaslStep) {
        match step {
            SaslStep::Challenge(challenge) => {
                self.challenge(&challenge);
                self.state = State::Login(exchange);
            }
            SaslStep::Ask(ask) => {
                self.due = Some(Ask::Login(ask));
                self.state = State::Asked(Asked::Login(exchange));
            }
            SaslStep::Done { last: None, .. } => self.login_granted(),
            // RFC 4954 §4: SMTP's success carries no data, so it goes as one more challenge.
            SaslStep::Done { last: Some(proof), .. } => {
                self.challenge(&proof);
                self.state = State::LoginProof;
            }
            SaslStep::Failed(failure) => self.login_failed(failure),
        }
    }

    fn challenge(&mut self, challenge: &[u8]) {
        // Not as a reply's text, which is cut at 512 octets: a challenge may be longer (RFC 4954 §4).
        self.output.push(format!("334 {}\r\n", STANDARD.encode(challenge)).as_bytes());
    }

    fn login_granted(&mut self) {
        self.logged_in = true;
        self.say(&Reply::new(235, EnhancedCode(2, 7, 0), "Logged in"));
    }

    fn login_failed(&mut self, failure: SaslFailure) {
        self.refuse(&match failure {
            SaslFailure::Denied => Reply::new(535, EnhancedCode(5, 7, 8), "Name or password wrong"),
            SaslFailure::Unavailable => Reply::new(454, EnhancedCode(4, 7, 0), "Login not possible now, try later"),
            SaslFailure::Throttled => Reply::new(454, EnhancedCode(4, 7, 0), "Too many failed logins, try later"),
            SaslFailure::Malformed => Reply::new(501, EnhancedCode(5, 5, 2), "Malformed response"),
        });
        self.tally.failed_logins += 1;
        if self.tally.failed_logins >= limits::FAILED_LOGINS_MAX {
            self.say_goodbye(EnhancedCode(4, 7, 0), "Too many failed logins");
        }
    }
}
