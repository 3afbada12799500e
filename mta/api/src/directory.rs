//! The directory: domains, keys, mailboxes, aliases, senders. One revisioned set in the shared store.
//!
//! An entry has a key, its owner's UID and a digest of its inputs. The set is written whole or by
//! difference; each MTA process serves an immutable snapshot of it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::address::{Address, Domain};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The UID of the resource that it follows from.
    pub owner: Uuid,
    /// What it says; its [`Value::key`] is unique in the directory.
    pub value: Value,
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

/// As the `a=` of a signature names it.
impl std::fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rsa => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        })
    }
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
