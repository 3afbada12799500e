//! What an SMTP client machine asks its owner, and the answers.

use crate::reply::Reply;

/// A question of the client machine.
#[derive(Debug)]
pub enum Ask {
    /// Greeted, EHLO done, TLS up if it could be had: what now?
    /// Answer: any [`Answer`].
    Ready(Capabilities),
    /// The transaction is over: a result for each of its recipients, in their order. Answer: any.
    Done(Vec<Outcome>),
    /// The session is of no more use: no greeting or a refusing one, EHLO refused, 421, time-out, the peer gone,
    /// nonsense. With a transaction under way, the result of each recipient. The machine closes next. Answer: [`Answer::Quit`].
    Failed {
        /// Why, in words.
        reason: String,
        /// The reply, if there was one.
        reply: Option<Reply>,
        /// As in `Done`; empty where no transaction was under way.
        outcomes: Vec<Outcome>,
    },
}

/// What the server announced (RFC 5321 §4.1.1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// SIZE's limit in octets, where one is given (RFC 1870).
    pub size_bytes_max: Option<u64>,
    /// Whether the session runs over TLS.
    pub tls: bool,
    /// The name in the greeting.
    pub greeting_name: String,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The reply that decided: to MAIL, RCPT, DATA or the final dot. `None`: the connection ended before one.
    pub reply: Option<Reply>,
    /// The command that was answered: `MAIL FROM`, `RCPT TO`, `DATA` or `end of DATA`.
    pub command: &'static str,
}

/// The owner's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Send this message.
    Send(Transaction),
    /// QUIT and close.
    Quit,
}

/// One message to one or more recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Without brackets, empty for `<>`.
    pub reverse_path: String,
    /// Without brackets, at least one; at most [`RECIPIENTS_MAX`].
    pub recipients: Vec<String>,
    /// Octets of the message, for SIZE=.
    pub size_bytes: u64,
    /// Whether it has octets above 127: BODY=8BITMIME.
    pub body_8bit: bool,
    /// Whether an address or the header needs SMTPUTF8.
    pub smtputf8: bool,
    /// The message in the owner's terms: the driver fetches it as bulk output, dot-stuffed.
    pub message: u64,
}

/// Recipients in one transaction (RFC 5321 §4.5.3.1.8: every server takes 100).
pub const RECIPIENTS_MAX: usize = 100;
