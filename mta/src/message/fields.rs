//! What header fields say: authors, Message-ID, Received. Reads only; [`super::mend`] changes.

use paquebot_mta_api::address::Domain;

use super::{
    addresses::{Author, addresses},
    header::fields,
};

/// Received fields above which a message is in a loop (RFC 5321 §6.3: at least 100).
pub const RECEIVED_MAX: usize = 100;
/// Octets of a Message-ID (RFC 5322 §2.1.1: a line).
pub const MESSAGE_ID_BYTES_MAX: usize = 998;

/// Why a message has no author to whom a policy could apply (RFC 7489 §6.6.1).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FromError {
    /// No From field.
    #[error("there is no From field: add one with your address")]
    Missing,
    /// Several From fields (RFC 5322 §3.6 allows one).
    #[error("there are {0} From fields: send exactly one")]
    SeveralFields(usize),
    /// Addresses of several domains.
    #[error("the From field names several domains: send addresses of one domain")]
    SeveralDomains,
    /// No address in it, or something that is none.
    #[error("the From field has no readable address: write it as Name <name@example.com>")]
    Unreadable,
    /// A line that some reader's program takes for a From field, or that would become part of our own field above it.
    #[error("the header has a line that is no field but may be read as one: start each with its name and a colon")]
    Disguised,
}

/// The one domain of the one From field.
pub fn author_domain(header: &[u8]) -> Result<Domain, FromError> {
    let mut domains = authors(header)?.into_iter().map(|author| author.domain);
    let first = domains.next().ok_or(FromError::Unreadable)?;
    if domains.all(|domain| domain == first) { Ok(first) } else { Err(FromError::SeveralDomains) }
}

/// The addresses of the one From field; at least one.
pub fn authors(header: &[u8]) -> Result<Vec<Author>, FromError> {
    if has_disguised_from(header) {
        return Err(FromError::Disguised);
    }
    let mut from = fields(header).filter(|field| field.is("From"));
    let field = from.next().ok_or(FromError::Missing)?;
    match from.count() {
        0 => addresses(field.value).ok_or(FromError::Unreadable),
        more => Err(FromError::SeveralFields(more + 1)),
    }
}

/// Whether a line is no From field for us and may be one elsewhere: octets that do not belong in a name
/// (RFC 5322 §2.2) are left out by some programs; a first line that is folded would continue our own field.
fn has_disguised_from(header: &[u8]) -> bool {
    let reads_as_from = |octets: &[u8]| {
        let Some(colon) = octets.iter().position(|octet| *octet == b':') else { return false };
        let name = octets.get(..colon).unwrap_or_default().iter().filter(|octet| octet.is_ascii_graphic());
        name.map(u8::to_ascii_lowercase).eq(*b"from")
    };
    header.starts_with(b" ")
        || header.starts_with(b"\t")
        || fields(header).any(|field| field.name.is_empty() && reads_as_from(field.value))
}

/// The addresses of all Sender fields; `None` where one of them is unreadable.
pub fn senders(header: &[u8]) -> Option<Vec<Author>> {
    addresses_of(header, "Sender")
}

fn addresses_of(header: &[u8], name: &str) -> Option<Vec<Author>> {
    let mut all = Vec::new();
    for field in fields(header).filter(|field| field.is(name)) {
        all.extend(addresses(field.value)?);
    }
    Some(all)
}

/// The first Message-ID, without brackets; empty where there is none. Printable only: it goes into journeys.
pub fn message_id(header: &[u8]) -> String {
    let Some(field) = fields(header).find(|field| field.is("Message-ID")) else {
        return String::new();
    };
    let text = field.unfolded();
    let id = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(text.as_str(), |(id, _)| id);
    let id: String = id.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    let end = id.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MESSAGE_ID_BYTES_MAX).last();
    id.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

/// Whether a field of this name stands in the header.
pub fn has(header: &[u8], name: &str) -> bool {
    fields(header).any(|field| field.is(name))
}

