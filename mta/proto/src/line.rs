//! Strict CRLF lines, over any split of the input: what SMTP and POP3 clients say.
//!
//! A line ends by CRLF and by nothing else: a reader that also takes a bare LF sees other commands than
//! the strict one in front of it, and that is how mail is smuggled. A line with a fault is never handed
//! out, not even in part, and nothing up to the next CRLF is taken for a command. Memory is bounded by
//! the limit that the caller gives; a line that came in one piece is not copied.

use std::borrow::Cow;

use memchr::memchr3;
use thiserror::Error;

/// Octets of an SMTP command line, CRLF included (RFC 5321 §4.5.3.1.4).
pub const COMMAND_LINE_BYTES_MAX: usize = 512;

/// Octets of a line of a login exchange, CRLF included (RFC 4954 §4).
pub const LOGIN_LINE_BYTES_MAX: usize = 12_288;

/// Why a line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineFault {
    /// CR without LF. Told at once: the peer may be waiting for an answer.
    #[error("bare CR: end lines with CRLF")]
    BareCr,
    /// LF without CR. Told at once, like `BareCr`.
    #[error("bare LF: end lines with CRLF")]
    BareLf,
    /// A NUL in the line. Told at the line's end.
    #[error("NUL in a line: leave it out")]
    Nul,
    /// More octets than the limit. Told at the line's end.
    #[error("line too long: send a shorter one")]
    TooLong,
}

/// What [`LineReader::read`] found.
#[derive(Debug)]
pub struct LineRead<'a> {
    /// Octets of the input that are done with.
    pub consumed: usize,
    /// A line without its CRLF, or why it is refused; `None`: more input is needed, and all of this is consumed.
    pub line: Option<Result<Cow<'a, [u8]>, LineFault>>,
}

/// Cuts lines out of a stream.
#[derive(Debug, Default)]
pub struct LineReader {
    /// The beginning of a line whose end has not come yet; never a CR at its end.
    held: Vec<u8>,
    /// The last octet was a CR, and its LF has not come yet.
    after_cr: bool,
    skipping: Skipping,
}

/// Whether the line at hand is still worth keeping.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Skipping {
    #[default]
    No,
    /// To be told at the line's end.
    Untold(LineFault),
    /// Told already.
    Told,
}

