//! Raw header fields: walking through a header block, and finding its end in a stream.
//!
//! Tolerant of what senders get wrong, bounded, and never changes an octet (RFC 5322 §2.1, §2.2).

use std::ops::Range;

use super::HEADER_BYTES_MAX;

/// Fields of a header at most. Large mailing-list mail has about a hundred.
pub const FIELDS_MAX: usize = 2000;

/// One field of a header block, with its folding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawField<'a> {
    /// The name as written, without white space before the colon; empty for a line that is no field.
    pub name: &'a [u8],
    /// All after the colon, folding and final CRLF included.
    pub value: &'a [u8],
    /// Name, colon and value in the block.
    pub range: Range<usize>,
}

impl RawField<'_> {
    /// Whether it has this name, whatever the case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line: folding undone, white space trimmed, octets that are not UTF-8 replaced.
    pub fn unfolded(&self) -> String {
        let value: Vec<u8> = self.value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
        String::from_utf8_lossy(&value).trim_matches([' ', '\t']).to_owned()
    }
}

/// The fields of a header block, in order; ends at the empty line, the end, or after [`FIELDS_MAX`].
pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { block, at: 0, left: FIELDS_MAX }
}

/// Iterator of [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    block: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = RawField<'a>;

    fn next(&mut self) -> Option<RawField<'a>> {
        let rest = self.block.get(self.at..)?;
        if rest.is_empty() || rest.starts_with(b"\r\n") || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let octets = rest.get(..field_end(rest))?;
        let range = self.at..self.at + octets.len();
        self.at = range.end;
        let (name, value) = match octets.iter().position(|octet| *octet == b':') {
            Some(colon) if is_name(octets.get(..colon)?) => {
                (octets.get(..colon)?.trim_ascii_end(), octets.get(colon + 1..)?)
            }
            _ => (&[][..], octets),
        };
        Some(RawField { name, value, range })
    }
}

/// Printable ASCII, white space only at its end (RFC 5322 §2.2, obs-optional of §4.5).
fn is_name(octets: &[u8]) -> bool {
    let name = octets.trim_ascii_end();
    !name.is_empty() && name.iter().all(|octet| (33..=126).contains(octet))
}

/// Where the first field ends: after the first line end that no folding follows.
fn field_end(rest: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', rest)
        .map(|line_feed| line_feed + 1)
        .find(|next| !matches!(rest.get(*next), Some(b' ' | b'\t')))
        .unwrap_or(rest.len())
}

/// Why a header is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No empty line within [`HEADER_BYTES_MAX`].
    #[error("the header is longer than {HEADER_BYTES_MAX} octets: send fewer or shorter fields")]
    TooLong,
    /// More than [`FIELDS_MAX`] fields.
    #[error("the header has more than {FIELDS_MAX} fields: send fewer")]
    TooManyFields,
}

/// Collects a header from a stream of octets and finds its end. Lines end with CRLF: upstream sees to that.
#[derive(Debug, Default)]
pub struct HeaderCollector {
    octets: Vec<u8>,
    complete: bool,
    lines: usize,
    error: Option<HeaderError>,
}

