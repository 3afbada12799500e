//! The POP3 server (RFC 1939): AUTHORIZATION, TRANSACTION, UPDATE.
//!
//! A password is taken over TLS only. Nothing is deleted but by QUIT, and then all or nothing. Never
//! holds a message: RETR and TOP name it for the driver.
//!
//! - this page: the machine, and the commands of both states;
//! - `login`: STLS, USER, PASS, AUTH;
//! - `transaction`: the commands over a maildrop, and what QUIT's commit became.

use std::time::{Duration, Instant};

use super::{
    Answer, Ask, Refusal,
    command::{Command, Fault},
    maildrop::Maildrop,
};
use crate::{
    Fed, Machine, OutputQueue, Step, Tls, Upgrade,
    line::{LOGIN_LINE_BYTES_MAX, LineReader},
    sasl::{Exchange, Mechanism, SaslFailure},
};

mod login;
mod transaction;

/// A client may be silent for that long (RFC 1939 §3: at least 10 minutes).
pub const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// What is left for QUIT when the process stops.
pub const STOPPING_MAX: Duration = Duration::from_secs(5);
/// Lines of a session that are no commands.
pub const BAD_COMMANDS_MAX: u32 = 10;

/// How a session begins.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name in the greeting.
    pub hostname: String,
    /// What stands under the session.
    pub tls: Tls,
    /// Random, of this session alone: the seed of its login nonces.
    pub nonce_seed: [u8; 32],
}

/// The server's side of a session.
#[derive(Debug)]
pub struct ServerMachine {
    settings: Settings,
    state: State,
    /// What the owner was asked.
    asked: Option<Asked>,
    /// What is wanted next, before any input.
    wanted: Option<Wanted>,
    lines: LineReader,
    output: OutputQueue,
    deadline: Instant,
    exchanges: u64,
    bad_commands: u32,
    failed_logins: u32,
    stopping: bool,
}

#[derive(Debug)]
enum State {
    /// Nobody has logged in; the name that USER gave.
    Authorization(Option<String>),
    /// A client's response is awaited.
    Exchange(Box<Exchange>),
    /// Granted; the client's empty response to the last server data is awaited (RFC 5034 §4).
    Granted,
    /// Logged in.
    Transaction(Maildrop),
}

#[derive(Debug)]
enum Asked {
    Password,
    Exchange(Box<Exchange>),
    Open,
    Fetch { index: usize, size_bytes: u64, body_lines_max: Option<u64> },
    Commit { any: bool },
}

#[derive(Debug)]
enum Wanted {
    Ask(Ask),
    Upgrade,
    /// The rest of a multi-line LIST or UIDL, from this index.
    List(Column, usize),
    Close,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    Size,
    UniqueId,
}

impl ServerMachine {
    /// A session that begins now; the greeting waits to be written.
    pub fn new(now: Instant, settings: Settings) -> Self {
        let mut output = OutputQueue::default();
        output.push(format!("+OK {} POP3 ready\r\n", settings.hostname).as_bytes());
        Self {
            settings,
            state: State::Authorization(None),
            asked: None,
            wanted: None,
            lines: LineReader::default(),
            output,
            deadline: now + IDLE_MAX,
            exchanges: 0,
            bad_commands: 0,
            failed_logins: 0,
            stopping: false,
        }
    }

    fn ok(&mut self, text: &str) {
        self.output.push(format!("+OK {text}\r\n").as_bytes());
    }

    fn err(&mut self, text: &str) {
        self.output.push(format!("-ERR {text}\r\n").as_bytes());
    }

    fn ask(&mut self, asked: Asked, ask: Ask) {
        self.asked = Some(asked);
        self.wanted = Some(Wanted::Ask(ask));
    }

    fn close(&mut self) {
        self.wanted = Some(Wanted::Close);
    }

    fn line(&mut self, now: Instant, line: &[u8]) {
        if !self.stopping {
            self.deadline = now + IDLE_MAX;
        }
        match std::mem::replace(&mut self.state, State::Authorization(None)) {
            State::Exchange(exchange) => self.response(exchange, line),
            State::Granted if line.is_empty() => self.ask(Asked::Open, Ask::Open),
            State::Granted => self.login_failed(SaslFailure::Malformed),
            state => {
                self.state = state;
                match Command::parse(line) {
                    Ok(command) => self.command(command),
                    Err(fault) => self.bad_command(fault),
                }
            }
        }
    }

    fn bad_command(&mut self, fault: Fault) {
        self.bad_commands += 1;
        match fault {
            Fault::Unknown => self.err("unknown command; CAPA lists what there is"),
            Fault::TooLong => self.err("line too long"),
            Fault::Form(form) => self.err(&format!("write it as: {form}")),
        }
        if self.bad_commands >= BAD_COMMANDS_MAX {
            self.close();
        }
    }

