//! The SMTP server: a machine that receives mail (RFC 5321).
//!
//! - this page: its settings, its states, and what drives it;
//! - `commands`: what each command does;
//! - `login`: AUTH;
//! - `data`: a message coming in;
//! - [`limits`]: what a client may cost.
//!
//! Never decides who may send what to whom: it asks. Never asks for a commit unless the whole message came.

use std::time::Instant;

use super::{
    ask::{Answer, Ask, Cause},
    reply_text::push_reply,
};
use crate::{
    line::LineReader,
    machine::{Fed, Machine, Step, Tls, Upgrade},
    output::OutputQueue,
    reply::{EnhancedCode, Reply},
    sasl::{Exchange, LoginAnswer},
};

mod commands;
mod data;
pub mod limits;
mod login;
#[cfg(test)]
mod tests;

use data::Receiving;

/// What a server machine is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our name, in the greeting and elsewhere.
    pub hostname: String,
    /// Whom it serves.
    pub role: Role,
    /// Where TLS stands.
    pub tls: Tls,
    /// Octets of a message at most.
    pub message_bytes_max: u64,
    /// Recipients of one transaction at most; at least 100 (RFC 5321 §4.5.3.1.8).
    pub recipients_max: usize,
    /// Random, new for each connection: the machine reads no randomness.
    pub nonce: [u8; 24],
    /// Greet with this, 421 or 554, and serve nothing (RFC 5321 §3.1).
    pub refusal: Option<Reply>,
}

/// Whom a server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Other servers: no login.
    Relay,
    /// Users: over TLS and logged in (RFC 6409, RFC 8314).
    Submission,
}

/// The SMTP server machine.
#[derive(Debug)]
pub struct ServerMachine {
    settings: Settings,
    lines: LineReader,
    output: OutputQueue,
    state: State,
    hello: Option<Hello>,
    logged_in: bool,
    transaction: Option<Transaction>,
    tally: Tally,
    /// A question that comes before anything else.
    due: Option<Ask>,
    ended: bool,
    draining: bool,
    deadline: Instant,
}

/// What the machine is waiting for.
#[derive(Debug)]
enum State {
    /// The first feed.
    Start,
    /// QUIT: the greeting refused.
    Refused,
    /// A command.
    Commands,
    /// An answer.
    Asked(Asked),
    /// The client's response to a challenge.
    Login(Box<Exchange>),
    /// The client's empty line after the last challenge, which proved who we are.
    LoginProof,
    /// A message.
    Data(Receiving),
    /// The TLS handshake.
    Upgrading,
    /// Nothing more.
    Closing,
}

/// What was asked.
#[derive(Debug)]
enum Asked {
    Login(Box<Exchange>),
    Mail { smtputf8: bool },
    Recipient,
    Data,
    Commit,
}

impl Asked {
    /// Whether the reply is one that the command can have (RFC 5321 §4.3.2).
    fn takes(&self, reply: &Reply) -> bool {
        let done = if matches!(self, Self::Data) { reply.code == 354 } else { reply.is_positive() };
        done || reply.is_transient() || reply.is_permanent()
    }
}

/// EHLO or HELO.
#[derive(Debug)]
struct Hello {
    name: String,
    extended: bool,
}

/// MAIL was accepted; so were so many recipients.
#[derive(Debug)]
struct Transaction {
    smtputf8: bool,
    recipients_given: usize,
    recipients_accepted: usize,
}

/// What the client has cost so far.
#[derive(Debug, Default)]
struct Tally {
    errors: u32,
    idle_commands: u32,
    refused_recipients: u32,
    failed_logins: u32,
    exchanges: u32,
}

/// Octets consumed, and a step if there is one yet.
type Turn<'a> = (usize, Option<Step<'a, Ask>>);

