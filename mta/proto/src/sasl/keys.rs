//! SCRAM-SHA-256's arithmetic (RFC 5802 §3): keys from a password, proofs from keys.
//! Compares in constant time; keeps no password.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};

use super::ScramKeys;

impl ScramKeys {
    /// The keys of a password, already prepared (RFC 4013). Costs `iterations` of PBKDF2: not for an
    /// event loop.
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let mut salted = [0; 32];
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password, &mut salted);
        Self {
            salt: salt.to_vec(),
            iterations: rounds.get(),
            stored_key: sha256(&hmac_sha256(&salted, b"Client Key")),
            server_key: hmac_sha256(&salted, b"Server Key"),
        }
    }

    /// Whether this is the password, already prepared (RFC 4013). Costs as much as [`ScramKeys::derive`].
    pub fn matches(&self, password: &[u8]) -> bool {
        let derived = Self::derive(password, &self.salt, self.iterations);
        constant_time::verify_slices_are_equal(&derived.stored_key, &self.stored_key).is_ok()
    }

    /// Whether the client's proof over this AuthMessage shows that it knows the password (RFC 5802 §3).
    pub fn proves(&self, auth_message: &[u8], proof: &[u8; 32]) -> bool {
        let signature = hmac_sha256(&self.stored_key, auth_message);
        let mut client_key = *proof;
        for (octet, mask) in client_key.iter_mut().zip(signature) {
            *octet ^= mask;
        }
        constant_time::verify_slices_are_equal(&sha256(&client_key), &self.stored_key).is_ok()
    }

    /// What shows the client that the server knows the keys (RFC 5802 §3, ServerSignature).
    pub fn server_signature(&self, auth_message: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.server_key, auth_message)
    }
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    fixed(digest::digest(&digest::SHA256, octets).as_ref())
}

fn hmac_sha256(key: &[u8], octets: &[u8]) -> [u8; 32] {
    fixed(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), octets).as_ref())
}

/// SHA-256 gives 32 octets (RFC 6234), so nothing is cut or filled here.
fn fixed(octets: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    for (to, from) in array.iter_mut().zip(octets) {
        *to = *from;
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_keys_only() {
        let keys = ScramKeys::derive(b"pencil", b"0123456789abcdef", 4096);
        for (password, right) in [("pencil", true), ("Pencil", false), ("", false), ("pencil ", false)] {
            assert_eq!(keys.matches(password.as_bytes()), right, "{password:?}");
        }
    }

    #[test]
    fn no_iterations_is_one() {
        assert_eq!(ScramKeys::derive(b"x", b"salt", 0), ScramKeys::derive(b"x", b"salt", 1));
    }
}
