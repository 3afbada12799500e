//! What a reply or a fault means for a recipient: done, tried later, returned, dead.
//!
//! Pure: `now` and the dice are values. It writes nothing and builds no bounce.

use paquebot_mta_api::config::Retry;
use paquebot_proto::{
    EnhancedCode, Reply,
    smtp::client_ask::{self, Capabilities},
};

use super::{
    route::Unroutable,
    schedule::{self, Dice},
};
use crate::time::Micros;

/// Characters of a stranger's words that are kept: in the queue, the journey and the bounce.
pub const DIAGNOSTIC_CHARACTERS_MAX: usize = 500;

/// What one attempt found for a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The next host has it, or the mailbox. The reply, in words.
    Accepted(String),
    /// It does not.
    Failed(Failure),
}

/// Why a recipient was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Class 4 or 5.
    pub status: EnhancedCode,
    /// In words, one line: the reply or the fault.
    pub words: String,
    /// The host that said so; `None`: we did.
    pub host: Option<String>,
}

impl Failure {
    /// Our own finding.
    pub fn ours(status: EnhancedCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into(), host: None }
    }

    /// The host's reply. The enhanced code is believed only where its class fits (RFC 2034 §4).
    pub fn said(host: &str, reply: &Reply) -> Self {
        let class = if reply.is_permanent() { 5 } else { 4 };
        let status = reply.enhanced.filter(|code| code.0 == class).unwrap_or(EnhancedCode(class, 0, 0));
        Self { status, words: one_line(&reply.to_string()), host: Some(host.to_owned()) }
    }

    /// Whether the same will never succeed.
    pub fn is_permanent(&self) -> bool {
        self.status.0 == 5
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Some(host) => write!(f, "{host} said: {}", self.words),
            None => write!(f, "{} {}", self.status, self.words),
        }
    }
}

impl From<Unroutable> for Failure {
    fn from(unroutable: Unroutable) -> Self {
        Self::ours(unroutable.status, one_line(&unroutable.reason))
    }
}

/// What is to happen with a recipient now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It has arrived.
    Done,
    /// It is tried again.
    Deferred {
        /// When.
        next_attempt: Micros,
        /// The sender is told of the delay now.
        warn: bool,
    },
    /// The sender is told that it failed.
    Returned,
    /// It failed and nobody may be told: RFC 5321 §6.1, never a notice about a notice.
    Dead,
}

/// What [`fate`] needs to know of a recipient.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// When its message was accepted.
    pub accepted: Micros,
    /// Failed attempts before this one.
    pub attempts: u32,
    /// Whether the sender was told of a delay.
    pub warned: bool,
    /// Whether there is a sender to tell: the reverse-path is not `<>`.
    pub has_sender: bool,
}

/// Decides.
pub fn fate(found: &Found, history: &History, retry: &Retry, now: Micros, dice: Dice) -> Fate {
    let Found::Failed(failure) = found else { return Fate::Done };
    if failure.is_permanent() || schedule::is_over(retry, history.accepted, now) {
        return if history.has_sender { Fate::Returned } else { Fate::Dead };
    }
    let failures = history.attempts.saturating_add(1);
    Fate::Deferred {
        next_attempt: schedule::next_attempt(retry, history.accepted, failures, now, dice),
        warn: history.has_sender && schedule::is_warning_due(retry, history.accepted, history.warned, now),
    }
}

/// What became of a recipient in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// About this recipient, or this message.
    Recipient(Found),
    /// Too many for this transaction: a further one may take it at once, where this one took somebody.
    TooMany(Failure),
    /// About the host: another host may do better. Nothing was handed over.
    Host(Failure),
}

