//! From a password to what is kept of it: prepared (RFC 4013), then SCRAM-SHA-256 keys (RFC 5802 §3).
//! Pure: the salt comes from the caller. Keeps and prints no password.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine, engine::general_purpose::STANDARD};
use unicode_normalization::UnicodeNormalization;

use crate::directory::LoginKeys;

/// PBKDF2 iterations of all keys (RFC 7677 §4: 4096 at least). Whoever makes keys uses this number:
/// another one would tell known names from unknown ones, whose made-up keys have it too.
pub const ITERATIONS: u32 = 4096;
/// Octets of a new salt.
pub const SALT_BYTES: usize = 16;

impl LoginKeys {
    /// The keys of a password. `salt`: [`SALT_BYTES`] random octets; `digest_key`: a key of the
    /// writer for [`LoginKeys::password_digest`], empty for none. Costs the iterations: not for an
    /// event loop.
    pub fn derive(password: &str, salt: &[u8], iterations: u32, digest_key: &[u8]) -> Self {
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, prepare(password).as_bytes(), &mut salted);
        let client_key = hmac_sha256(&salted, b"Client Key");
        Self {
            salt: STANDARD.encode(salt),
            iterations: rounds.get(),
            stored_key: STANDARD.encode(digest::digest(&digest::SHA256, client_key.as_ref())),
            server_key: STANDARD.encode(hmac_sha256(&salted, b"Server Key")),
            password_digest: Self::digest(password, digest_key),
        }
    }

    /// What [`LoginKeys::password_digest`] is for this password: equal digests, nothing to derive again.
    pub fn digest(password: &str, digest_key: &[u8]) -> String {
        if digest_key.is_empty() {
            return String::new();
        }
        STANDARD.encode(hmac_sha256(digest_key, password.as_bytes()))
    }
}

fn hmac_sha256(key: &[u8], octets: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), octets)
}

/// A password as it is hashed: SASLprep (RFC 4013 §2.1, §2.2): other spaces become a space, invisible
/// characters go, then NFKC. Two steps are left out: text that mixes directions is not refused (§2.4),
/// and a password with a forbidden character (§2.3) stays as it is instead of being refused, so that it
/// still works where the client sends it unprepared too.
pub fn prepare(password: &str) -> String {
    if password.is_ascii() {
        return password.to_owned();
    }
    let prepared: String = password
        .chars()
        .filter(|c| !is_mapped_to_nothing(*c))
        .map(|c| if is_other_space(c) { ' ' } else { c })
        .nfkc()
        .collect();
    if prepared.is_empty() || prepared.chars().any(is_forbidden) { password.to_owned() } else { prepared }
}

/// RFC 3454 table C.1.2.
fn is_other_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// RFC 3454 table B.1, without U+200B, which C.1.2 makes a space.
fn is_mapped_to_nothing(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200c}' | '\u{200d}'
        | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// RFC 3454 tables C.2 to C.9; C.5 (surrogates) is no `char`.
fn is_forbidden(c: char) -> bool {
    c.is_control()
        || (u32::from(c) & 0xfffe) == 0xfffe
        || matches!(c, '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2061}'..='\u{2063}' | '\u{206a}'..='\u{206f}' | '\u{2ff0}'..='\u{2ffb}' | '\u{340}' | '\u{341}'
            | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fff9}'..='\u{fffd}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}' | '\u{f0000}'..='\u{10fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepared() {
        for (password, form) in [
            ("secret", "secret"),
            ("tab\tkept", "tab\tkept"),
            // RFC 4013 §3, examples 1, 4, 5.
            ("I\u{ad}X", "IX"),
            ("\u{aa}", "a"),
            ("\u{2168}", "IX"),
            ("a\u{a0}b", "a b"),
            ("a\u{200b}b", "a b"),
            ("u\u{308}ber", "über"),
            ("über\u{7}", "über\u{7}"),
            ("\u{ad}", "\u{ad}"),
        ] {
            assert_eq!(prepare(password), form, "{password:?}");
        }
    }

    /// The password and salt of RFC 7677 §3; its proof is checked against the same keys in `proto`.
    #[test]
    fn keys_of_a_password() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = LoginKeys::derive("pencil", &salt, 4096, b"");
        assert_eq!((keys.salt.as_str(), keys.iterations), ("W22ZaJ0SNY7soEsUEjb6gQ==", 4096));
        assert_eq!(keys.password_digest, "");
        assert_ne!(keys, LoginKeys::derive("pencils", &salt, 4096, b""));
    }

    #[test]
    fn the_digest_tells_whether_the_password_changed() {
        let keys = LoginKeys::derive("pencil", b"0123456789abcdef", 1, b"key");
        assert_eq!(keys.password_digest, LoginKeys::digest("pencil", b"key"));
        assert_ne!(keys.password_digest, LoginKeys::digest("pencils", b"key"));
        assert_ne!(keys.password_digest, LoginKeys::digest("pencil", b"other"));
    }
}
