//! A message coming in (RFC 5321 §4.1.1.4): slices out, a commit only at its true end.

use std::time::Instant;

use super::{Asked, ServerMachine, State, Turn, limits};
use crate::{
    dot::{Decoded, DotDecoder},
    machine::Step,
    reply::{EnhancedCode, Reply},
    smtp::ask::{Ask, Cause},
};

/// The message that is being received.
#[derive(Debug)]
pub(super) struct Receiving {
    decoder: DotDecoder,
    /// Octets of the message so far.
    message_bytes: u64,
    /// Octets of input so far.
    wire_bytes: u64,
    fate: Fate,
    /// When the whole of it must have come.
    until: Instant,
}

/// What is to become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Commit,
    TooLarge,
    /// A bare CR or LF.
    Broken,
}

impl Receiving {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            decoder: DotDecoder::default(),
            message_bytes: 0,
            wire_bytes: 0,
            fate: Fate::Commit,
            until: now + limits::DATA_TIMEOUT,
        }
    }
}

impl ServerMachine {
    /// Goes on until there is data, a question, or no more input.
    pub(super) fn data<'a>(&mut self, now: Instant, input: &'a [u8]) -> Turn<'a> {
        let message_bytes_max = self.settings.message_bytes_max;
        let State::Data(receiving) = &mut self.state else { return (0, None) };
        if !input.is_empty() {
            self.deadline = receiving.until.min(now + limits::DATA_BLOCK_TIMEOUT);
        }
        let (taken, decoded) = receiving.decoder.decode(input);
        receiving.wire_bytes += taken as u64;
        let step = match decoded {
            Decoded::Data(octets) => {
                receiving.message_bytes += octets.len() as u64;
                if receiving.fate == Fate::Commit && receiving.message_bytes <= message_bytes_max {
                    return (taken, Some(Step::Data(octets)));
                }
                self.spoil(Fate::TooLarge);
                None
            }
            Decoded::Fault(_) => {
                self.spoil(Fate::Broken);
                None
            }
            Decoded::More => Some(Step::Read),
            Decoded::End => self.end_of_data(),
        };
        self.stop_swallowing();
        (taken, step)
    }

    /// The message will be refused: the rest of it is read and dropped.
    fn spoil(&mut self, fate: Fate) {
        if let State::Data(receiving) = &mut self.state
            && receiving.fate == Fate::Commit
        {
            receiving.fate = fate;
            self.abandon(if fate == Fate::Broken { Cause::LineEnds } else { Cause::TooLarge });
        }
    }

    /// The rest of a refused message is read so that the client sees the reply, but not without end.
    fn stop_swallowing(&mut self) {
        if let State::Data(receiving) = &self.state
            && receiving.fate != Fate::Commit
            && receiving.wire_bytes / 2 > self.settings.message_bytes_max
        {
            let fate = receiving.fate;
            self.say(&refusal(fate));
            self.close();
        }
    }

    fn end_of_data<'a>(&mut self) -> Option<Step<'a, Ask>> {
        let State::Data(receiving) = &self.state else { return None };
        let (fate, size_bytes) = (receiving.fate, receiving.message_bytes);
        match fate {
            Fate::Commit => {
                self.state = State::Asked(Asked::Commit);
                Some(Step::Ask(Ask::Commit { size_bytes }))
            }
            Fate::TooLarge => {
                self.state = State::Commands;
                self.refuse(&refusal(fate));
                None
            }
            // What follows may be a smuggled command: read no more. Postfix's reject setting does the same
            // (postconf(5), smtpd_forbid_bare_newline).
            Fate::Broken => {
                self.say(&refusal(fate));
                self.close();
                None
            }
        }
    }
}

fn refusal(fate: Fate) -> Reply {
    match fate {
        Fate::Broken => Reply::new(550, EnhancedCode(5, 5, 2), "Bare CR or LF in the message: end lines with CRLF"),
        Fate::Commit | Fate::TooLarge => too_large(),
    }
}

/// RFC 1870 §6.
pub(super) fn too_large() -> Reply {
    Reply::new(552, EnhancedCode(5, 3, 4), "Message too large")
}
