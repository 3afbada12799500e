//! Replies as a client reads them (RFC 5321 §4.2): any split, bounded.
//!
//! Strict about what decides (line ends, codes, that all lines of a reply carry the same code), lenient
//! about the text, which is only for people: strange characters become `?`.

use thiserror::Error;

use crate::{
    line::{LineFault, LineReader},
    reply::{EnhancedCode, Reply},
};

/// Octets of a reply line, CRLF included: RFC 5321 §4.5.3.1.5 says 512, some servers say more.
pub const REPLY_LINE_BYTES_MAX: usize = 2048;
/// Lines of a reply.
pub const REPLY_LINES_MAX: usize = 100;
/// Octets of the text of a reply.
pub const REPLY_BYTES_MAX: usize = 16 * 1024;

/// Why what the server says is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReplyFault {
    /// The line is none.
    #[error("the server's reply: {0}")]
    Line(#[from] LineFault),
    /// No code at the beginning, or not the code of the line before.
    #[error("the server's reply does not begin as a reply does; is this an SMTP server?")]
    Code,
    /// Too many lines or octets.
    #[error("the server's reply is too long")]
    TooLong,
}

/// Puts replies together.
#[derive(Debug, Default)]
pub struct ReplyReader {
    lines: LineReader,
    /// The lines so far of a reply that goes on.
    partial: Option<Reply>,
    bytes: usize,
}

impl ReplyReader {
    /// Takes input: how much, and a reply when one is complete. `None`: all is consumed, more is needed.
    pub fn read(&mut self, input: &[u8]) -> (usize, Option<Result<Reply, ReplyFault>>) {
        let mut consumed = 0;
        loop {
            let read = self.lines.read(input.get(consumed..).unwrap_or_default(), REPLY_LINE_BYTES_MAX);
            consumed += read.consumed;
            let Some(line) = read.line else { return (consumed, None) };
            match line.map_err(ReplyFault::from).and_then(|line| self.line(&line)) {
                Ok(None) => {}
                Ok(Some(reply)) => return (consumed, Some(Ok(reply))),
                Err(fault) => return (consumed, Some(Err(fault))),
            }
        }
    }

    /// Forgets what came so far: for a change of the transport.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyFault> {
        let (code, last, text) = split(line).ok_or(ReplyFault::Code)?;
        self.bytes += text.len();
        let (enhanced, text) = enhanced(code, text);
        let mut reply = match self.partial.take() {
            Some(reply) if reply.code != code => return Err(ReplyFault::Code),
            Some(reply) => reply,
            None => Reply { code, enhanced, lines: Vec::new() },
        };
        reply.lines.push(printable(text));
        if reply.lines.len() > REPLY_LINES_MAX || self.bytes > REPLY_BYTES_MAX {
            return Err(ReplyFault::TooLong);
        }
        if last {
            self.bytes = 0;
            return Ok(Some(reply));
        }
        self.partial = Some(reply);
        Ok(None)
    }
}