impl LineReader {
    /// The next line, of at most `line_bytes_max` octets with its CRLF.
    pub fn read<'a>(&mut self, input: &'a [u8], line_bytes_max: usize) -> LineRead<'a> {
        let text_bytes_max = line_bytes_max.saturating_sub(2);
        let mut from = 0;
        loop {
            let rest = input.get(from..).unwrap_or_default();
            if self.after_cr {
                match rest.first() {
                    None => return LineRead { consumed: input.len(), line: None },
                    Some(b'\n') => {
                        let line = self.end_line(&[]);
                        if line.is_some() {
                            return LineRead { consumed: from + 1, line };
                        }
                        from += 1;
                        continue;
                    }
                    Some(_) => {
                        self.after_cr = false;
                        if let Some(fault) = self.fault_now(LineFault::BareCr) {
                            return LineRead { consumed: from, line: Some(Err(fault)) };
                        }
                        continue;
                    }
                }
            }
            let Some(at) = memchr3(b'\r', b'\n', 0, rest) else {
                self.hold(rest, text_bytes_max);
                return LineRead { consumed: input.len(), line: None };
            };
            let (text, stop) = (rest.get(..at).unwrap_or_default(), rest.get(at));
            match (stop, rest.get(at + 1)) {
                // The usual case: a whole line in one piece.
                (Some(b'\r'), Some(b'\n')) if self.held.is_empty() && text.len() <= text_bytes_max => {
                    from += at + 2;
                    if let Some(line) = self.end_line(text) {
                        return LineRead { consumed: from, line: Some(line) };
                    }
                }
                (Some(b'\r'), _) => {
                    self.hold(text, text_bytes_max);
                    self.after_cr = true;
                    from += at + 1;
                }
                (Some(b'\n'), _) => {
                    from += at + 1;
                    if let Some(fault) = self.fault_now(LineFault::BareLf) {
                        return LineRead { consumed: from, line: Some(Err(fault)) };
                    }
                }
                _ => {
                    self.hold(text, text_bytes_max);
                    self.fault_later(LineFault::Nul);
                    from += at + 1;
                }
            }
        }
    }

    /// Forgets the beginning of a line: for a change of the transport.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The line ends here; `None` if it was refused before.
    fn end_line<'a>(&mut self, text: &'a [u8]) -> Option<Result<Cow<'a, [u8]>, LineFault>> {
        self.after_cr = false;
        let held = std::mem::take(&mut self.held);
        match std::mem::take(&mut self.skipping) {
            Skipping::Told => None,
            Skipping::Untold(fault) => Some(Err(fault)),
            Skipping::No if text.is_empty() => Some(Ok(Cow::Owned(held))),
            Skipping::No => Some(Ok(Cow::Borrowed(text))),
        }
    }

    fn hold(&mut self, text: &[u8], text_bytes_max: usize) {
        if self.skipping != Skipping::No {
            return;
        }
        if self.held.len() + text.len() > text_bytes_max {
            self.fault_later(LineFault::TooLong);
        } else {
            self.held.extend_from_slice(text);
        }
    }

    fn fault_later(&mut self, fault: LineFault) {
        self.held = Vec::new();
        if self.skipping == Skipping::No {
            self.skipping = Skipping::Untold(fault);
        }
    }

    /// The fault, unless this line was refused already.
    fn fault_now(&mut self, fault: LineFault) -> Option<LineFault> {
        self.held = Vec::new();
        let before = std::mem::replace(&mut self.skipping, Skipping::Told);
        (before != Skipping::Told).then_some(fault)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Lines = Vec<Result<String, LineFault>>;

    /// Reads with a limit of 10 octets, pieces of the given size.
    fn read(input: &[u8], piece: usize) -> Lines {
        let mut reader = LineReader::default();
        let mut lines = Vec::new();
        for chunk in input.chunks(piece.max(1)) {
            let mut rest = chunk;
            loop {
                let read = reader.read(rest, 10);
                rest = &rest[read.consumed..];
                assert!(reader.held.len() <= 8);
                match read.line {
                    Some(line) => lines.push(line.map(|line| String::from_utf8_lossy(&line).into_owned())),
                    None => break,
                }
            }
            assert!(rest.is_empty());
        }
        lines
    }

    #[test]
    fn lines_and_faults() {
        use LineFault::*;
        let ok = |text: &str| Ok(text.to_owned());
        let table: &[(&[u8], Lines)] = &[
            (b"", vec![]),
            (b"NOOP", vec![]),
            (b"NOOP\r\n", vec![ok("NOOP")]),
            (b"\r\n\r\n", vec![ok(""), ok("")]),
            (b"12345678\r\nA\r\n", vec![ok("12345678"), ok("A")]),
            (b"123456789\r\nA\r\n", vec![Err(TooLong), ok("A")]),
            (b"12345678901234567890\r\nA\r\n", vec![Err(TooLong), ok("A")]),
            (b"A\nB\r\nC\r\n", vec![Err(BareLf), ok("C")]),
            (b"A\n", vec![Err(BareLf)]),
            (b"\n\n\n\r\nC\r\n", vec![Err(BareLf), ok("C")]),
            (b"A\rB\r\nC\r\n", vec![Err(BareCr), ok("C")]),
            (b"A\r\r\nC\r\n", vec![Err(BareCr), ok("C")]),
            (b"A\0B\r\nC\r\n", vec![Err(Nul), ok("C")]),
            (b"A\0B\nX\r\nC\r\n", vec![Err(BareLf), ok("C")]),
            (b"1234567890\n1\r\nC\r\n", vec![Err(BareLf), ok("C")]),
        ];
        for (input, expected) in table {
            for piece in [1, 2, 3, 100] {
                assert_eq!(read(input, piece), *expected, "{:?} by {piece}", String::from_utf8_lossy(input));
            }
        }
    }

    #[test]
    fn a_whole_line_is_not_copied() {
        let mut reader = LineReader::default();
        assert!(matches!(reader.read(b"NOOP\r\nQUIT", 512).line, Some(Ok(Cow::Borrowed(b"NOOP")))));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(b'a')], 0..60),
            piece in 1usize..20,
        ) {
            prop_assert_eq!(read(&input, piece), read(&input, usize::MAX));
        }
    }
}
