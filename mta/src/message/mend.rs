//! Mending a header: pure functions that give new header octets and leave every other octet as it was.

use paquebot_mta_api::address::Domain;

use super::{
    MessageId, date,
    fields::has,
    header::{RawField, fields},
};
use crate::time::Micros;

/// Without the fields that `unwanted` names; all else, the empty line too, stays octet by octet.
pub fn without(header: &[u8], unwanted: impl Fn(&RawField<'_>) -> bool) -> Vec<u8> {
    let mut kept = Vec::with_capacity(header.len());
    let mut at = 0;
    for field in fields(header) {
        if unwanted(&field) {
            kept.extend_from_slice(header.get(at..field.range.start).unwrap_or_default());
            at = field.range.end;
        }
    }
    kept.extend_from_slice(header.get(at..).unwrap_or_default());
    kept
}

/// A header that another server sent, as it is passed on: no Bcc (RFC 5322 §3.6.3, §3.6.6), no
/// Return-Path (RFC 5321 §4.4: only the final server writes it), no results in our name (RFC 8601 §5).
pub fn received_header(header: &[u8], hostname: &Domain) -> Vec<u8> {
    without(header, |field| {
        field.is("Bcc")
            || field.is("Resent-Bcc")
            || field.is("Return-Path")
            || (field.is("Authentication-Results") && claims_to_be(field.value, hostname))
    })
}

/// A header that a user submitted, as it is signed and passed on: as [`received_header`], and with
/// Date and Message-ID where they are missing (RFC 6409 §8.2, §8.3).
pub fn submitted_header(header: &[u8], hostname: &Domain, id: MessageId, now: Micros) -> Vec<u8> {
    let header = received_header(header, hostname);
    let mut added = Vec::new();
    if !has(&header, "Date") {
        added.extend_from_slice(format!("Date: {}\r\n", date::rfc5322(now)).as_bytes());
    }
    if !has(&header, "Message-ID") {
        added.extend_from_slice(format!("Message-ID: <{id}@{hostname}>\r\n").as_bytes());
    }
    if added.is_empty() {
        return header;
    }
    added.extend_from_slice(&header);
    added
}

/// Whether results stand in our name, or in a name that cannot be read: then a reader's program might
/// take it for ours.
fn claims_to_be(value: &[u8], hostname: &Domain) -> bool {
    let Some(id) = results_id(&String::from_utf8_lossy(value)) else {
        return true;
    };
    id.parse::<Domain>().map_or_else(|_| id.eq_ignore_ascii_case(hostname.as_str()), |id| id == *hostname)
}

/// The authserv-id: a token or a quoted string, comments and folding around it (RFC 8601 §2.2).
fn results_id(value: &str) -> Option<String> {
    let mut id = String::new();
    let (mut comments, mut quoted) = (0usize, false);
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => id.push(chars.next()?),
            '\\' if comments > 0 => drop(chars.next()?),
            '"' if comments == 0 => quoted = !quoted,
            _ if quoted => id.push(c),
            '(' => comments += 1,
            ')' if comments > 0 => comments -= 1,
            _ if comments > 0 => {}
            ' ' | '\t' | '\r' | '\n' if id.is_empty() => {}
            ' ' | '\t' | '\r' | '\n' | ';' => break,
            c if c.is_control() => return None,
            c => id.push(c),
        }
    }
    (!id.is_empty() && !quoted && comments == 0).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us() -> Domain {
        "mx.example.org".parse().unwrap()
    }

    #[test]
    fn every_bcc_and_return_path_goes() {
        let header =
            b"Bcc: a@b\r\n c@d\r\nResent-Bcc: e@f\r\nFrom: x  y\r\nbCC : e\r\nReturn-Path: <z>\r\nTo: q\r\n\r\n";
        assert_eq!(received_header(header, &us()), b"From: x  y\r\nTo: q\r\n\r\n");
    }

    #[test]
    fn forged_results_go() {
        for value in [
            "mx.example.org; dmarc=pass",
            "MX.Example.ORG; dmarc=pass",
            "mx.example.org 1; dmarc=pass",
            "(hello) mx.example.org; dmarc=pass",
            "\r\n mx.example.org;\r\n\tdmarc=pass",
            "mx.example.org(really); dmarc=pass",
            "(a(b)\\)c) \"mx.example.org\"; x=y",
            "\"mx.exa\\mple.org\"; x=y",
            "mx.example.org.; x=y",
            "mx.example.org",
            "",
            "(open mx.other.example; x=y",
            "\"open; x=y",
            "; x=y",
        ] {
            let header = format!("From: a\r\nAuthentication-results :{value}\r\nTo: b\r\n\r\n");
            assert_eq!(received_header(header.as_bytes(), &us()), b"From: a\r\nTo: b\r\n\r\n", "{value:?}");
        }
    }

    #[test]
    fn results_of_others_stay() {
        for value in ["mx.example.com; dmarc=pass", "x.mx.example.org; spf=pass (mx.example.org)", "other; x=y"] {
            let header = format!("Authentication-Results: {value}\r\n\r\n");
            assert_eq!(received_header(header.as_bytes(), &us()), header.as_bytes());
        }
    }

    #[test]
    fn what_is_missing_is_added() {
        let id = MessageId(uuid::Uuid::nil());
        let mended = submitted_header(b"From: a\r\n\r\n", &us(), id, Micros(0));
        assert_eq!(
            String::from_utf8(mended).unwrap(),
            "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n\
             Message-ID: <00000000000000000000000000000000@mx.example.org>\r\nFrom: a\r\n\r\n"
        );
        let whole = b"date: x\r\nMESSAGE-ID: <y>\r\n\r\n";
        assert_eq!(submitted_header(whole, &us(), id, Micros(0)), whole);
    }

    proptest::proptest! {
        #[test]
        fn what_stays_is_untouched(block in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            proptest::prop_assert_eq!(without(&block, |_| false), block.clone());
            let mended = received_header(&block, &us());
            proptest::prop_assert!(mended.len() <= block.len());
        }
    }
}
