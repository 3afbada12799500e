//! The Received field that we add (RFC 5321 §4.4).
//!
//! What a client said is written only as far as it is harmless: nothing can end a line or a comment.

use std::net::IpAddr;

use paquebot_mta_api::address::{Address, Domain};

use super::{MessageId, date};
use crate::time::Micros;

/// Octets of a client's EHLO name that are written (RFC 5321 §4.5.3.1.2).
const HELLO_OCTETS_MAX: usize = 255;

/// What a Received field says.
#[derive(Debug, Clone)]
pub struct Received<'a> {
    /// The name that the client gave in EHLO or HELO.
    pub hello: Option<&'a str>,
    /// The client's address; `None` hides it, as submission may (RFC 8314 §7.1 and privacy).
    pub client: Option<IpAddr>,
    /// Our host name.
    pub by: &'a Domain,
    /// ESMTP, ESMTPS, ESMTPSA … (RFC 3848).
    pub with: &'a str,
    /// Version and cipher, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`, where there is TLS.
    pub tls: Option<&'a str>,
    /// The message's id here.
    pub id: MessageId,
    /// The one recipient; with several, none is told of the others.
    pub recipient: Option<&'a Address>,
    /// When.
    pub now: Micros,
}

impl Received<'_> {
    /// The field, ended by CRLF, folded.
    pub fn field(&self) -> String {
        let hello = self.hello.map_or_else(|| "unknown".into(), harmless);
        let client = match self.client {
            Some(IpAddr::V4(address)) => format!(" ([{address}])"),
            Some(IpAddr::V6(address)) => format!(" ([IPv6:{address}])"),
            None => String::new(),
        };
        let tls = self.tls.map(|tls| format!("\r\n\t({})", words(tls))).unwrap_or_default();
        let recipient = self
            .recipient
            // Octets above 127 in a trace field would make the whole message need SMTPUTF8.
            .filter(|address| !address.needs_smtputf8())
            .map(|address| format!("\r\n\tfor <{address}>"))
            .unwrap_or_default();
        format!(
            "Received: from {hello}{client}\r\n\tby {}\r\n\twith {} id {}{tls}{recipient};\r\n\t{}\r\n",
            self.by,
            harmless(self.with),
            self.id,
            date::rfc5322(self.now),
        )
    }
}

fn words(text: &str) -> String {
    text.split(' ').map(harmless).collect::<Vec<_>>().join(" ")
}

/// Letters, digits and what stands in host names and address literals; all else becomes `?`.
pub(crate) fn harmless(text: &str) -> String {
    let text: String = text
        .chars()
        .take(HELLO_OCTETS_MAX)
        .map(|c| if c.is_ascii_alphanumeric() || ".-_:[]".contains(c) { c } else { '?' })
        .collect();
    if text.is_empty() { "unknown".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(hello: Option<&str>) -> String {
        Received {
            hello,
            client: Some("2001:db8::1".parse().unwrap()),
            by: &"mx.example.org".parse().unwrap(),
            with: "ESMTPS",
            tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384"),
            id: MessageId(uuid::Uuid::nil()),
            recipient: Some(&"bob@example.org".parse().unwrap()),
            now: Micros(0),
        }
        .field()
    }

    #[test]
    fn a_field() {
        assert_eq!(
            received(Some("mail.example.com")),
            "Received: from mail.example.com ([IPv6:2001:db8::1])\r\n\tby mx.example.org\r\n\t\
             with ESMTPS id 00000000000000000000000000000000\r\n\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tfor <bob@example.org>;\r\n\t\
             Thu, 1 Jan 1970 00:00:00 +0000\r\n"
        );
        assert!(received(None).starts_with("Received: from unknown ("));
    }

    #[test]
    fn the_field_is_ascii_whoever_the_recipient_is() {
        let field = Received {
            hello: None,
            client: None,
            by: &"mx.example.org".parse().unwrap(),
            with: "UTF8SMTPSA",
            tls: None,
            id: MessageId(uuid::Uuid::nil()),
            recipient: Some(&"jörg@example.org".parse().unwrap()),
            now: Micros(0),
        }
        .field();
        assert!(field.is_ascii() && !field.contains("for "), "{field}");
    }

    #[test]
    fn nothing_can_be_injected() {
        for hello in ["x\r\nBcc: y@z", "x) by evil (", "x\r\n\r\nbody", "ü", "", "x; Thu, 1 Jan", "\0"] {
            let field = received(Some(hello));
            assert_eq!(field.matches("\r\n").count(), 6, "{hello:?}");
            assert_eq!(field.matches('(').count(), 2);
            assert_eq!(field.matches(';').count(), 1);
            assert!(field.is_ascii());
        }
        assert!(received(Some(&"x".repeat(100_000))).lines().all(|line| line.len() < 998));
    }
}
