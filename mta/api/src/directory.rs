//! The directory: domains, keys, mailboxes, aliases, senders. One revisioned set in the shared store.
//!
//! An entry has a key, its owner's UID and a digest of its inputs. The set is written whole or by
//! difference; each MTA process serves an immutable snapshot of it.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::address::{Address, Domain};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The UID of the resource that it follows from.
    pub owner: Uuid,
    /// The digest of its inputs: the same inputs give the same digest, however often keys are derived from a password.
    pub digest: Digest,
    /// What it says; its [`Value::key`] is unique in the directory.
    pub value: Value,
}

impl Entry {
    /// An entry with the digest of its inputs.
    pub fn new(owner: Uuid, value: Value) -> Self {
        Self { owner, digest: value.inputs(), value }
    }
}

/// SHA-256; hexadecimal in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of these octets.
    pub fn of(octets: &[u8]) -> Self {
        digest::digest(&digest::SHA256, octets).into()
    }
}

impl From<digest::Digest> for Digest {
    fn from(digest: digest::Digest) -> Self {
        let mut octets = [0; 32];
        octets.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(octets)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let mut octets = [0; 32];
        if text.len() != 64 || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(NotADigest);
        }
        for (octet, pair) in octets.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(|_| NotADigest)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| NotADigest)?;
        }
        Ok(Self(octets))
    }
}

/// A text that is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct NotADigest;

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Value {
    /// A hosted domain.
    Domain(DomainEntry),
    /// A DKIM key of a hosted domain.
    DkimKey(DkimKeyEntry),
    /// A person's mailbox.
    Mailbox(MailboxEntry),
    /// A name that stands for other addresses.
    Alias(AliasEntry),
}

impl Value {
    /// The digest of the inputs: of the value as JSON, in which of a password's keys only the password's digest counts.
    /// Deriving keys takes a new salt each time, and that is no change.
    pub fn inputs(&self) -> Digest {
        let json = match self {
            Self::Mailbox(mailbox) => {
                let login = mailbox.login.as_ref().map(|keys| LoginKeys::underived(keys.password_digest.clone()));
                serde_json::to_vec(&Self::Mailbox(MailboxEntry { login, ..mailbox.clone() }))
            }
            other => serde_json::to_vec(other),
        };
        Digest::of(&json.unwrap_or_default())
    }

    /// The entry's key: unique in the directory, ordered by kind.
    pub fn key(&self) -> String {
        match self {
            Self::Domain(domain) => format!("domain/{}", domain.domain),
            Self::DkimKey(key) => format!("dkim/{}/{}", key.domain, key.selector),
            Self::Mailbox(mailbox) => format!("mailbox/{}", mailbox.address.folded()),
            Self::Alias(alias) => format!("alias/{}", alias.address.folded()),
        }
    }
}

/// A hosted domain: its mail is ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainEntry {
    /// Its name.
    pub domain: Domain,
    /// Its id: in every row that belongs to it (tenancy).
    pub id: Uuid,
    /// Where mail for unknown local parts goes; `None`: 550 5.1.1.
    pub catch_all: Option<Address>,
}

/// A DKIM key that signs the domain's mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DkimKeyEntry {
    /// The signing domain (`d=`).
    pub domain: Domain,
    /// The selector (`s=`).
    pub selector: String,
    /// The algorithm (`a=`).
    pub algorithm: KeyAlgorithm,
    /// The private key, PKCS#8 DER. Sealed before it reaches the store.
    pub private_key: PrivateKey,
}

/// A signing algorithm (RFC 6376 §3.3, RFC 8463).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyAlgorithm {
    /// rsa-sha256.
    Rsa,
    /// ed25519-sha256.
    Ed25519,
}

/// A private key that no log and no `{:?}` shows. PKCS#8 DER; base64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(pub Vec<u8>);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl Serialize for PrivateKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine;
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for PrivateKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine;
        let text = String::deserialize(deserializer)?;
        let octets = base64::engine::general_purpose::STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(Self(octets))
    }
}

/// A person's mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailboxEntry {
    /// Its address, also the login name.
    pub address: Address,
    /// Its id, made from its owner's UID: the mail belongs to the id, not to the address.
    pub account: Uuid,
    /// Octets at most; `None`: no limit.
    pub quota_bytes: Option<u64>,
    /// What is kept of the password; `None`: nobody can log in.
    pub login: Option<LoginKeys>,
}

/// SCRAM-SHA-256 keys (RFC 5802 §3), derived once from the password; base64 in JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginKeys {
    /// 16 random octets or more, base64.
    pub salt: String,
    /// PBKDF2 iterations.
    pub iterations: u32,
    /// 32 octets, base64.
    pub stored_key: String,
    /// 32 octets, base64.
    pub server_key: String,
    /// An HMAC of the password under a key of the writer: tells whether a password changed without
    /// deriving anything again. Empty where nobody needs to know.
    pub password_digest: String,
}

impl LoginKeys {
    /// Keys that are still to be derived: nobody can log in with them. Gives an entry its digest at no cost.
    pub fn underived(password_digest: String) -> Self {
        Self {
            salt: String::new(),
            iterations: 0,
            stored_key: String::new(),
            server_key: String::new(),
            password_digest,
        }
    }

    /// Whether they are still to be derived.
    pub fn is_underived(&self) -> bool {
        self.stored_key.is_empty()
    }
}

impl std::fmt::Debug for LoginKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginKeys(…)")
    }
}

/// A name that stands for other addresses, ours or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AliasEntry {
    /// The name.
    pub address: Address,
    /// At least one.
    pub to: Vec<Address>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(login: Option<LoginKeys>) -> Value {
        let address = "alice@example.com".parse().unwrap();
        Value::Mailbox(MailboxEntry { address, account: Uuid::nil(), quota_bytes: None, login })
    }

    #[test]
    fn deriving_keys_again_is_no_change() {
        let derived = |password: &str, salt: u8| mailbox(Some(LoginKeys::derive(password, &[salt; 16], 4096, b"key")));
        let planned = mailbox(Some(LoginKeys::underived(LoginKeys::digest("secret", b"key"))));
        assert_eq!(derived("secret", 1).inputs(), derived("secret", 2).inputs());
        assert_eq!(derived("secret", 1).inputs(), planned.inputs());
        assert_ne!(derived("secret", 1).inputs(), derived("Secret", 1).inputs());
        assert_ne!(derived("secret", 1).inputs(), mailbox(None).inputs());
    }

    #[test]
    fn a_private_key_counts_and_a_digest_reads_back() {
        let key = |octet: u8| {
            let (domain, private_key) = ("example.com".parse().unwrap(), PrivateKey(vec![octet]));
            Value::DkimKey(DkimKeyEntry { domain, selector: "s".into(), algorithm: KeyAlgorithm::Rsa, private_key })
        };
        assert_ne!(key(1).inputs(), key(2).inputs());
        let digest = key(1).inputs();
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in ["", "00", &"g".repeat(64), &"+f".repeat(32)] {
            assert_eq!(wrong.parse::<Digest>(), Err(NotADigest), "{wrong}");
        }
    }
}