/// The code, whether the line is the reply's last, and the text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = std::str::from_utf8(digits).ok()?.parse().ok().filter(|code| (200..600).contains(code))?;
    match rest.split_first() {
        // RFC 5321 §4.2: a client must take a code alone.
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// The enhanced status code at the beginning, of the code's class (RFC 2034 §4), and the text behind it.
fn enhanced(code: u16, text: &[u8]) -> (Option<EnhancedCode>, &[u8]) {
    let end = text.iter().position(|octet| *octet == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    match parse_enhanced(word) {
        Some(enhanced) if u16::from(enhanced.0) == code / 100 => (Some(enhanced), rest.get(1..).unwrap_or_default()),
        _ => (None, text),
    }
}

/// RFC 3463 §2: a digit, then twice one to three digits.
fn parse_enhanced(word: &[u8]) -> Option<EnhancedCode> {
    let number = |part: Option<&str>| {
        let part = part.filter(|part| (1..=3).contains(&part.len()))?;
        part.bytes().all(|octet| octet.is_ascii_digit()).then(|| part.parse::<u16>().ok())?
    };
    let mut parts = std::str::from_utf8(word).ok()?.split('.');
    let (class, subject, detail) = (number(parts.next())?, number(parts.next())?, number(parts.next())?);
    (parts.next().is_none() && matches!(class, 2 | 4 | 5)).then_some(EnhancedCode(class as u8, subject, detail))
}

fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(input: &[u8], piece: usize) -> Vec<Result<Reply, ReplyFault>> {
        let mut reader = ReplyReader::default();
        let mut replies = Vec::new();
        for chunk in input.chunks(piece.max(1)) {
            let mut rest = chunk;
            while let (consumed, Some(reply)) = reader.read(rest) {
                rest = &rest[consumed..];
                replies.push(reply);
            }
        }
        replies
    }

    #[test]
    fn replies() {
        let reply = |code, enhanced, lines: &[&str]| {
            Ok(Reply { code, enhanced, lines: lines.iter().map(|&line| line.to_owned()).collect() })
        };
        for (input, expected) in [
            ("220 mx ESMTP\r\n", reply(220, None, &["mx ESMTP"])),
            ("250\r\n", reply(250, None, &[""])),
            ("250 2.1.5 ok\r\n", reply(250, Some(EnhancedCode(2, 1, 5)), &["ok"])),
            ("550 2.1.5 no\r\n", reply(550, None, &["2.1.5 no"])),
            ("550 5.1.1\r\n", reply(550, Some(EnhancedCode(5, 1, 1)), &[""])),
            ("550 5.1.1.1 no\r\n", reply(550, None, &["5.1.1.1 no"])),
            ("550 5..1 no\r\n", reply(550, None, &["5..1 no"])),
            ("550 5.1.+1 no\r\n", reply(550, None, &["5.1.+1 no"])),
            ("250-a\r\n250-b\r\n250 c\r\n", reply(250, None, &["a", "b", "c"])),
            ("550-5.7.1 a\r\n550 5.7.1 b\r\n", reply(550, Some(EnhancedCode(5, 7, 1)), &["a", "b"])),
            ("550 \u{1b}[31m\r\n", reply(550, None, &["?[31m"])),
            ("250-a\r\n550 b\r\n", Err(ReplyFault::Code)),
            ("SSH-2.0\r\n", Err(ReplyFault::Code)),
            ("25\r\n", Err(ReplyFault::Code)),
            ("2500 x\r\n", Err(ReplyFault::Code)),
            ("150 x\r\n", Err(ReplyFault::Code)),
            ("+50 x\r\n", Err(ReplyFault::Code)),
            ("250 ok\n", Err(ReplyFault::Line(LineFault::BareLf))),
        ] {
            for piece in [1, 2, 100] {
                assert_eq!(read(input.as_bytes(), piece), std::slice::from_ref(&expected), "{input:?} by {piece}");
            }
        }
    }

    #[test]
    fn endless_replies_end() {
        assert_eq!(read("250-a\r\n".repeat(200).as_bytes(), 999)[0], Err(ReplyFault::TooLong));
        let line = format!("250-{}\r\n", "x".repeat(2000));
        assert_eq!(read(line.repeat(20).as_bytes(), 999)[0], Err(ReplyFault::TooLong));
        assert_eq!(read(&[&b"250 "[..], &[b'x'; 3000], b"\r\n"].concat(), 999)[0], Err(LineFault::TooLong.into()));
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(input in proptest::collection::vec(prop_oneof![
            Just(b'\r'), Just(b'\n'), Just(b'2'), Just(b'5'), Just(b'.'), Just(b' '), Just(b'-'), any::<u8>()], 0..80),
            piece in 1usize..20) {
            read(&input, piece);
        }
    }
}
