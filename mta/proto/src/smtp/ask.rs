//! What an SMTP server machine asks its owner, and the answers.

use crate::{
    reply::Reply,
    sasl::{LoginAnswer, LoginAsk},
};

/// A question of the server machine.
#[derive(Debug)]
pub enum Ask {
    /// A login exchange (AUTH, RFC 4954). Answer: [`Answer::Login`].
    Login(LoginAsk),
    /// MAIL FROM. Answer: [`Answer::Reply`]; 2xx opens the transaction.
    Mail(MailFrom),
    /// RCPT TO: the address as sent, without brackets and source route, syntax checked;
    /// `postmaster` may stand without a domain (RFC 5321 §4.5.1). Answer: [`Answer::Reply`].
    Recipient(String),
    /// DATA, with at least one accepted recipient. Answer: [`Answer::Reply`]: 354 lets the data come,
    /// anything else refuses it.
    Data,
    /// The whole message has come, so many octets as received (transparency removed). Answer:
    /// [`Answer::Reply`]: 250 only when it is on disk. Afterwards the transaction is closed.
    Commit {
        /// Octets as received.
        size_bytes: u64,
    },
    /// The transaction was abandoned, or never begun: drop what was collected. Answer: [`Answer::Done`].
    Abandon(Cause),
}

/// Why a transaction was abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The client left it: RSET, a new EHLO, the peer gone.
    Left,
    /// The machine refused the message, which was larger than it takes, or was announced so (RFC 1870).
    TooLarge,
    /// The machine refused the message for a bare CR or LF.
    LineEnds,
}

/// The reverse-path and the parameters of MAIL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    /// The name that the client gave in EHLO or HELO; `None` before any.
    pub hello: Option<String>,
    /// The address without brackets, empty for `<>`; syntax checked.
    pub reverse_path: String,
    /// SIZE=, as declared (RFC 1870).
    pub size_bytes: Option<u64>,
    /// BODY=8BITMIME (RFC 6152).
    pub body_8bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// Whether the session came by EHLO, runs over TLS and is logged in: ESMTP, ESMTPS, ESMTPSA …
    /// (RFC 3848), UTF8SMTP… with SMTPUTF8 (RFC 6531 §4.3), for the Received field.
    pub with: &'static str,
}

/// The owner's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Ask::Login`].
    Login(LoginAnswer),
    /// To [`Ask::Mail`], [`Ask::Recipient`], [`Ask::Data`], [`Ask::Commit`]. 421 closes the connection.
    Reply(Reply),
    /// To [`Ask::Abandon`].
    Done,
}
