//! Keys between the directory (base64) and the exchange (octets), and made-up ones for unknown names.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use paquebot_mta_api::{directory::LoginKeys, password};
use paquebot_proto::sasl::ScramKeys;

/// The directory's keys as the exchange takes them; `None`: they are broken.
pub fn from_directory(keys: &LoginKeys) -> Option<ScramKeys> {
    let octets = |text: &str| STANDARD.decode(text).ok();
    Some(ScramKeys {
        salt: octets(&keys.salt)?,
        iterations: keys.iterations,
        stored_key: octets(&keys.stored_key)?.try_into().ok()?,
        server_key: octets(&keys.server_key)?.try_into().ok()?,
    })
}

/// A password as it came from a client, as it is hashed. One that is not UTF-8 stays as it is.
pub fn prepare(sent: &[u8]) -> Vec<u8> {
    std::str::from_utf8(sent).map_or_else(|_| sent.to_vec(), |text| password::prepare(text).into_bytes())
}

/// Makes keys for names that nobody has: the same each time, and shaped like real ones, so that a
/// client cannot tell (RFC 5802 §5.1, §7). No password is known that matches them.
pub struct MadeUp {
    secret: hmac::Key,
}

impl MadeUp {
    /// The secret stays the same over restarts, or the salts would tell.
    pub fn new(secret: &[u8]) -> Self {
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// Keys for this name.
    pub fn keys(&self, name: &str) -> ScramKeys {
        ScramKeys {
            salt: self.octets::<{ password::SALT_BYTES }>("salt", name).to_vec(),
            iterations: password::ITERATIONS,
            stored_key: self.octets("stored", name),
            server_key: self.octets("server", name),
        }
    }

    fn octets<const N: usize>(&self, purpose: &str, name: &str) -> [u8; N] {
        let tag = hmac::sign(&self.secret, format!("{purpose}\0{name}").as_bytes());
        let mut octets = [0; N];
        for (to, from) in octets.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_keys_are_the_exchanges_keys() {
        for secret in ["pencil", "pa\u{308}ss\u{a0}word\u{ad}"] {
            let keys = LoginKeys::derive(secret, b"0123456789abcdef", 4096, b"digest key");
            let taken = from_directory(&keys).unwrap();
            assert_eq!(taken, ScramKeys::derive(&prepare(secret.as_bytes()), b"0123456789abcdef", 4096));
        }
    }

    #[test]
    fn broken_keys_are_none() {
        let good = LoginKeys::derive("x", b"0123456789abcdef", 1, b"");
        assert!(from_directory(&LoginKeys { stored_key: "AAAA".into(), ..good.clone() }).is_none());
        assert!(from_directory(&LoginKeys { salt: "*".into(), ..good }).is_none());
    }

    #[test]
    fn made_up_keys_are_stable_and_look_real() {
        let (one, other) = (MadeUp::new(b"secret"), MadeUp::new(b"another"));
        assert_eq!(one.keys("nobody"), MadeUp::new(b"secret").keys("nobody"));
        assert_ne!(one.keys("nobody"), one.keys("no one"));
        assert_ne!(one.keys("nobody").salt, other.keys("nobody").salt);
        assert_eq!(one.keys("nobody").salt.len(), password::SALT_BYTES);
    }
}
