//! The Authentication-Results field that we add (RFC 8601). What a sender chose is written only as far
//! as it can end neither a value nor a line.

use std::fmt::Write;

use paquebot_mta_api::address::Domain;

use super::{Dkim, Outcome, SpfIdentity, Verdict};

/// Octets of one value.
const VALUE_OCTETS_MAX: usize = 255;
/// Octets of a comment.
const COMMENT_OCTETS_MAX: usize = 60;

impl Verdict {
    /// The field in the name of `hostname`, folded, ended by CRLF.
    pub fn authentication_results(&self, hostname: &Domain) -> String {
        let mut field = format!("Authentication-Results: {hostname}");
        let property = match self.spf.identity {
            SpfIdentity::MailFrom => "mailfrom",
            SpfIdentity::Helo => "helo",
        };
        // Writing into a String cannot fail.
        let _ = write!(field, ";\r\n\tspf={}", self.spf.outcome);
        if let Some(domain) = &self.spf.domain {
            let _ = write!(field, " smtp.{property}={domain}");
        }
        if self.dkim.is_empty() {
            field.push_str(";\r\n\tdkim=none");
        }
        for signature in &self.dkim {
            field.push_str(&dkim(signature));
        }
        let _ = write!(field, ";\r\n\tdmarc={}", self.dmarc.outcome);
        if let Some(policy) = self.dmarc.policy {
            let _ = write!(field, " (p={})", policy.as_str());
        }
        if let Ok(author) = &self.author {
            let _ = write!(field, " header.from={author}");
        }
        field.push_str("\r\n");
        field
    }
}

fn dkim(signature: &Dkim) -> String {
    let mut text = format!(";\r\n\tdkim={}", signature.outcome);
    if signature.outcome != Outcome::Pass && !signature.reason.is_empty() {
        let _ = write!(text, " ({})", comment(&signature.reason));
    }
    if let Some(domain) = &signature.domain {
        let _ = write!(text, "\r\n\t header.d={domain}");
        if !signature.selector.is_empty() {
            let _ = write!(text, " header.s={}", value(&signature.selector));
        }
        let _ = write!(text, "\r\n\t header.a={}", signature.algorithm);
        if !signature.signature_start.is_empty() {
            let _ = write!(text, " header.b=\"{}\"", value(&signature.signature_start));
        }
    }
    text
}

/// A token (RFC 2045 §5.1), all else replaced; base64's characters are let through for quoting.
fn value(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-+/".contains(c);
    text.chars().take(VALUE_OCTETS_MAX).map(|c| if fits(c) { c } else { '_' }).collect()
}

/// Text in a comment: nothing that could end it.
fn comment(text: &str) -> String {
    let fits = |c: &char| c.is_ascii_graphic() && !"()\\\";".contains(*c) || *c == ' ';
    text.chars().filter(fits).take(COMMENT_OCTETS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Dmarc, DmarcPolicy, Spf};

    fn verdict(selector: &str, reason: &str) -> Verdict {
        Verdict {
            author: Ok("example.com".parse().unwrap()),
            spf: Spf {
                outcome: Outcome::Pass,
                domain: Some("example.com".parse().unwrap()),
                identity: SpfIdentity::MailFrom,
            },
            dkim: vec![Dkim {
                outcome: Outcome::Fail,
                domain: Some("example.com".parse().unwrap()),
                selector: selector.into(),
                algorithm: "rsa-sha256",
                signature_start: "ab+/12==".into(),
                reason: reason.into(),
            }],
            dmarc: Dmarc { outcome: Outcome::Pass, policy: Some(DmarcPolicy::None) },
        }
    }

    #[test]
    fn a_field() {
        let us = "mx.example.org".parse().unwrap();
        assert_eq!(
            verdict("s1", "the body was changed").authentication_results(&us),
            "Authentication-Results: mx.example.org;\r\n\tspf=pass smtp.mailfrom=example.com;\r\n\t\
             dkim=fail (the body was changed)\r\n\t header.d=example.com header.s=s1\r\n\t \
             header.a=rsa-sha256 header.b=\"ab+/12__\";\r\n\tdmarc=pass (p=none) header.from=example.com\r\n"
        );
    }

    #[test]
    fn nothing_can_be_injected() {
        let us = "mx.example.org".parse().unwrap();
        let plain = verdict("s1", "why").authentication_results(&us);
        for evil in ["x; dmarc=pass", "x\r\nX: y", "x) dmarc=pass (", "\"", "x\r\n\r\nbody", "\\", "ü\0", "a b"] {
            for verdict in [verdict(evil, "why"), verdict("s1", evil)] {
                let field = verdict.authentication_results(&us);
                for mark in ["\r\n", ";", "(", ")", "\"", "="] {
                    let most = plain.matches(mark).count() + usize::from(mark == "=" && verdict.dkim[0].reason == evil);
                    assert!(field.matches(mark).count() <= most, "{mark:?} of {evil:?} in {field}");
                }
                assert!(field.is_ascii() && !field.contains('\\'));
            }
        }
        assert!(
            verdict(&"s".repeat(5000), &"r".repeat(5000)).authentication_results(&us).lines().all(|it| it.len() < 998)
        );
    }
}
