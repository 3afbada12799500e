//! What each command does (RFC 5321 §4.1.1), and what the owner's answers do.

use std::time::Instant;

use super::{
    Asked, Hello, Role, ServerMachine, State, Tls, Transaction, Turn,
    data::{Receiving, too_large},
    limits,
};
use crate::{
    line::{LOGIN_LINE_BYTES_MAX, LineFault},
    machine::Step,
    reply::{EnhancedCode, Reply},
    sasl::Mechanism,
    smtp::{
        ask::{Ask, Cause, MailFrom},
        command::{self, Command, CommandFault, Mail},
    },
};

impl ServerMachine {
    /// Reads and does one command.
    pub(super) fn command_line<'a>(&mut self, now: Instant, input: &'a [u8]) -> Turn<'a> {
        // AUTH may bring an initial response with it (RFC 4954 §4).
        let bytes_max = if self.offers_login() { LOGIN_LINE_BYTES_MAX } else { limits::COMMAND_LINE_BYTES_MAX };
        let read = self.lines.read(input, bytes_max);
        let line = match read.line {
            None => return (read.consumed, Some(Step::Read)),
            Some(Err(fault)) => {
                self.line_fault(fault);
                return (read.consumed, None);
            }
            Some(Ok(line)) => line,
        };
        self.deadline = now + limits::COMMAND_TIMEOUT;
        let command = match command::parse(&line) {
            Ok(command) if line.len() + 2 <= limits::COMMAND_LINE_BYTES_MAX => command,
            Ok(command @ Command::Auth(..)) => command,
            Ok(_) => {
                self.line_fault(LineFault::TooLong);
                return (read.consumed, None);
            }
            Err(fault) => {
                self.refuse(&fault.reply());
                return (read.consumed, None);
            }
        };
        // Nothing that stands behind these in the buffer survives them (RFC 3207 §4.2).
        let last = matches!(command, Command::StartTls | Command::Auth(..));
        let step = self.command(now, command);
        (if last { input.len() } else { read.consumed }, step)
    }

    /// A line that is none. A bare CR or LF ends the connection: what follows may be smuggled
    /// (postconf(5), smtpd_forbid_bare_newline = reject, does so too).
    pub(super) fn line_fault(&mut self, fault: LineFault) {
        self.refuse(&Reply::new(500, EnhancedCode(5, 5, 2), fault.to_string()));
        if matches!(fault, LineFault::BareCr | LineFault::BareLf) {
            self.close();
        }
    }

    fn command<'a>(&mut self, now: Instant, command: Command<'_>) -> Option<Step<'a, Ask>> {
        if matches!(self.state, State::Refused) && command != Command::Quit {
            self.refuse(&bad_sequence("Not served: QUIT is all that is left"));
            return None;
        }
        if !matches!(command, Command::Mail(_) | Command::Rcpt(_) | Command::Data | Command::Quit) {
            self.tally.idle_commands += 1;
            if self.tally.idle_commands > limits::IDLE_COMMANDS_MAX {
                self.say_goodbye(EnhancedCode(4, 7, 0), "Too many commands without a message");
                return None;
            }
        }
        // RFC 3207 §4: before TLS only these.
        let open = matches!(
            command,
            Command::Ehlo(_)
                | Command::Helo(_)
                | Command::StartTls
                | Command::Noop
                | Command::Rset
                | Command::Help
                | Command::Quit
        );
        if self.settings.role == Role::Submission && self.settings.tls != Tls::Active && !open {
            self.refuse(&Reply::new(530, EnhancedCode(5, 7, 0), "Must issue a STARTTLS command first"));
            return None;
        }
        match command {
            Command::Ehlo(name) => self.hello(name, true),
            Command::Helo(name) => self.hello(name, false),
            Command::Mail(mail) => return self.mail(&mail),
            Command::Rcpt(address) => return self.rcpt(address),
            Command::Data => return self.begin_data(),
            Command::StartTls => self.start_tls(now),
            Command::Auth(mechanism, initial) => self.login(mechanism, initial),
            Command::Rset => {
                self.abandon(Cause::Left);
                self.say(&ok());
            }
            Command::Noop => self.say(&ok()),
            // RFC 5321 §3.5.3: 252 neither confirms nor denies.
            Command::Vrfy => self.say(&Reply::new(252, EnhancedCode(2, 0, 0), "Cannot VRFY; try to deliver")),
            Command::Expn => self.refuse(&Reply::new(502, EnhancedCode(5, 5, 1), "EXPN not implemented")),
            Command::Help => self.say(&Reply::new(214, EnhancedCode(2, 0, 0), "See RFC 5321")),
            Command::Quit => {
                let text = format!("{} closing connection", self.settings.hostname);
                self.say(&Reply::new(221, EnhancedCode(2, 0, 0), text));
                self.close();
            }
        }
        None
    }

    /// EHLO and HELO; both end a transaction (RFC 5321 §4.1.4).
    fn hello(&mut self, name: &str, extended: bool) {
        self.abandon(Cause::Left);
        self.hello = Some(Hello { name: name.to_owned(), extended });
        let mut lines = vec![self.settings.hostname.clone()];
        if extended {
            lines.extend(["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"].map(str::to_owned));
            lines.push(format!("SIZE {}", self.settings.message_bytes_max));
            if self.settings.tls == Tls::Available {
                lines.push("STARTTLS".to_owned());
            }
            if self.offers_login() {
                lines.push(format!("AUTH {}", Mechanism::ALL.map(Mechanism::name).join(" ")));
            }
        }
        self.say(&Reply { code: 250, enhanced: None, lines });
    }

    fn start_tls(&mut self, now: Instant) {
        match self.settings.tls {
            Tls::Unavailable => self.refuse(&Reply::new(502, EnhancedCode(5, 5, 1), "STARTTLS not offered")),
            Tls::Active => self.refuse(&bad_sequence("TLS is up already")),
            Tls::Available => {
                self.say(&Reply::new(220, EnhancedCode(2, 0, 0), "Ready to start TLS"));
                self.state = State::Upgrading;
                self.deadline = now + limits::COMMAND_TIMEOUT;
                // The transaction ends with all else that is forgotten; its owner is told first.
                self.abandon(Cause::Left);
            }
        }
    }

    fn mail<'a>(&mut self, mail: &Mail<'_>) -> Option<Step<'a, Ask>> {
        let Some(hello) = &self.hello else {
            self.refuse(&bad_sequence("Send EHLO first"));
            return None;
        };
        let refusal = if self.settings.role == Role::Submission && !self.logged_in {
            // RFC 4954 §6.
            Some(Reply::new(530, EnhancedCode(5, 7, 0), "Authentication required"))
        } else if self.transaction.is_some() {
            Some(bad_sequence("Nested MAIL command"))
        } else if mail.parameters_given && !hello.extended || mail.login_given && self.settings.role == Role::Relay {
            // RFC 5321 §4.1.1.11: parameters belong to extensions, and those to EHLO.
            Some(CommandFault::Parameter.reply())
        } else if mail.size_bytes.is_some_and(|size| size > self.settings.message_bytes_max) {
            self.due = Some(Ask::Abandon(Cause::TooLarge));
            Some(too_large())
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.refuse(&refusal);
            return None;
        }
        let ask = MailFrom {
            hello: Some(hello.name.clone()),
            reverse_path: mail.reverse_path.to_owned(),
            size_bytes: mail.size_bytes,
            body_8bit: mail.body_8bit,
            smtputf8: mail.smtputf8,
            with: protocol_name(hello.extended, self.settings.tls == Tls::Active, self.logged_in, mail.smtputf8),
        };
        self.state = State::Asked(Asked::Mail { smtputf8: mail.smtputf8 });
        Some(Step::Ask(Ask::Mail(ask)))
    }

    fn rcpt<'a>(&mut self, address: &str) -> Option<Step<'a, Ask>> {
        let Some(transaction) = &mut self.transaction else {
            self.refuse(&bad_sequence("Send MAIL first"));
            return None;
        };
        if !address.is_ascii() && !transaction.smtputf8 {
            self.refuse(&CommandFault::NeedsSmtputf8.reply());
            return None;
        }
        transaction.recipients_given += 1;
        let excess = transaction.recipients_given.saturating_sub(self.settings.recipients_max);
        if excess > limits::EXCESS_RECIPIENTS_MAX {
            self.say_goodbye(EnhancedCode(4, 7, 0), "Far too many recipients");
            return None;
        }
        if excess > 0 {
            // RFC 5321 §4.5.3.1.10: not the client's fault, which sends the rest in another transaction.
            self.say(&Reply::new(452, EnhancedCode(4, 5, 3), "Too many recipients"));
            return None;
        }
        self.state = State::Asked(Asked::Recipient);
        Some(Step::Ask(Ask::Recipient(address.to_owned())))
    }

    fn begin_data<'a>(&mut self) -> Option<Step<'a, Ask>> {
        match &self.transaction {
            None => self.refuse(&bad_sequence("Send MAIL first")),
            // RFC 5321 §3.3.
            Some(transaction) if transaction.recipients_accepted == 0 => {
                self.refuse(&Reply::new(554, EnhancedCode(5, 5, 1), "No valid recipients"));
            }
            Some(_) => {
                self.state = State::Asked(Asked::Data);
                return Some(Step::Ask(Ask::Data));
            }
        }
        None
    }

    /// The owner's answer to anything but a login.
    pub(super) fn answered(&mut self, now: Instant, asked: Asked, reply: &Reply) {
        let refused = !reply.is_positive() && reply.code != 354;
        match asked {
            Asked::Mail { smtputf8 } if !refused => {
                self.transaction = Some(Transaction { smtputf8, recipients_given: 0, recipients_accepted: 0 });
            }
            Asked::Recipient if !refused => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients_accepted += 1;
                }
            }
            Asked::Data if reply.code == 354 => {
                self.state = State::Data(Receiving::new(now));
                self.deadline = now + limits::DATA_BLOCK_TIMEOUT;
            }
            Asked::Commit => {
                self.transaction = None;
                if !refused {
                    let exchanges = self.tally.exchanges;
                    self.tally = super::Tally { exchanges, ..Default::default() };
                }
            }
            _ => {}
        }
        let recipient = matches!(asked, Asked::Recipient);
        match reply.is_permanent() {
            true if recipient => {
                self.say(reply);
                self.tally.refused_recipients += 1;
                if self.tally.refused_recipients >= limits::REFUSED_RECIPIENTS_MAX {
                    self.say_goodbye(EnhancedCode(4, 7, 0), "Too many unknown recipients");
                }
            }
            true => self.refuse(reply),
            false => self.say(reply),
        }
    }
}

/// For the Received field: RFC 3848, RFC 6531 §4.3.
fn protocol_name(extended: bool, tls: bool, logged_in: bool, smtputf8: bool) -> &'static str {
    match (extended, smtputf8, tls, logged_in) {
        (false, ..) => "SMTP",
        (true, false, false, false) => "ESMTP",
        (true, false, false, true) => "ESMTPA",
        (true, false, true, false) => "ESMTPS",
        (true, false, true, true) => "ESMTPSA",
        (true, true, false, false) => "UTF8SMTP",
        (true, true, false, true) => "UTF8SMTPA",
        (true, true, true, false) => "UTF8SMTPS",
        (true, true, true, true) => "UTF8SMTPSA",
    }
}

fn ok() -> Reply {
    Reply::new(250, EnhancedCode(2, 0, 0), "Ok")
}

fn bad_sequence(text: &str) -> Reply {
    Reply::new(503, EnhancedCode(5, 5, 1), text)
}
