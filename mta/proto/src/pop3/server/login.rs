//! The AUTHORIZATION state: STLS, USER and PASS, AUTH (RFC 1939 §4, RFC 2595 §4, RFC 5034).
//! Says nothing of whether a name exists.

use super::{Asked, ServerMachine, State, Tls, Wanted};
use crate::{
    pop3::{Ask, command::Command},
    sasl::{self, Exchange, LoginAnswer, LoginAsk, Mechanism, SaslFailure, SaslStep},
};

/// Failed logins of a session.
pub const FAILED_LOGINS_MAX: u32 = 3;

impl ServerMachine {
    pub(super) fn authorization(&mut self, command: Command) {
        let user = match &mut self.state {
            State::Authorization(user) => user.take(),
            _ => None,
        };
        match command {
            Command::Stls => self.start_tls(),
            Command::User(_) | Command::Pass(_) | Command::Auth { .. } if self.settings.tls != Tls::Active => {
                self.err(match self.settings.tls {
                    Tls::Unavailable => "no login without TLS, and this server has no certificate",
                    _ => "no login without TLS: say STLS first",
                });
            }
            Command::User(name) => {
                self.state = State::Authorization(Some(name));
                // The same for every name: whether it exists is not said (RFC 1939 §13).
                self.ok("now PASS");
            }
            Command::Pass(password) => match user {
                Some(name) => self.ask(Asked::Password, Ask::Login(LoginAsk::Password { name, password })),
                None => self.err("say USER first"),
            },
            Command::Auth { mechanism, initial } => self.start_exchange(&mechanism, initial.as_deref()),
            _ => self.err("log in first"),
        }
    }

    fn start_tls(&mut self) {
        match self.settings.tls {
            Tls::Active => self.err("TLS is active"),
            Tls::Unavailable => self.err("this server has no certificate"),
            Tls::Available => {
                self.ok("begin TLS");
                self.wanted = Some(Wanted::Upgrade);
            }
        }
    }

    fn start_exchange(&mut self, mechanism: &str, initial: Option<&[u8]>) {
        let Some(mechanism) = Mechanism::parse(mechanism) else {
            self.err("unknown mechanism; CAPA lists what there is");
            return;
        };
        let nonce = sasl::nonce(&self.settings.nonce_seed, self.exchanges);
        self.exchanges += 1;
        let mut exchange = Box::new(Exchange::start(mechanism, nonce));
        let step = match initial.map(sasl::decode_initial) {
            None => exchange.response(None),
            Some(Some(initial)) => exchange.response(Some(&initial)),
            Some(None) => SaslStep::Failed(SaslFailure::Malformed),
        };
        self.exchange_step(exchange, step);
    }

    pub(super) fn response(&mut self, mut exchange: Box<Exchange>, line: &[u8]) {
        // RFC 5034 §4: "*" cancels.
        if line == b"*" {
            self.err("login cancelled");
            return;
        }
        let step = match sasl::decode(line) {
            Some(response) => exchange.response(Some(&response)),
            None => SaslStep::Failed(SaslFailure::Malformed),
        };
        self.exchange_step(exchange, step);
    }

    pub(super) fn exchange_step(&mut self, exchange: Box<Exchange>, step: SaslStep) {
        match step {
            SaslStep::Challenge(challenge) => {
                self.challenge(&challenge);
                self.state = State::Exchange(exchange);
            }
            SaslStep::Ask(ask) => self.ask(Asked::Exchange(exchange), Ask::Login(ask)),
            SaslStep::Done { last: None, .. } => self.ask(Asked::Open, Ask::Open),
            SaslStep::Done { last: Some(last), .. } => {
                // RFC 5034 §4: +OK has no place for it, so it is a challenge with an empty response.
                self.challenge(&last);
                self.state = State::Granted;
            }
            SaslStep::Failed(failure) => self.login_failed(failure),
        }
    }

    fn challenge(&mut self, challenge: &[u8]) {
        self.output.push(format!("+ {}\r\n", sasl::encode(challenge)).as_bytes());
    }

    /// RFC 3206: `[AUTH]` makes a client ask for another password, `[SYS/TEMP]` makes it wait.
    pub(super) fn login_failed(&mut self, failure: SaslFailure) {
        match failure {
            SaslFailure::Denied => self.err("[AUTH] name or password wrong"),
            SaslFailure::Malformed => self.err("[AUTH] malformed response"),
            SaslFailure::Unavailable => self.err("[SYS/TEMP] cannot log anybody in now; try again later"),
            SaslFailure::Throttled => self.err("[SYS/TEMP] too many failed logins; try again later"),
        }
        self.failed_logins += 1;
        if self.failed_logins >= FAILED_LOGINS_MAX {
            self.close();
        }
    }

    pub(super) fn login_answered(&mut self, answer: &LoginAnswer) {
        match answer {
            LoginAnswer::Granted => self.ask(Asked::Open, Ask::Open),
            LoginAnswer::Denied => self.login_failed(SaslFailure::Denied),
            LoginAnswer::Throttled => self.login_failed(SaslFailure::Throttled),
            LoginAnswer::Unavailable | LoginAnswer::Keys(_) => self.login_failed(SaslFailure::Unavailable),
        }
    }
}
