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
    let fits = |c: &char| c.is_ascii_graphic() && !"()\\\"".contains(*c) || *c == ' ';
    text.chars().filter(fits).take(COMMENT_OCTETS_MAX).collect()
}