/// Reads a recipient's result in a transaction.
pub fn of_transaction(host: &str, outcome: &client_ask::Outcome) -> Said {
    match &outcome.reply {
        Some(reply) if reply.is_positive() => Said::Recipient(Found::Accepted(one_line(&reply.to_string()))),
        // RFC 5321 §3.8, §4.2.2: 421 is about the service, not about the recipient.
        Some(reply) if reply.code == 421 => Said::Host(Failure::said(host, reply)),
        Some(reply) if outcome.command == "RCPT TO" && is_too_many(reply) => {
            Said::TooMany(Failure { status: EnhancedCode(4, 5, 3), ..Failure::said(host, reply) })
        }
        Some(reply) => Said::Recipient(Found::Failed(Failure::said(host, reply))),
        // The host may have it or not (RFC 5321 §4.5.4.2 knows no cure): later, and not at another host at once.
        None if outcome.command == "end of DATA" => Said::Recipient(Found::Failed(Failure {
            status: EnhancedCode(4, 4, 2),
            words: "the connection was lost before the reply to the message; it may arrive twice".into(),
            host: None,
        })),
        None => Said::Host(Failure::ours(
            EnhancedCode(4, 4, 2),
            format!("{host} closed the connection without a reply to {}", outcome.command),
        )),
    }
}

/// RFC 5321 §4.5.3.1.10: 452 says it, and 552 of old servers; a 552 without the enhanced code is rather a full mailbox.
fn is_too_many(reply: &Reply) -> bool {
    match reply.enhanced {
        Some(EnhancedCode(_, subject, detail)) => matches!(reply.code, 452 | 552) && (subject, detail) == (5, 3),
        None => reply.code == 452,
    }
}

/// Reads the end of a session that took no transaction: no greeting, a refusing one, EHLO refused.
pub fn of_session(host: &str, reason: &str, reply: Option<&Reply>) -> Failure {
    match reply {
        // RFC 7504 §3: 521 at the greeting and 556: the host takes no mail at all.
        Some(reply) if reply.code == 521 || reply.code == 556 => {
            Failure { status: EnhancedCode(5, 3, 2), words: one_line(&reply.to_string()), host: Some(host.to_owned()) }
        }
        // RFC 5321 §3.1: any other refusal of the session says nothing about the message.
        Some(reply) => {
            Failure { status: EnhancedCode(4, 3, 2), words: one_line(&reply.to_string()), host: Some(host.to_owned()) }
        }
        None => Failure::ours(EnhancedCode(4, 4, 2), one_line(&format!("{host}: {reason}"))),
    }
}

/// What a message needs of a next host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Octets.
    pub size_bytes: u64,
    /// An address or the header has octets above 127 (RFC 6531 §3).
    pub smtputf8: bool,
    /// Header or body has (RFC 6152).
    pub eight_bit: bool,
}

/// Why this host cannot take such a message, before a word of it is said; `None`: it can.
pub fn lacking(host: &str, capabilities: &Capabilities, needs: Needs) -> Option<Failure> {
    let lacking = |status, words: String| Some(Failure { status, words, host: None });
    if needs.smtputf8 && !capabilities.smtputf8 {
        // RFC 6531 §3.5, RFC 3463 X.6.7.
        return lacking(EnhancedCode(5, 6, 7), format!("{host} does not take internationalised addresses (SMTPUTF8)"));
    }
    if needs.eight_bit && !capabilities.eight_bit {
        // RFC 6152 §3: conversion would break the signatures (invariant: octets never change), so it goes back.
        return lacking(EnhancedCode(5, 6, 3), format!("{host} does not take 8-bit messages (8BITMIME)"));
    }
    match capabilities.size_bytes_max {
        // RFC 1870 §4: zero means no fixed limit.
        Some(most) if most != 0 && needs.size_bytes > most => lacking(
            EnhancedCode(5, 3, 4),
            format!("the message has {} octets, {host} takes {most} at most", needs.size_bytes),
        ),
        _ => None,
    }
}

/// A stranger's words on one bounded line: no control characters, so nothing of it can become a field,
/// a line of a log or a terminal's command.
pub fn one_line(words: &str) -> String {
    let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.take(DIAGNOSTIC_CHARACTERS_MAX).collect();
    if words.chars().nth(DIAGNOSTIC_CHARACTERS_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests;
