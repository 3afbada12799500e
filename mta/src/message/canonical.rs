//! DKIM's canonical forms (RFC 6376 §3.4), shared by signing and verifying.
//!
//! The body's two forms are hashed while it streams by, in any split, in constant memory. Lines end
//! with CRLF; a CR or LF alone is an octet like any other.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Octets gathered before they are hashed.
const BLOCK_BYTES: usize = 4096;

/// Empty lines, to be hashed many at a time: a body may be millions of them.
const LINE_ENDS: &[u8; 64] = b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\
    \r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";

/// SHA-256 of a body in both canonical forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyHashes {
    /// Simple (RFC 6376 §3.4.3).
    pub simple: Hash,
    /// Relaxed (RFC 6376 §3.4.4).
    pub relaxed: Hash,
}

/// Hashes a body in both canonical forms at the same time.
pub struct BodyHasher {
    /// A CR came last; what it means is known with the next octet.
    carriage_return: bool,
    simple: Form,
    relaxed: Form,
    /// White space came last: one space, unless the line ends here.
    space: bool,
}

impl Default for BodyHasher {
    fn default() -> Self {
        Self { carriage_return: false, simple: Form::new(), relaxed: Form::new(), space: false }
    }
}

impl BodyHasher {
    /// Takes the next octets of the body.
    pub fn feed(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some(first) = rest.first() {
            if self.carriage_return {
                self.carriage_return = false;
                if *first == b'\n' {
                    self.end_line();
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                self.text(b"\r");
            }
            let text = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
            self.text(rest.get(..text).unwrap_or_default());
            self.carriage_return = text < rest.len();
            rest = rest.get(text + 1..).unwrap_or_default();
        }
    }

    /// The hashes of all that was fed.
    pub fn finish(mut self) -> BodyHashes {
        if self.carriage_return {
            self.text(b"\r");
        }
        // Simple: one CRLF at the end always, even of nothing; relaxed: of nothing, nothing.
        BodyHashes { simple: self.simple.finish(true), relaxed: self.relaxed.finish(false) }
    }

    /// Octets within a line.
    fn text(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        self.simple.content(text);
        let mut rest = text;
        while !rest.is_empty() {
            let word = memchr::memchr2(b' ', b'\t', rest).unwrap_or(rest.len());
            if word > 0 {
                if std::mem::take(&mut self.space) {
                    self.relaxed.content(b" ");
                }
                self.relaxed.content(rest.get(..word).unwrap_or_default());
            } else {
                self.space = true;
            }
            rest = rest.get(word.max(1)..).unwrap_or_default();
        }
    }

    fn end_line(&mut self) {
        self.simple.line_ends += 1;
        self.relaxed.line_ends += 1;
        self.space = false;
    }
}

/// One canonical form: line ends are held back until something follows, since empty lines at the end
/// don't count.
struct Form {
    line_ends: u64,
    any: bool,
    block: Vec<u8>,
    digest: Context,
}

impl Form {
    fn new() -> Self {
        Self { line_ends: 0, any: false, block: Vec::with_capacity(BLOCK_BYTES), digest: Context::new(&SHA256) }
    }

    fn content(&mut self, octets: &[u8]) {
        self.any = true;
        while self.line_ends > 0 {
            let some = usize::try_from(self.line_ends).unwrap_or(usize::MAX).min(LINE_ENDS.len() / 2);
            self.line_ends -= some as u64;
            self.put(LINE_ENDS.get(..2 * some).unwrap_or_default());
        }
        self.put(octets);
    }

    fn put(&mut self, octets: &[u8]) {
        if self.block.len() + octets.len() > BLOCK_BYTES {
            self.digest.update(&self.block);
            self.block.clear();
        }
        if octets.len() >= BLOCK_BYTES {
            self.digest.update(octets);
        } else {
            self.block.extend_from_slice(octets);
        }
    }