impl HeaderCollector {
    /// Takes octets; gives how many belong to the header. Fewer than all: the header is complete and
    /// the rest is body.
    pub fn feed(&mut self, octets: &[u8]) -> usize {
        if self.complete {
            return 0;
        }
        let mut taken = 0;
        while let Some(rest) = octets.get(taken..).filter(|rest| !rest.is_empty()) {
            let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |line_feed| line_feed + 1);
            let part = rest.get(..line).unwrap_or(rest);
            taken += line;
            self.keep(part);
            if part.ends_with(b"\n") && self.ends_with_empty_line() {
                self.complete = true;
                break;
            }
        }
        taken
    }

    /// Whether the empty line has come.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// What is wrong with it so far.
    pub fn error(&self) -> Option<HeaderError> {
        self.error
    }

    /// The header, its empty line included where one came.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The header, its empty line included where one came.
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    /// Nothing is kept beyond the limit: what is too long is refused at the end, and read to there.
    fn keep(&mut self, part: &[u8]) {
        let starts_field = self.octets.ends_with(b"\n") || self.octets.is_empty();
        if starts_field && !matches!(part.first(), Some(b' ' | b'\t')) {
            self.lines += 1;
        }
        if self.error.is_some() {
            // Keep the last octets, so that the end is still found.
            let keep = self.octets.len().min(4);
            self.octets.drain(..self.octets.len() - keep);
            self.octets.extend_from_slice(part.get(part.len().saturating_sub(4)..).unwrap_or(part));
            return;
        }
        self.octets.extend_from_slice(part);
        if self.octets.len() > HEADER_BYTES_MAX {
            self.error = Some(HeaderError::TooLong);
        } else if self.lines > FIELDS_MAX {
            self.error = Some(HeaderError::TooManyFields);
        }
    }

    fn ends_with_empty_line(&self) -> bool {
        self.octets.ends_with(b"\r\n\r\n") || self.octets == b"\r\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn walks_through_fields() {
        let block =
            b"From: a@b\r\nSubject : x\r\n y\r\n\tz\r\nno field\r\nBad name: q\r\n: empty\r\nTo:\r\n\r\nBody: no\r\n";
        let seen: Vec<(String, String)> =
            fields(block).map(|it| (String::from_utf8_lossy(it.name).into_owned(), it.unfolded())).collect();
        let expected = [
            ("From", "a@b"),
            ("Subject", "x y\tz"),
            ("", "no field"),
            ("", "Bad name: q"),
            ("", ": empty"),
            ("To", ""),
        ];
        assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn finds_the_end() {
        for (message, header) in
            [("A: b\r\n\r\nbody", 8), ("\r\nbody", 2), ("A: b\r\n", 6), ("", 0), ("A: b\r\n c\r\n\r\n\r\nx", 12)]
        {
            let mut collector = HeaderCollector::default();
            assert_eq!(collector.feed(message.as_bytes()), header, "{message:?}");
            assert_eq!(collector.octets(), &message.as_bytes()[..header]);
        }
    }

    #[test]
    fn too_long_is_bounded_and_still_ends() {
        let mut collector = HeaderCollector::default();
        for _ in 0..HEADER_BYTES_MAX {
            assert_eq!(collector.feed(b"X: 0123456789\r\n"), 15);
        }
        assert!(collector.error().is_some());
        assert!(collector.octets().len() <= HEADER_BYTES_MAX + 15);
        assert_eq!(collector.feed(b"\r\nbody"), 2);
        assert!(collector.is_complete());
    }

    #[test]
    fn one_endless_line_is_bounded() {
        let mut collector = HeaderCollector::default();
        for _ in 0..100 {
            collector.feed(&[b'x'; 16 * 1024]);
        }
        assert_eq!(collector.error(), Some(HeaderError::TooLong));
        assert!(collector.octets().len() <= HEADER_BYTES_MAX + 16 * 1024);
    }

    proptest! {
        #[test]
        fn any_split_finds_the_same_end(message in "[A:\r\n b]{0,60}", cuts in prop::collection::vec(1usize..6, 0..60)) {
            let message = message.as_bytes();
            let mut whole = HeaderCollector::default();
            let end = whole.feed(message);
            let mut parts = HeaderCollector::default();
            let (mut at, mut taken) = (0, 0);
            for cut in cuts.into_iter().chain([message.len()]) {
                let next = (at + cut).min(message.len());
                taken += parts.feed(&message[at..next]);
                at = next;
            }
            prop_assert_eq!(taken, end);
            prop_assert_eq!(parts.octets(), whole.octets());
        }

        #[test]
        fn fields_cover_the_block(block in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut at = 0;
            for field in fields(&block) {
                prop_assert_eq!(field.range.start, at);
                prop_assert!(field.range.end > at);
                at = field.range.end;
            }
            prop_assert!(at <= block.len());
        }
    }
}
