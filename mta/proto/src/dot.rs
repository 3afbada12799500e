//! Dot transparency (RFC 5321 §4.5.2, RFC 1939 §3): a body between a command and a line of one dot.
//!
//! The decoder yields slices of the input and copies nothing. Only CRLF "." CRLF ends the data and a dot
//! is removed only after CRLF. A bare CR or LF is a fault: a peer that takes it for a line end sees the
//! end of the message, and with it commands, elsewhere (the smuggling attacks of 2023). After a fault
//! nothing is yielded; the end is then looked for leniently, because the connection is closed there and
//! nothing behind it is ever read as a command.
//! The encoder never writes a bare CR or LF, whatever it is given.

use memchr::memchr2;

use crate::line::LineFault;

/// What [`DotDecoder::decode`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// Octets of the message, a slice of the input.
    Data(&'a [u8]),
    /// All input is consumed: feed more.
    More,
    /// A bare CR or LF; told once. Octets yielded so far are to be dropped.
    Fault(LineFault),
    /// The end of the data; what follows in the input is not the decoder's.
    End,
}

/// Takes the dots out of a message that is being received. One a message.
#[derive(Debug, Default)]
pub struct DotDecoder {
    place: Place,
    faulty: bool,
}

/// Where in a line the next octet stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    LineStart,
    Middle,
    AfterCr,
    /// After a dot at the start of a line.
    AfterDot,
    /// After such a dot and CR.
    AfterDotCr,
    End,
}

impl DotDecoder {
    /// Takes one step: how many octets are consumed, and what they were.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> (usize, Decoded<'a>) {
        // Octets of the input that are message, from `from` on; those before it are removed dots.
        let (mut from, mut at) = (0, 0);
        while let Some(&octet) = input.get(at) {
            let before = self.place;
            match (before, octet) {
                (Place::End, _) => break,
                (Place::LineStart, b'.') => {
                    // Yield what stands before the dot first: a slice has no holes.
                    if at > from && !self.faulty {
                        return (at, Decoded::Data(input.get(from..at).unwrap_or_default()));
                    }
                    self.place = Place::AfterDot;
                    at += 1;
                    from = at;
                }
                (Place::AfterDot, b'\r') => {
                    self.place = Place::AfterDotCr;
                    at += 1;
                    from = at;
                }
                (Place::AfterDotCr, b'\n') => {
                    self.place = Place::End;
                    at += 1;
                    return (at, Decoded::End);
                }
                (Place::AfterDotCr, _) => {
                    // "." CR without LF: a fault, and a lenient peer's end.
                    self.place = Place::End;
                    return self.fault_or_end(at, LineFault::BareCr);
                }
                (Place::AfterDot, b'\n') => {
                    self.place = Place::End;
                    return self.fault_or_end(at + 1, LineFault::BareLf);
                }
                (Place::AfterCr, b'\n') => {
                    self.place = Place::LineStart;
                    at += 1;
                }
                (Place::AfterCr, _) => {
                    self.place = Place::LineStart;
                    if !std::mem::replace(&mut self.faulty, true) {
                        return (at, Decoded::Fault(LineFault::BareCr));
                    }
                }
                (_, b'\n') => {
                    self.place = Place::LineStart;
                    at += 1;
                    if !std::mem::replace(&mut self.faulty, true) {
                        return (at, Decoded::Fault(LineFault::BareLf));
                    }
                }
                (_, b'\r') => {
                    self.place = Place::AfterCr;
                    at += 1;
                }
                _ => {
                    self.place = Place::Middle;
                    let rest = input.get(at..).unwrap_or_default();
                    at += memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                }
            }
        }
        if self.place == Place::End {
            return (at, Decoded::End);
        }
        if at > from && !self.faulty {
            return (at, Decoded::Data(input.get(from..at).unwrap_or_default()));
        }
        (at, Decoded::More)
    }

    fn fault_or_end(&mut self, consumed: usize, fault: LineFault) -> (usize, Decoded<'static>) {
        if std::mem::replace(&mut self.faulty, true) {
            (consumed, Decoded::End)
        } else {
            (consumed, Decoded::Fault(fault))
        }
    }
}