    fn command(&mut self, command: Command) {
        match (&mut self.state, command) {
            (_, Command::Capa) => self.capabilities(),
            (State::Transaction(maildrop), Command::Quit) => {
                let marked = maildrop.marked();
                self.ask(Asked::Commit { any: !marked.is_empty() }, Ask::Commit(marked));
            }
            (_, Command::Quit) => self.goodbye(),
            _ if self.stopping => {
                self.err("[SYS/TEMP] the server is stopping; come back soon");
                self.close();
            }
            (State::Transaction(_), command) => self.transaction(command),
            (_, command) => self.authorization(command),
        }
    }

    fn goodbye(&mut self) {
        self.ok("goodbye");
        self.close();
    }

    /// RFC 2449 §5. What cannot be done now is not listed.
    fn capabilities(&mut self) {
        let mut list = String::from("+OK what there is\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n");
        list.push_str("PIPELINING\r\nEXPIRE NEVER\r\nIMPLEMENTATION Paquebot\r\n");
        let in_transaction = matches!(self.state, State::Transaction(_));
        match self.settings.tls {
            Tls::Active => {
                let mechanisms = Mechanism::ALL.map(Mechanism::name).join(" ");
                list.push_str(&format!("USER\r\nSASL {mechanisms}\r\n"));
            }
            Tls::Available if !in_transaction => list.push_str("STLS\r\n"),
            Tls::Available | Tls::Unavailable => {}
        }
        list.push_str(".\r\n");
        self.output.push(list.as_bytes());
    }
}

impl Machine for ServerMachine {
    type Ask = Ask;
    type Answer = Answer;

    fn feed<'a>(&mut self, now: Instant, input: &'a [u8]) -> Fed<'a, Ask> {
        let mut consumed = 0;
        loop {
            match self.wanted.take() {
                Some(Wanted::Ask(ask)) => return Fed { consumed, step: Step::Ask(ask) },
                // RFC 2595 §4: what was pipelined behind STLS is an attacker's, or a mistake.
                Some(Wanted::Upgrade) => {
                    self.lines.reset();
                    return Fed { consumed: input.len(), step: Step::Upgrade(Upgrade::Tls) };
                }
                Some(Wanted::Close) => {
                    self.wanted = Some(Wanted::Close);
                    return Fed { consumed: input.len(), step: Step::Close };
                }
                Some(Wanted::List(column, from)) => self.list_on(column, from),
                None => {}
            }
            // A pause in which the driver writes: a short command may have a long reply.
            if self.output.is_full() {
                return Fed { consumed, step: Step::Data(&[]) };
            }
            if self.wanted.is_some() {
                continue;
            }
            let read = self.lines.read(input.get(consumed..).unwrap_or_default(), LOGIN_LINE_BYTES_MAX);
            consumed += read.consumed;
            match read.line {
                None => return Fed { consumed, step: Step::Read },
                Some(Ok(line)) => self.line(now, &line),
                Some(Err(fault)) => {
                    // A broken line ends a login exchange: its bytes must not be taken for a command.
                    if matches!(self.state, State::Exchange(_) | State::Granted) {
                        self.state = State::Authorization(None);
                    }
                    self.bad_commands += 1;
                    self.err(&fault.to_string());
                    if self.bad_commands >= BAD_COMMANDS_MAX {
                        self.close();
                    }
                }
            }
        }
    }

    fn answer(&mut self, now: Instant, answer: Answer) {
        if !self.stopping {
            self.deadline = now + IDLE_MAX;
        }
        match (self.asked.take(), answer) {
            (Some(Asked::Password), Answer::Login(answer)) => self.login_answered(&answer),
            (Some(Asked::Exchange(mut exchange)), Answer::Login(answer)) => {
                let step = exchange.answer(answer);
                self.exchange_step(exchange, step);
            }
            (Some(Asked::Open), Answer::Opened(messages)) => self.opened(messages),
            (Some(Asked::Fetch { index, size_bytes, body_lines_max }), Answer::Done) => {
                self.fetched(index, size_bytes, body_lines_max);
            }
            (Some(Asked::Commit { any }), answer) => self.committed(any, &answer),
            (Some(_), Answer::Refused(refusal)) => self.refused(refusal),
            // An answer that does not fit: the owner is at fault, and the client can only try again.
            (Some(_), _) => self.refused(Refusal::Temporary),
            (None, _) => {}
        }
    }

    fn upgraded(&mut self, now: Instant) {
        self.settings.tls = Tls::Active;
        self.state = State::Authorization(None);
        self.lines.reset();
        self.deadline = now + IDLE_MAX;
    }

    fn end_of_input(&mut self, _now: Instant) {
        // RFC 1939 §6: without QUIT nothing is deleted.
        self.close();
    }

    fn shutdown(&mut self, now: Instant) {
        self.stopping = true;
        self.deadline = self.deadline.min(now + STOPPING_MAX);
        if !matches!(self.state, State::Transaction(_)) && self.asked.is_none() {
            self.close();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn timeout(&mut self, _now: Instant) {
        // RFC 1939 §3: without a reply, without deleting.
        self.close();
    }

    fn output(&mut self) -> &mut OutputQueue {
        &mut self.output
    }
}

#[cfg(test)]
mod tests;
