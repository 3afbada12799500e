//! The syntax of addresses in MAIL and RCPT (RFC 5321 §4.1.2, RFC 6531 §3.3).
//!
//! Checks and cuts, never rewrites: an address is handed on as sent. Whether it exists is the owner's to say.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Octets of an address: local part (64), `@`, domain (255), RFC 5321 §4.5.3.1. Longer local parts are
/// taken within this: variable envelope senders outgrow 64.
pub const ADDRESS_BYTES_MAX: usize = 320;

/// A path in angle brackets, and what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<'a> {
    /// The address, without brackets and source route; empty for `<>`.
    pub address: &'a str,
    /// What follows the closing bracket.
    pub rest: &'a str,
}

/// Cuts `<…>` off the beginning; `None` if it is not a path. `<>` is one: the caller says whether it may be.
pub fn parse_path(text: &str) -> Option<Path<'_>> {
    let inner = text.trim_start_matches(' ').strip_prefix('<')?;
    // RFC 5321 §4.1.2, A-d-l: a source route must be accepted and should be ignored.
    let inner = if inner.starts_with('@') { skip_source_route(inner)? } else { inner };
    let end = closing_bracket(inner)?;
    let (address, rest) = inner.split_at_checked(end)?;
    Some(Path { address, rest: rest.get(1..)? })
}

/// Whether this is a mailbox: local part, `@`, domain or address literal. Non-ASCII letters may stand in both
/// (RFC 6531 §3.3); that the client declared SMTPUTF8 is for the caller to check.
pub fn is_mailbox(address: &str) -> bool {
    if address.len() > ADDRESS_BYTES_MAX {
        return false;
    }
    // The local part may hold a quoted `@`; a domain never does.
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    is_local_part(local) && (is_domain(domain) || is_address_literal(domain))
}

/// Whether this is the one address that needs no domain (RFC 5321 §4.5.1).
pub fn is_bare_postmaster(address: &str) -> bool {
    address.eq_ignore_ascii_case("postmaster")
}

/// Whether this is a domain in the sense of SMTP: labels of letters, digits and inner hyphens.
pub fn is_domain(domain: &str) -> bool {
    // RFC 5321 §4.5.3.1.2: 255 octets.
    !domain.is_empty() && domain.len() <= 255 && domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let letters = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii() && !c.is_control());
    // RFC 1035 §2.3.4: 63 octets; a U-label may be longer until it is encoded.
    let short = label.len() <= 63 || !label.is_ascii();
    letters && short && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

/// RFC 5321 §4.1.3.
pub fn is_address_literal(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
            inner.get(5..).is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
        _ => inner.parse::<Ipv4Addr>().is_ok(),
    }
}

fn is_local_part(local: &str) -> bool {
    match local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => is_quoted_content(quoted),
        None => local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext)),
    }
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii() && !c.is_control()
}

fn is_quoted_content(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(' '..='~') => {}
                _ => return false,
            },
            '"' => return false,
            c if c.is_control() => return false,
            _ => {}
        }
    }
    true
}

/// What follows `@one,@two:`.
fn skip_source_route(text: &str) -> Option<&str> {
    let (route, rest) = text.split_once(':')?;
    route.split(',').all(|hop| hop.strip_prefix('@').is_some_and(is_domain)).then_some(rest)
}

/// Where the bracket closes, quoted strings passed over.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mailboxes() {
        let long_label = format!("a@{}.example", "x".repeat(64));
        let long = format!("{}@example.com", "x".repeat(320));
        for (address, expected) in [
            ("a@example.com", true),
            ("a.b+c@example.com", true),
            ("!#$%&'*+-/=?^_`{|}~@example.com", true),
            ("\"a b\"@example.com", true),
            ("\"a@b\"@example.com", true),
            ("\"a\\\"b\"@example.com", true),
            ("\"\"@example.com", true),
            ("a@[192.0.2.1]", true),
            ("a@[IPv6:2001:db8::1]", true),
            ("用户@例子.example", true),
            ("", false),
            ("a", false),
            ("@example.com", false),
            ("a@", false),
            ("a..b@example.com", false),
            (".a@example.com", false),
            ("a.@example.com", false),
            ("a b@example.com", false),
            ("a@b@example.com", false),
            ("\"a\"b\"@example.com", false),
            ("\"a\\\"@example.com", false),
            ("a@-example.com", false),
            ("a@exa_mple.com", false),
            ("a@example..com", false),
            ("a@example.com.", false),
            ("a@[192.0.2.256]", false),
            ("a@[IPv6:xyz]", false),
            ("a@[192.0.2.1", false),
            ("a\u{7f}@example.com", false),
            ("a\tb@example.com", false),
            ("a\u{85}@example.com", false),
            (&long_label, false),
            (&long, false),
        ] {
            assert_eq!(is_mailbox(address), expected, "{address:?}");
        }
    }

    #[test]
    fn paths() {
        let path = |address, rest| Some(Path { address, rest });
        for (text, expected) in [
            ("<>", path("", "")),
            (" <a@b> SIZE=1", path("a@b", " SIZE=1")),
            ("<\"a>\"@b>", path("\"a>\"@b", "")),
            ("<\"a\\\">\"@b>x", path("\"a\\\">\"@b", "x")),
            ("<@one,@two.example:a@b>", path("a@b", "")),
            ("<@one:>", path("", "")),
            ("<@one a@b>", None),
            ("<@one,two:a@b>", None),
            ("<@:a@b>", None),
            ("a@b", None),
            ("<a@b", None),
            ("<\"a>", None),
            ("", None),
        ] {
            assert_eq!(parse_path(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[<>@:,\"\\\\a. é\\[\\]]{0,30}") {
            if let Some(path) = parse_path(&text) {
                prop_assert!(text.contains(path.address));
                is_mailbox(path.address);
            }
        }

        #[test]
        fn a_mailbox_never_holds_a_line_end(address in "\\PC{0,5}[\r\n\0\t]\\PC{0,5}@example.com") {
            prop_assert!(!is_mailbox(&address));
        }
    }
}
