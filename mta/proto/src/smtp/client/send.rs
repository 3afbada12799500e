//! A transaction (RFC 5321 §3.3), pipelined where the server offers it (RFC 2920), and what became of each recipient.

use std::time::{Duration, Instant};

use super::{ClientMachine, State, limits};
use crate::{
    output::{Bulk, Framing},
    reply::{EnhancedCode, Reply},
    smtp::{
        client_ask::{Ask, Capabilities, Outcome, RECIPIENTS_MAX, Transaction},
        path::{is_bare_postmaster, is_mailbox},
    },
};

const MAIL: &str = "MAIL FROM";
const RCPT: &str = "RCPT TO";
const DATA: &str = "DATA";
const END_OF_DATA: &str = "end of DATA";

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Sending {
    transaction: Transaction,
    /// What is known so far, for each recipient.
    outcomes: Vec<Option<Outcome>>,
    /// The recipients that are sent, by index.
    sent: Vec<usize>,
    expect: Expect,
    accepted: usize,
    mail_refused: bool,
    /// Replies to what was written so far that have not come yet.
    pub(super) replies_due: usize,
}

/// The reply that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Reset,
    Mail,
    /// To the recipient at this place among those sent.
    Recipient(usize),
    Data,
    EndOfData,
    /// To the dot after a 354 that nobody needed.
    LoneDot,
}

impl Sending {
    /// Refuses locally what cannot be sent to a server of these capabilities.
    pub(super) fn new(transaction: Transaction, capabilities: &Capabilities) -> Self {
        let whole = refuse_transaction(&transaction, capabilities);
        let outcomes: Vec<_> = (transaction.recipients.iter().enumerate())
            .map(|(at, recipient)| match &whole {
                Some(reply) => Some(Outcome { reply: Some(reply.clone()), command: MAIL }),
                None => refuse_recipient(at, recipient, transaction.smtputf8)
                    .map(|reply| Outcome { reply: Some(reply), command: RCPT }),
            })
            .collect();
        let sent = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_none()).map(|(at, _)| at).collect();
        Self { transaction, outcomes, sent, expect: Expect::Mail, accepted: 0, mail_refused: false, replies_due: 0 }
    }

    /// The reply decides for all recipients that are still open.
    fn decide_all(&mut self, reply: &Reply, command: &'static str) {
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *outcome = Some(Outcome { reply: Some(reply.clone()), command });
        }
    }

    /// What became of each recipient when the session ended in the middle.
    pub(super) fn cut_short(self, reply: Option<&Reply>) -> Vec<Outcome> {
        let command = match self.expect {
            Expect::Reset | Expect::Mail => MAIL,
            Expect::Recipient(_) => RCPT,
            Expect::Data | Expect::LoneDot => DATA,
            Expect::EndOfData => END_OF_DATA,
        };
        let open = || Outcome { reply: reply.cloned(), command };
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(open)).collect()
    }

    fn mail_line(&self, capabilities: &Capabilities) -> String {
        let transaction = &self.transaction;
        let mut line = format!("MAIL FROM:<{}>", transaction.reverse_path);
        if capabilities.size_bytes_max.is_some() {
            line.push_str(&format!(" SIZE={}", transaction.size_bytes));
        }
        if transaction.body_8bit {
            line.push_str(" BODY=8BITMIME");
        }
        if transaction.smtputf8 {
            line.push_str(" SMTPUTF8");
        }
        line.push_str("\r\n");
        line
    }

    fn recipient_line(&self, place: usize) -> Option<String> {
        let recipient = self.transaction.recipients.get(*self.sent.get(place)?)?;
        Some(format!("RCPT TO:<{recipient}>\r\n"))
    }
}

impl ClientMachine {
    /// Begins a transaction; the owner hears at once when nothing of it can be sent.
    pub(super) fn send(&mut self, now: Instant, mut sending: Box<Sending>) {
        if sending.sent.is_empty() {
            self.state = State::Sending(sending);
            return self.done();
        }
        if std::mem::take(&mut self.reset_due) {
            self.output.push(b"RSET\r\n");
            sending.expect = Expect::Reset;
            sending.replies_due += 1;
        }
        if self.capabilities.pipelining {
            self.output.push(sending.mail_line(&self.capabilities).as_bytes());
            for place in 0..sending.sent.len() {
                self.output.push(sending.recipient_line(place).unwrap_or_default().as_bytes());
            }
            self.output.push(b"DATA\r\n");
            sending.replies_due += sending.sent.len() + 2;
        } else if sending.expect == Expect::Mail {
            self.output.push(sending.mail_line(&self.capabilities).as_bytes());
            sending.replies_due += 1;
        }
        self.deadline = now + limits::COMMAND_TIMEOUT;
        self.state = State::Sending(sending);
    }