/// How many servers the message has passed; above [`RECEIVED_MAX`] it is in a loop (RFC 5321 §6.3).
pub fn received_count(header: &[u8]) -> usize {
    fields(header).filter(|field| field.is("Received")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(from: &str) -> Result<String, FromError> {
        author_domain(format!("Subject: x\r\n{from}\r\n\r\n").as_bytes()).map(|domain| domain.to_string())
    }

    #[test]
    fn one_author_domain() {
        for from in [
            "From: alice@example.com",
            "from : Alice <alice@EXAMPLE.com>",
            "From: \"Alice, the @ other\" <alice@example.com>",
            "From: alice@example.com, bob@example.com",
            "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.com>",
            "From: Alice\r\n <alice@example.com>",
            "From: alice@example.com (Alice @ home)",
            "From: Team: alice@example.com, bob@example.com;",
            "From: \"bob@bank.example\" <alice@example.com>",
            "From: \"a b\"@example.com",
            "From: <alice@example.com>",
            "From: alice@example.com <alice@example.com>",
            "From: alice @ example.com,",
            "From: \"a\\\"@evil.example\" <alice@example.com>",
        ] {
            assert_eq!(domain(from), Ok("example.com".into()), "{from}");
        }
    }

    #[test]
    fn no_author_domain() {
        use FromError::*;
        for (from, error) in [
            ("To: x@y.example", Missing),
            ("From: a@example.com\r\nFROM: b@example.com", SeveralFields(2)),
            ("From: a@example.com\r\nFrom : b@evil.example", SeveralFields(2)),
            ("From: a@example.com, b@example.org", SeveralDomains),
            ("From:", Unreadable),
            ("From: a@example.com\r\nFrom\u{b}: b@evil.example", Disguised),
            ("From: a@example.com\r\nFr\0om: b@evil.example", Disguised),
            ("From: a@example.com\r\nF\u{ad}rom: b@evil.example", Disguised),
            ("From: a@example.com\r\nF rom: b@evil.example", Disguised),
            ("From: Alice", Unreadable),
            ("From: undisclosed:;", Unreadable),
            ("From: a@example.com <b@evil.example>", SeveralDomains),
            ("From: <b@evil.example> a@example.com", SeveralDomains),
            ("From: a@example.com: b@evil.example;", SeveralDomains),
            ("From: a@example.com b@evil.example", Unreadable),
            ("From: a@[192.0.2.1]", Unreadable),
            ("From: <@x.example:a@example.com>", Unreadable),
            ("From: a@example.com\0", Unreadable),
            ("From: <a@example.com> <b@evil.example>", Unreadable),
            ("From: <a@example.com", Unreadable),
            ("From: \"a@example.com", Unreadable),
            ("From: a@exa mple.com, ", Unreadable),
        ] {
            match (domain(from), error) {
                (Err(found), expected) => assert_eq!(found, expected, "{from}"),
                (Ok(found), _) => panic!("{from} gave {found}"),
            }
        }
    }

    #[test]
    fn the_first_line_is_a_field() {
        for header in [" From: a@evil.example\r\nFrom: a@example.com", "\tdmarc=pass\r\nFrom: a@example.com"] {
            assert_eq!(author_domain(header.as_bytes()), Err(FromError::Disguised), "{header}");
        }
    }

    #[test]
    fn message_ids() {
        for (field, id) in [
            ("Message-ID: <a.b@example.com>", "a.b@example.com"),
            ("message-id:\r\n <a@b>", "a@b"),
            ("Message-Id: bare@b", "bare@b"),
            ("Message-ID: <a\x07b@c>", "ab@c"),
            ("Subject: none", ""),
        ] {
            assert_eq!(message_id(format!("{field}\r\n\r\n").as_bytes()), id);
        }
        let long = message_id(format!("Message-ID: <{}>\r\n", "ö".repeat(5000)).as_bytes());
        assert!(long.len() <= MESSAGE_ID_BYTES_MAX);
    }

    #[test]
    fn a_huge_from_is_unreadable() {
        let list = "a@example.com, ".repeat(5000);
        assert_eq!(domain(&format!("From: {list} b@example.com")), Err(FromError::Unreadable));
        assert_eq!(domain(&format!("From: {}a@example.com", "(".repeat(10_000))), Err(FromError::Unreadable));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(value in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let block = [b"From: ".as_slice(), &value, b"\r\n\r\n"].concat();
            let _ = author_domain(&block);
            let _ = message_id(&[b"Message-ID: ".as_slice(), &value].concat());
        }

        #[test]
        fn never_panics_on_address_like(value in "[a@.<>()\",;: \r\n\t=?-]{0,40}") {
            let _ = author_domain(format!("From: {value}\r\n\r\n").as_bytes());
        }
    }
}