/// Puts the dots into a message that is being sent, chunk by chunk. One a message.
#[derive(Debug)]
pub struct DotEncoder {
    line: LineShape,
    after_cr: bool,
    in_header: bool,
    body_lines_left: Option<u64>,
}

/// What the line at hand has so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineShape {
    Empty,
    Started,
}

impl DotEncoder {
    /// An encoder that writes at most so many lines of the body after the header's empty line (RFC 1939 §7, TOP).
    pub fn new(body_lines_max: Option<u64>) -> Self {
        Self { line: LineShape::Empty, after_cr: false, in_header: true, body_lines_left: body_lines_max }
    }

    /// Whether all lines that are wanted have been written: no more chunks are needed.
    pub fn is_satisfied(&self) -> bool {
        !self.in_header && self.body_lines_left == Some(0)
    }

    /// Appends the chunk to `out`, dot-stuffed. A bare CR or LF becomes CRLF (RFC 5321 §2.3.8).
    pub fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while let Some(&octet) = rest.first() {
            if self.is_satisfied() {
                return;
            }
            if self.after_cr {
                self.after_cr = false;
                self.end_line(out);
                if octet == b'\n' {
                    rest = rest.get(1..).unwrap_or_default();
                }
                continue;
            }
            let text_bytes = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let (text, after) = rest.split_at_checked(text_bytes).unwrap_or((rest, &[]));
            if !text.is_empty() {
                if self.line == LineShape::Empty && octet == b'.' {
                    out.push(b'.');
                }
                out.extend_from_slice(text);
                self.line = LineShape::Started;
            }
            match after.first() {
                Some(b'\r') => self.after_cr = true,
                Some(_) => self.end_line(out),
                None => {}
            }
            rest = after.get(1..).unwrap_or_default();
        }
    }

    /// Appends what ends the message: a CRLF if the last line lacks it, then "." CRLF.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if !self.is_satisfied() && (self.after_cr || self.line == LineShape::Started) {
            self.end_line(out);
        }
        out.extend_from_slice(b".\r\n");
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        if self.in_header {
            self.in_header = self.line == LineShape::Started;
        } else if let Some(left) = &mut self.body_lines_left {
            *left = left.saturating_sub(1);
        }
        self.line = LineShape::Empty;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The message, its fault, and how many octets followed the end (`None`: no end came).
    fn decode(input: &[u8], piece: usize) -> (Vec<u8>, Option<LineFault>, Option<usize>) {
        let mut decoder = DotDecoder::default();
        let (mut data, mut fault, mut taken) = (Vec::new(), None, 0);
        for chunk in input.chunks(piece.max(1)) {
            let mut rest = chunk;
            loop {
                let (consumed, decoded) = decoder.decode(rest);
                rest = &rest[consumed..];
                taken += consumed;
                match decoded {
                    Decoded::Data(octets) => {
                        assert!(fault.is_none(), "data after a fault");
                        data.extend_from_slice(octets);
                    }
                    Decoded::Fault(found) => assert_eq!(fault.replace(found), None, "a fault is told once"),
                    Decoded::End => return (data, fault, Some(input.len() - taken)),
                    Decoded::More => break,
                }
            }
            assert!(rest.is_empty());
        }
        // An end that was found with a fault needs no further octet.
        match decoder.decode(&[]) {
            (0, Decoded::End) => (data, fault, Some(input.len() - taken)),
            _ => (data, fault, None),
        }
    }

    #[test]
    fn strict_ends() {
        use LineFault::*;
        type Row = (&'static [u8], &'static [u8], Option<LineFault>, Option<usize>);
        let table: &[Row] = &[
            (b".\r\n", b"", None, Some(0)),
            (b"a\r\n.\r\n", b"a\r\n", None, Some(0)),
            (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", None, Some(6)),
            (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n", None, Some(0)),
            (b"..a\r\n.b\r\n.\r\n", b".a\r\nb\r\n", None, Some(0)),
            (b"a.\r\n.\r\n", b"a.\r\n", None, Some(0)),
            (b"a\r\n.", b"a\r\n", None, None),
            (b"a\r\n.\r", b"a\r\n", None, None),
            // What a smuggler sends as an end that only one side sees.
            (b"a\n.\nX", b"", Some(BareLf), Some(1)),
            (b"a\n.\r\nX", b"", Some(BareLf), Some(1)),
            (b"a\r\n.\nX", b"a\r\n", Some(BareLf), Some(1)),
            (b"a\r\n.\rX", b"a\r\n", Some(BareCr), Some(1)),
            (b"a\r.\r\nX", b"", Some(BareCr), Some(1)),
            (b"a\r.\rX", b"", Some(BareCr), Some(1)),
            (b"a\r\r\n.\r\nX", b"", Some(BareCr), Some(1)),
            (b"\n.\r\n", b"", Some(BareLf), Some(0)),
            (b"a\nb\r\n.\r\n", b"", Some(BareLf), Some(0)),
        ];
        for (input, data, fault, left) in table {
            for piece in [1, 2, 3, 100] {
                let found = decode(input, piece);
                let what = format!("{:?} by {piece}", String::from_utf8_lossy(input));
                assert_eq!((found.1, found.2), (*fault, *left), "{what}");
                // After a fault it depends on the split how much had been yielded; it is dropped anyway.
                if fault.is_none() {
                    assert_eq!(found.0, *data, "{what}");
                }
            }
        }
    }

    fn encode(input: &[u8], piece: usize, body_lines_max: Option<u64>) -> Vec<u8> {
        let mut encoder = DotEncoder::new(body_lines_max);
        let mut out = Vec::new();
        for chunk in input.chunks(piece.max(1)) {
            encoder.encode(chunk, &mut out);
        }
        encoder.finish(&mut out);
        out
    }

    #[test]
    fn encoded() {
        let table: &[(&[u8], Option<u64>, &[u8])] = &[
            (b"", None, b".\r\n"),
            (b"a", None, b"a\r\n.\r\n"),
            (b"a\r\n", None, b"a\r\n.\r\n"),
            (b"a\r", None, b"a\r\n.\r\n"),
            (b".\r\n", None, b"..\r\n.\r\n"),
            (b"..a", None, b"...a\r\n.\r\n"),
            (b"a\n.\nb\r.", None, b"a\r\n..\r\nb\r\n..\r\n.\r\n"),
            (b"h\r\n\r\n1\r\n2\r\n", Some(0), b"h\r\n\r\n.\r\n"),
            (b"h\r\n\r\n1\r\n2\r\n", Some(1), b"h\r\n\r\n1\r\n.\r\n"),
            (b"h\r\n\r\n1\r\n2", Some(9), b"h\r\n\r\n1\r\n2\r\n.\r\n"),
            (b"h\r\ni\r\n", Some(0), b"h\r\ni\r\n.\r\n"),
            (b"\r\n1\r\n", Some(0), b"\r\n.\r\n"),
        ];
        for (input, body_lines_max, expected) in table {
            for piece in [1, 2, 3, 100] {
                let what = format!("{:?} by {piece}", String::from_utf8_lossy(input));
                assert_eq!(encode(input, piece, *body_lines_max), *expected, "{what}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(
            lines in proptest::collection::vec("[.a ]{0,6}", 0..20), sent_by in 1usize..30, received_by in 1usize..30,
        ) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let wire = encode(message.as_bytes(), sent_by, None);
            let (data, fault, left) = decode(&wire, received_by);
            prop_assert_eq!((data, fault, left), (message.into_bytes(), None, Some(0)));
        }

        #[test]
        fn the_encoder_writes_no_bare_line_end(
            input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..40),
            piece in 1usize..10,
        ) {
            let wire = encode(&input, piece, None);
            let (_, fault, left) = decode(&wire, usize::MAX);
            prop_assert_eq!((fault, left), (None, Some(0)));
            prop_assert_eq!(wire, encode(&input, usize::MAX, None));
        }

        #[test]
        fn any_split_decodes_the_same(
            input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..40),
            piece in 1usize..10,
        ) {
            let (whole, split) = (decode(&input, usize::MAX), decode(&input, piece));
            prop_assert_eq!((whole.1, whole.2), (split.1, split.2));
            if whole.1.is_none() {
                prop_assert_eq!(whole.0, split.0);
            }
        }
    }
}