impl ServerMachine {
    /// A machine for a new connection.
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            lines: LineReader::default(),
            output: OutputQueue::default(),
            state: State::Start,
            hello: None,
            logged_in: false,
            transaction: None,
            tally: Tally::default(),
            due: None,
            ended: false,
            draining: false,
            deadline: now + limits::COMMAND_TIMEOUT,
        }
    }

    fn greet(&mut self, now: Instant) {
        // RFC 5321 §4.2: the greeting names the host. Input that came before it is tolerated, as by Postfix.
        let hostname = &self.settings.hostname;
        let refusal = self.settings.refusal.take();
        let greeting = refusal.unwrap_or_else(|| Reply::plain(220, format!("{hostname} ESMTP Paquebot")));
        self.state = if greeting.is_positive() { State::Commands } else { State::Refused };
        self.deadline = now + if greeting.is_positive() { limits::COMMAND_TIMEOUT } else { limits::REFUSED_TIMEOUT };
        self.say(&greeting);
    }

    /// Sends a reply; 421 closes the connection (RFC 5321 §3.8).
    fn say(&mut self, reply: &Reply) {
        push_reply(&mut self.output, reply);
        if reply.code == 421 {
            self.close();
        }
    }

    /// Sends a refusal for which the client is to blame.
    fn refuse(&mut self, reply: &Reply) {
        self.say(reply);
        self.tally.errors += 1;
        if self.tally.errors >= limits::ERRORS_MAX {
            self.say_goodbye(EnhancedCode(4, 7, 0), "Too many errors");
        }
    }

    /// 421, unless it was said already.
    fn say_goodbye(&mut self, enhanced: EnhancedCode, why: &str) {
        if !matches!(self.state, State::Closing) {
            let text = format!("{} {why}", self.settings.hostname);
            self.say(&Reply::new(421, enhanced, text));
        }
    }

    /// Forgets the transaction; the owner is told.
    fn abandon(&mut self, cause: Cause) {
        if self.transaction.take().is_some() {
            self.due = Some(Ask::Abandon(cause));
        }
    }

    fn close(&mut self) {
        self.abandon(Cause::Left);
        self.state = State::Closing;
    }

    /// One turn in the state at hand.
    fn turn<'a>(&mut self, now: Instant, input: &'a [u8]) -> Turn<'a> {
        match self.state {
            State::Start if !self.draining => self.greet(now),
            State::Start | State::Refused | State::Commands | State::Login(_) | State::LoginProof if self.draining => {
                self.say_goodbye(EnhancedCode(4, 3, 2), "Shutting down, try again later");
            }
            State::Asked(_) | State::Start => return (0, Some(Step::Read)),
            // RFC 3207 §4.2: what stands behind STARTTLS in the clear is not read.
            State::Upgrading => return (input.len(), Some(Step::Upgrade(Upgrade::Tls))),
            State::Refused | State::Commands => return self.command_line(now, input),
            State::Login(_) | State::LoginProof => return self.login_line(now, input),
            State::Data(_) => return self.data(now, input),
            State::Closing => return (0, Some(Step::Close)),
        }
        (0, None)
    }
}

impl Machine for ServerMachine {
    type Ask = Ask;
    type Answer = Answer;

    fn feed<'a>(&mut self, now: Instant, input: &'a [u8]) -> Fed<'a, Ask> {
        let mut consumed = 0;
        loop {
            if let Some(ask) = self.due.take() {
                return Fed { consumed, step: Step::Ask(ask) };
            }
            let (taken, step) = self.turn(now, input.get(consumed..).unwrap_or_default());
            consumed += taken;
            match step {
                // Half a message is no message (RFC 5321 §4.1.1.4): it is abandoned, never committed.
                Some(Step::Read) if self.ended => self.close(),
                Some(step) => return Fed { consumed, step },
                None => {}
            }
        }
    }

    fn answer(&mut self, now: Instant, answer: Answer) {
        // The answer to Abandon is one that no state waits for.
        if !matches!(self.state, State::Asked(_)) {
            return;
        }
        let State::Asked(asked) = std::mem::replace(&mut self.state, State::Commands) else { return };
        self.deadline = now + limits::COMMAND_TIMEOUT;
        match (asked, answer) {
            (Asked::Login(exchange), Answer::Login(answer)) => self.login_answer(exchange, answer),
            // An answer of the wrong kind is a fault of ours, which the client must not take for success.
            (Asked::Login(exchange), _) => self.login_answer(exchange, LoginAnswer::Unavailable),
            (asked, Answer::Reply(reply)) if asked.takes(&reply) => self.answered(now, asked, &reply),
            (asked, _) => self.answered(now, asked, &Reply::new(451, EnhancedCode(4, 3, 0), "Internal fault")),
        }
    }

    fn upgraded(&mut self, now: Instant) {
        // RFC 3207 §4.2: all that was learnt before is forgotten.
        self.settings.tls = Tls::Active;
        self.hello = None;
        self.logged_in = false;
        self.lines.reset();
        self.state = State::Commands;
        self.deadline = now + limits::COMMAND_TIMEOUT;
    }

    fn end_of_input(&mut self, _now: Instant) {
        self.ended = true;
    }

    fn shutdown(&mut self, _now: Instant) {
        self.draining = true;
    }

    fn deadline(&self) -> Option<Instant> {
        // The owner's time to answer is the owner's.
        (!matches!(self.state, State::Asked(_) | State::Closing)).then_some(self.deadline)
    }

    fn timeout(&mut self, now: Instant) {
        if now < self.deadline {
            return;
        }
        match self.state {
            State::Asked(_) | State::Closing => {}
            // In the middle of a handshake no text can be read.
            State::Upgrading => self.close(),
            _ => self.say_goodbye(EnhancedCode(4, 4, 2), "Timeout"),
        }
    }

    fn output(&mut self) -> &mut OutputQueue {
        &mut self.output
    }
}
