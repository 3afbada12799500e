//! Domains and addresses, in the one form in which they are stored and compared.
//!
//! A domain is kept as A-labels in lower case (RFC 5890); a local part in NFC, compared without case
//! only where it is ours (RFC 5321 §2.4).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Octets of a domain name at most (RFC 1035 §2.3.4, RFC 5321 §4.5.3.1.2).
pub const DOMAIN_OCTETS_MAX: usize = 253;
/// Octets of a local part at most (RFC 5321 §4.5.3.1.1).
pub const LOCAL_PART_OCTETS_MAX: usize = 64;

/// What is wrong with a domain or an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No "@".
    #[error("\"{0}\" has no @: write it as name@example.com")]
    NoAt(String),
    /// The local part is empty, too long or has characters that need quoting.
    #[error(
        "\"{0}\" is not the part before an @: 1 to {LOCAL_PART_OCTETS_MAX} octets, without spaces, quotes or control characters"
    )]
    LocalPart(String),
    /// Not a domain name.
    #[error("\"{0}\" is not a domain name: write it as example.com")]
    Domain(String),
}

/// A domain name: A-labels, lower case, no trailing dot, at least one label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

impl Domain {
    /// The name, in A-labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    /// Takes U-labels and A-labels, any case, one trailing dot.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError::Domain(text.to_owned());
        let name = text.strip_suffix('.').unwrap_or(text);
        let ascii = idna::domain_to_ascii_strict(name).map_err(|_| wrong())?;
        if ascii.is_empty() || ascii.len() > DOMAIN_OCTETS_MAX {
            return Err(wrong());
        }
        Ok(Self(ascii))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Domain {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

/// A mail address: local part in NFC, as written; domain in A-labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    local: String,
    domain: Domain,
}

impl Address {
    /// An address of these parts.
    pub fn new(local: &str, domain: Domain) -> Result<Self, AddressError> {
        let local: String = unquote(local).nfc().collect();
        let fits = !local.is_empty()
            && local.len() <= LOCAL_PART_OCTETS_MAX
            && !local.chars().any(|c| c.is_control() || c.is_whitespace() || "\"\\<>(),:;[]@".contains(c));
        if !fits {
            return Err(AddressError::LocalPart(local));
        }
        Ok(Self { local, domain })
    }

    /// The part before the @, in NFC, case kept.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the @.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The address as it is compared where the domain is ours: local part without case.
    pub fn folded(&self) -> Self {
        Self { local: self.local.to_lowercase(), domain: self.domain.clone() }
    }

    /// Whether sending to it needs SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }
}

/// `"alice"` and `alice` are the same local part (RFC 5321 §4.1.2).
fn unquote(local: &str) -> &str {
    local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(local)
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| AddressError::NoAt(text.to_owned()))?;
        Self::new(local, domain.parse()?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        for (text, form) in [
            ("alice@example.com", "alice@example.com"),
            ("Alice@EXAMPLE.com.", "Alice@example.com"),
            ("\"alice\"@example.com", "alice@example.com"),
            ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
            ("jo\u{308}rg@example.com", "jörg@example.com"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), form, "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "a b@example.com",
            "alice@exa mple.com",
            "alice@-x.com",
            "a\r\nb@example.com",
            // Written without quotes it would be another address: a route within the local part.
            "\"x@elsewhere.example\"@example.com",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
