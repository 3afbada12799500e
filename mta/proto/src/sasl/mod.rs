//! How a client logs in (RFC 4422): PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 (RFC 5802, RFC 7677).
//!
//! Shared by SMTP, POP3 and IMAP. The machine asks the owner ([`LoginAsk`]); passwords, keys and
//! throttling are the owner's.
//!
//! - this page: the questions and answers;
//! - [`server`]: one login exchange, the server's side;
//! - `scram`: the messages of SCRAM;
//! - [`keys`]: its arithmetic: keys from a password, proofs from keys.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

pub mod keys;
mod scram;
pub mod server;

pub use server::{Exchange, Mechanism, SaslFailure, SaslStep};

/// A secret that no log and no `{:?}` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is kept of a password: SCRAM-SHA-256 keys (RFC 5802 §3). Serves PLAIN and LOGIN too.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Random octets, at least 16.
    pub salt: Vec<u8>,
    /// PBKDF2 iterations, at least 4096 (RFC 7677 §4).
    pub iterations: u32,
    /// H(HMAC(SaltedPassword, "Client Key")).
    pub stored_key: [u8; 32],
    /// HMAC(SaltedPassword, "Server Key").
    pub server_key: [u8; 32],
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys(…)")
    }
}

/// A question of a login exchange to the owner.
#[derive(Debug)]
pub enum LoginAsk {
    /// Is this the user's password? Answer: `Granted`, `Denied`, `Unavailable` or `Throttled`.
    Password {
        /// The user's name as sent, in UTF-8.
        name: String,
        /// The password as sent.
        password: Secret,
    },
    /// The user's SCRAM keys. Answer: `Keys` (made up but stable for an unknown user, RFC 5802 §7), `Unavailable` or `Throttled`.
    Keys {
        /// The user's name as sent, unescaped.
        name: String,
    },
    /// The SCRAM proof was checked against the keys given: may the user in? Answer: `Granted` or `Denied`;
    /// the owner grants only where `right` is true and the user exists.
    Proved {
        /// The user's name as sent, unescaped.
        name: String,
        /// Whether the proof matched the keys.
        right: bool,
    },
}

/// The owner's answer to a [`LoginAsk`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginAnswer {
    /// The keys that were asked for.
    Keys(ScramKeys),
    /// Logged in.
    Granted,
    /// Name or password wrong; which of them is never said.
    Denied,
    /// The store cannot tell now: a temporary error.
    Unavailable,
    /// Too many failures: a temporary error.
    Throttled,
}

/// A response as it stands on the wire: base64, padded (RFC 4648 §4). `None`: not base64.
pub fn decode(line: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(line).ok()
}

/// An initial response as it stands on the wire: base64, or "=" for an empty one (RFC 4954 §4, RFC 5034 §4).
pub fn decode_initial(text: &[u8]) -> Option<Vec<u8>> {
    if text == b"=" { Some(Vec::new()) } else { decode(text) }
}

/// A challenge as it stands on the wire: base64.
pub fn encode(challenge: &[u8]) -> String {
    STANDARD.encode(challenge)
}

/// The nonce of a session's exchange: never the same twice, as long as the session's seed is random.
pub fn nonce(seed: &[u8; 32], exchange: u64) -> [u8; 24] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, seed), &exchange.to_be_bytes());
    let mut nonce = [0; 24];
    for (to, from) in nonce.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    nonce
}