    fn finish(mut self, even_of_nothing: bool) -> Hash {
        if self.any || even_of_nothing {
            self.put(b"\r\n");
        }
        self.digest.update(&self.block);
        let mut hash = Hash::default();
        // The algorithm's length is the array's.
        for (to, from) in hash.iter_mut().zip(self.digest.finish().as_ref()) {
            *to = *from;
        }
        hash
    }
}

/// Adds a field in relaxed form without its CRLF (RFC 6376 §3.4.2): name in lower case, folding undone,
/// white space as one space, none around the value.
pub fn relaxed_field(name: &[u8], value: &[u8], into: &mut Vec<u8>) {
    into.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    into.push(b':');
    let start = into.len();
    let mut space = false;
    for octet in value {
        match octet {
            b'\r' | b'\n' => {}
            b' ' | b'\t' => space = into.len() > start,
            octet => {
                if std::mem::take(&mut space) {
                    into.push(b' ');
                }
                into.push(*octet);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sha256(octets: &[u8]) -> Hash {
        aws_lc_rs::digest::digest(&SHA256, octets).as_ref().try_into().unwrap()
    }

    fn hashes(body: &[u8]) -> BodyHashes {
        let mut hasher = BodyHasher::default();
        hasher.feed(body);
        hasher.finish()
    }

    #[test]
    fn awkward_ends() {
        for (body, simple, relaxed) in [
            ("", "\r\n", ""),
            ("\r\n", "\r\n", ""),
            ("\r\n\r\n\r\n", "\r\n", ""),
            (" \r\n", " \r\n", ""),
            ("\t\r\n \r\n\r\n", "\t\r\n \r\n", ""),
            ("a", "a\r\n", "a\r\n"),
            ("a \t b  \r\n", "a \t b  \r\n", "a b\r\n"),
            ("a\r\n \r\n\t\r\n", "a\r\n \r\n\t\r\n", "a\r\n"),
            ("a\r\n\r\n\r\nb\r\n\r\n", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"),
            ("  a\r\n", "  a\r\n", " a\r\n"),
            ("a\r\n \r\nb\r\n", "a\r\n \r\nb\r\n", "a\r\n\r\nb\r\n"),
            ("a\rb\nc\r\n", "a\rb\nc\r\n", "a\rb\nc\r\n"),
            ("a\r", "a\r\r\n", "a\r\r\n"),
            ("a\r\r\n", "a\r\r\n", "a\r\r\n"),
            // RFC 6376 §3.4.5
            (" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"),
        ] {
            let found = hashes(body.as_bytes());
            assert_eq!(found.simple, sha256(simple.as_bytes()), "simple {body:?}");
            assert_eq!(found.relaxed, sha256(relaxed.as_bytes()), "relaxed {body:?}");
        }
    }

    #[test]
    fn fields_relaxed() {
        for (name, value, expected) in [
            ("A", " X\r\n", "a:X"),
            ("B ", " Y\t\r\n\tZ  \r\n", "b:Y Z"),
            ("SUBJect", "\r\n a   b\t c \t\r\n", "subject:a b c"),
            ("Empty", " \r\n", "empty:"),
        ] {
            let mut found = Vec::new();
            relaxed_field(name.as_bytes(), value.as_bytes(), &mut found);
            assert_eq!(found, expected.as_bytes());
        }
    }

    #[test]
    fn many_empty_lines_cost_no_memory() {
        let mut hasher = BodyHasher::default();
        for _ in 0..10_000 {
            hasher.feed(&b"\r\n".repeat(100));
        }
        assert!(hasher.simple.block.capacity() <= 2 * BLOCK_BYTES);
        assert_eq!(hasher.finish(), hashes(b""));
    }

    #[test]
    fn many_empty_lines_within_count() {
        for lines in [1, 31, 32, 33, 1000] {
            let body = format!("a{}b\r\n", "\r\n".repeat(lines));
            assert_eq!(hashes(body.as_bytes()).relaxed, sha256(body.as_bytes()), "{lines}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(body in "[ab \t\r\n.é]{0,80}", cuts in prop::collection::vec(1usize..9, 0..40)) {
            let body = body.as_bytes();
            let mut hasher = BodyHasher::default();
            let mut at = 0;
            for cut in cuts.into_iter().chain([body.len()]) {
                let next = (at + cut).min(body.len());
                hasher.feed(&body[at..next]);
                at = next;
            }
            prop_assert_eq!(hasher.finish(), hashes(body));
        }
    }
}
