//! The SMTP client: a machine that hands mail to the next server (RFC 5321).
//!
//! - this page: its settings, its states, and what drives it;
//! - `greet`: from the greeting to the first transaction;
//! - `send`: a transaction, pipelined where it may be;
//! - [`limits`]: how long it waits.
//!
//! Never chooses a server or tries twice: it reports, and its owner decides.

use std::time::Instant;

use super::{
    client_ask::{Answer, Ask, Capabilities, Transaction},
    reply_reader::ReplyReader,
};
use crate::{
    machine::{Fed, Machine, Step, Upgrade},
    output::OutputQueue,
    reply::Reply,
};

mod greet;
pub mod limits;
mod send;
#[cfg(test)]
mod tests;

use send::Sending;

/// What a client machine is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name for EHLO: our host name or an address literal.
    pub hello_name: String,
    /// Whether to use STARTTLS.
    pub tls: StartTls,
}

/// Whether to use STARTTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTls {
    /// Not even where it is offered: after a handshake that failed.
    Off,
    /// Where it is offered (RFC 7435).
    Opportunistic,
}

/// The SMTP client machine.
#[derive(Debug)]
pub struct ClientMachine {
    settings: Settings,
    replies: ReplyReader,
    output: OutputQueue,
    state: State,
    capabilities: Capabilities,
    /// A question that comes before anything else.
    due: Option<Ask>,
    /// The server still holds a transaction of which nothing became.
    reset_due: bool,
    /// The server said something that nobody asked for: no later reply can be trusted to be the right one.
    out_of_turn: bool,
    ended: bool,
    draining: bool,
    deadline: Instant,
}

/// What the machine is waiting for.
#[derive(Debug)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    /// The TLS handshake.
    Upgrading,
    /// The owner: what next?
    Asked,
    /// The owner to have heard of the failure.
    Failed,
    Sending(Box<Sending>),
    Quitting,
    Closing,
}

impl ClientMachine {
    /// A machine for a new connection.
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            replies: ReplyReader::default(),
            output: OutputQueue::default(),
            state: State::Greeting,
            capabilities: Capabilities::default(),
            due: None,
            reset_due: false,
            out_of_turn: false,
            ended: false,
            draining: false,
            deadline: now + limits::GREETING_TIMEOUT,
        }
    }

    /// The session is of no more use.
    fn fail(&mut self, reason: impl Into<String>, reply: Option<Reply>) {
        let before = std::mem::replace(&mut self.state, State::Failed);
        let outcomes = match before {
            // Only 421 speaks for the recipients; a reply in the wrong place says nothing about them.
            State::Sending(sending) => sending.cut_short(reply.as_ref().filter(|reply| reply.code == 421)),
            // Said goodbye already: nothing to tell.
            State::Quitting | State::Closing => {
                self.state = State::Closing;
                return;
            }
            _ => Vec::new(),
        };
        // What was not written yet, a message perhaps, has lost its sense.
        while self.output.pop().is_some() {}
        if reply.is_some() {
            self.output.push(b"QUIT\r\n");
        }
        self.due = Some(Ask::Failed { reason: reason.into(), reply, outcomes });
    }

    fn reply(&mut self, now: Instant, reply: Reply) {
        match &self.state {
            State::Quitting => self.state = State::Closing,
            // RFC 5321 §3.8: the server is going.
            _ if reply.code == 421 => self.fail("the server closes the connection", Some(reply)),
            State::Sending(_) => self.sending_reply(now, reply),
            _ => self.greeting_reply(now, reply),
        }
    }

    /// Whether a reply is still to come.
    fn is_waiting_for_reply(&self) -> bool {
        match &self.state {
            State::Greeting | State::Ehlo | State::Helo | State::StartTls => true,
            State::Sending(sending) => sending.replies_due > 0,
            _ => false,
        }
    }

    fn start(&mut self, now: Instant, transaction: Transaction) {
        let sending = Box::new(Sending::new(transaction, &self.capabilities));
        if self.out_of_turn || self.draining {
            self.state = State::Sending(sending);
            let why = if self.draining { "shutting down" } else { "the server spoke out of turn" };
            return self.fail(why, None);
        }
        self.send(now, sending);
    }
}

impl Machine for ClientMachine {
    type Ask = Ask;
    type Answer = Answer;

    fn feed<'a>(&mut self, now: Instant, input: &'a [u8]) -> Fed<'a, Ask> {
        let mut consumed = 0;
        loop {
            if let Some(ask) = self.due.take() {
                return Fed { consumed, step: Step::Ask(ask) };
            }
            match self.state {
                State::Closing => return Fed { consumed: input.len(), step: Step::Close },
                // RFC 3207 §5: what came in the clear behind the reply to STARTTLS is not read.
                State::Upgrading => return Fed { consumed: input.len(), step: Step::Upgrade(Upgrade::Tls) },
                State::Asked | State::Failed => return Fed { consumed, step: Step::Read },
                _ => {}
            }
            let rest = input.get(consumed..).unwrap_or_default();
            let (taken, reply) = self.replies.read(rest);
            consumed += taken;
            let more = rest.len() > taken;
            match reply {
                Some(Ok(reply)) => {
                    // A reply that came before its command could stand for another one: 250 must never be
                    // taken for a message that the server has not seen.
                    let last_due = matches!(&self.state, State::Sending(sending) if sending.replies_due == 1);
                    let greeting = !matches!(self.state, State::Sending(_) | State::Quitting);
                    let startled = more && (last_due || greeting) && !matches!(self.state, State::StartTls);
                    self.reply(now, reply);
                    if startled {
                        self.out_of_turn = true;
                        if self.is_waiting_for_reply() {
                            self.fail("the server spoke out of turn", None);
                        }
                    }
                }
                Some(Err(fault)) => self.fail(fault.to_string(), None),
                None if self.ended => self.fail("the server closed the connection", None),
                None if self.draining && !matches!(self.state, State::Sending(_) | State::Quitting) => {
                    self.fail("shutting down", None);
                }
                None => return Fed { consumed, step: Step::Read },
            }
        }
    }

    fn answer(&mut self, now: Instant, answer: Answer) {
        match (&self.state, answer) {
            (State::Asked, Answer::Send(transaction)) => self.start(now, transaction),
            (State::Asked, Answer::Quit) => {
                self.output.push(b"QUIT\r\n");
                self.state = State::Quitting;
                self.deadline = now + limits::QUIT_TIMEOUT;
            }
            (State::Failed, _) => self.state = State::Closing,
            _ => {}
        }
    }

    fn upgraded(&mut self, now: Instant) {
        // RFC 3207 §4.2: what the server said in the clear is forgotten, EHLO is said again.
        self.replies.reset();
        let greeting_name = std::mem::take(&mut self.capabilities.greeting_name);
        self.capabilities = Capabilities { tls: true, greeting_name, ..Default::default() };
        self.say_ehlo(now);
    }

    fn end_of_input(&mut self, _now: Instant) {
        self.ended = true;
    }

    fn shutdown(&mut self, _now: Instant) {
        self.draining = true;
    }

    fn deadline(&self) -> Option<Instant> {
        (!matches!(self.state, State::Asked | State::Failed | State::Closing)).then_some(self.deadline)
    }

    fn timeout(&mut self, now: Instant) {
        if now >= self.deadline && self.deadline().is_some() {
            self.fail("the server did not answer in time", None);
        }
    }

    fn output(&mut self) -> &mut OutputQueue {
        &mut self.output
    }
}