    pub(super) fn sending_reply(&mut self, now: Instant, reply: Reply) {
        let State::Sending(sending) = &mut self.state else { return };
        sending.replies_due = sending.replies_due.saturating_sub(1);
        self.deadline = now + limits::COMMAND_TIMEOUT;
        // 3xx goes with DATA only, and DATA with nothing positive else (RFC 5321 §4.3.2).
        let refused = reply.is_transient() || reply.is_permanent();
        let in_place =
            if sending.expect == Expect::Data { refused || reply.code == 354 } else { reply.code / 100 != 3 };
        if !in_place {
            return self.fail("the server's reply makes no sense here", Some(reply));
        }
        match sending.expect {
            Expect::Reset if refused => self.fail("the server refuses RSET", Some(reply)),
            Expect::Reset => self.next(now, Expect::Mail),
            Expect::Mail => {
                if refused {
                    sending.mail_refused = true;
                    sending.decide_all(&reply, MAIL);
                }
                self.next(now, Expect::Recipient(0));
            }
            Expect::Recipient(place) => {
                let at = sending.sent.get(place).copied().unwrap_or_default();
                match sending.outcomes.get_mut(at) {
                    Some(outcome @ None) if refused => *outcome = Some(Outcome { reply: Some(reply), command: RCPT }),
                    Some(None) => sending.accepted += 1,
                    _ => {}
                }
                let more = place + 1 < sending.sent.len();
                self.next(now, if more { Expect::Recipient(place + 1) } else { Expect::Data });
            }
            Expect::Data if refused => {
                sending.decide_all(&reply, DATA);
                self.reset_due = !sending.mail_refused;
                self.done();
            }
            Expect::Data => self.send_data(now),
            Expect::EndOfData => {
                sending.decide_all(&reply, END_OF_DATA);
                self.done();
            }
            Expect::LoneDot => self.done(),
        }
    }

    /// Goes on to the next reply; without pipelining its command is written only now, or never if it is of no more use.
    fn next(&mut self, now: Instant, expect: Expect) {
        let State::Sending(sending) = &mut self.state else { return };
        sending.expect = expect;
        if expect == Expect::Data {
            self.deadline = now + limits::DATA_TIMEOUT;
        }
        if self.capabilities.pipelining {
            return;
        }
        let line = match expect {
            _ if sending.mail_refused => return self.done(),
            Expect::Mail => sending.mail_line(&self.capabilities),
            Expect::Recipient(place) => sending.recipient_line(place).unwrap_or_default(),
            _ if sending.accepted == 0 => {
                self.reset_due = true;
                return self.done();
            }
            _ => "DATA\r\n".to_owned(),
        };
        self.output.push(line.as_bytes());
        sending.replies_due += 1;
    }

    fn send_data(&mut self, now: Instant) {
        let State::Sending(sending) = &mut self.state else { return };
        sending.replies_due += 1;
        if sending.accepted == 0 {
            // RFC 2920 §3.1: a server may say 354 with no recipient; then only the dot is sent.
            sending.expect = Expect::LoneDot;
            self.output.push(b".\r\n");
        } else {
            sending.expect = Expect::EndOfData;
            self.output.push_bulk(Bulk {
                handle: sending.transaction.message,
                range: 0..u64::MAX,
                framing: Framing::Dot { body_lines_max: None },
            });
        }
        let transfer = Duration::from_secs(sending.transaction.size_bytes / limits::BYTES_PER_SECOND_MIN);
        self.deadline = now + limits::END_OF_DATA_TIMEOUT + transfer;
    }

    fn done(&mut self) {
        if let State::Sending(sending) = std::mem::replace(&mut self.state, State::Asked) {
            self.due = Some(Ask::Done(sending.cut_short(None)));
        }
    }
}

/// Why this server cannot be given the message at all.
fn refuse_transaction(transaction: &Transaction, capabilities: &Capabilities) -> Option<Reply> {
    let reverse_path = &transaction.reverse_path;
    let utf8_undeclared = !transaction.smtputf8 && !reverse_path.is_ascii();
    if !reverse_path.is_empty() && !is_mailbox(reverse_path) {
        Some(Reply::new(553, EnhancedCode(5, 1, 7), "The sender's address cannot be sent"))
    } else if utf8_undeclared || transaction.smtputf8 && !capabilities.smtputf8 {
        // RFC 6531 §3.5.
        Some(Reply::new(553, EnhancedCode(5, 6, 7), "The next server does not take non-ASCII addresses or headers"))
    } else if transaction.body_8bit && !capabilities.eight_bit {
        // RFC 6152 §3: converting would break signatures, so it is refused.
        Some(Reply::new(554, EnhancedCode(5, 6, 3), "The next server does not take 8-bit messages"))
    } else if capabilities.size_bytes_max.is_some_and(|max| transaction.size_bytes > max) {
        // RFC 1870 §6.1.
        Some(Reply::new(552, EnhancedCode(5, 3, 4), "The message is larger than the next server takes"))
    } else {
        None
    }
}

/// Why this recipient cannot be sent: what is no mailbox could be a command.
fn refuse_recipient(at: usize, recipient: &str, smtputf8: bool) -> Option<Reply> {
    if at >= RECIPIENTS_MAX {
        Some(Reply::new(452, EnhancedCode(4, 5, 3), "Too many recipients for one transaction"))
    } else if !is_mailbox(recipient) && !is_bare_postmaster(recipient) {
        Some(Reply::new(553, EnhancedCode(5, 1, 3), "The recipient's address cannot be sent"))
    } else if !recipient.is_ascii() && !smtputf8 {
        Some(Reply::new(553, EnhancedCode(5, 6, 7), "A non-ASCII address needs SMTPUTF8"))
    } else {
        None
    }
}
