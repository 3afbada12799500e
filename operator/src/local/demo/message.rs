//! The messages of the demo: written, and taken apart again.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use uuid::Uuid;

/// RFC 2045 §6.8: columns of base64.
const BASE64_COLUMNS: usize = 76;

/// A message as a user's program hands it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its Message-ID, without brackets.
    pub id: String,
    /// Its octets.
    pub octets: Vec<u8>,
}

/// A short text. `date`: as RFC 5322 §3.3 writes it.
pub fn plain(from: &str, to: &str, subject: &str, text: &str) -> Letter {
    letter(from, to, subject, "text/plain; charset=utf-8", &format!("{text}\r\n"))
}

/// A text with a binary attachment. Its lines are those that go wrong easily: dots at their start, white space at
/// their end, empty ones last.
pub fn with_attachment(from: &str, to: &str, subject: &str, attachment: &[u8]) -> Letter {
    let mut body = String::from(
        "--part\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         Gr=C3=BC=C3=9Fe!\r\n.\r\n..two dots\r\nspaces at the end: \t \r\n\r\n\r\n\
         --part\r\nContent-Type: application/octet-stream; name=\"cat.bin\"\r\n\
         Content-Disposition: attachment; filename=\"cat.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    );
    for (index, character) in STANDARD.encode(attachment).chars().enumerate() {
        if index > 0 && index % BASE64_COLUMNS == 0 {
            body.push_str("\r\n");
        }
        body.push(character);
    }
    body.push_str("\r\n--part--\r\n \r\n\r\n");
    letter(from, to, subject, "multipart/mixed; boundary=part", &body)
}

fn letter(from: &str, to: &str, subject: &str, kind: &str, body: &str) -> Letter {
    let domain = from.rsplit_once('@').map_or("invalid", |(_, domain)| domain);
    let id = format!("{}@{domain}", Uuid::now_v7().simple());
    let octets = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: {}\r\nMessage-ID: <{id}>\r\nMIME-Version: 1.0\r\n\
         Content-Type: {kind}\r\n\r\n{body}",
        encoded(subject)
    );
    Letter { id, octets: octets.into_bytes() }
}

/// RFC 2047 §4.2, where it is needed.
fn encoded(subject: &str) -> String {
    if subject.is_ascii() {
        return subject.to_owned();
    }
    let mut text = "=?utf-8?q?".to_owned();
    for octet in subject.bytes() {
        match octet {
            b' ' => text.push('_'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => text.push(char::from(octet)),
            _ => drop(write!(text, "={octet:02X}")),
        }
    }
    text + "?="
}

/// Header and body, as they were sent.
pub fn parts(octets: &[u8]) -> (&[u8], &[u8]) {
    let end = octets.windows(4).position(|window| window == b"\r\n\r\n").map_or(octets.len(), |at| at + 4);
    octets.split_at(end)
}

/// A header field's values, unfolded, first to last.
pub fn field(octets: &[u8], name: &str) -> Vec<String> {
    let (header, _) = parts(octets);
    let mut fields: Vec<String> = Vec::new();
    for line in String::from_utf8_lossy(header).split("\r\n") {
        match fields.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
            _ => fields.push(line.to_owned()),
        }
    }
    let value = |field: &String| {
        let (key, value) = field.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    fields.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_taken_apart() {
        let letter = with_attachment("alice@example.com", "bob@example.org", "Grüße", &[0, 255, 13, 10]);
        assert_eq!(field(&letter.octets, "subject"), ["=?utf-8?q?Gr=C3=BC=C3=9Fe?="]);
        assert_eq!(field(&letter.octets, "Message-Id"), [format!("<{}>", letter.id)]);
        let (header, body) = parts(&letter.octets);
        assert!(header.ends_with(b"\r\n\r\n") && body.starts_with(b"--part\r\n"));
        assert_eq!(field(b"A: 1\r\n\t2\r\nB: 3\r\na:4\r\n\r\nA: 5\r\n", "a"), ["1\t2", "4"]);
        assert!(letter.octets.is_ascii());
    }
}
