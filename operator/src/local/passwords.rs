//! Passwords in local mode: generated ones in a file that only its owner reads, and the keys kept of a password.
//!
//! A password is never logged and never shown; what the MTA gets are SCRAM keys, derived once a password.

use std::{collections::BTreeMap, path::PathBuf};

use aws_lc_rs::rand;
use paquebot_mta_api::{
    address::Address,
    directory::LoginKeys,
    password::{ITERATIONS, SALT_BYTES},
};

use super::data::{self, DataDir, DataError};
use crate::mailbox::password;

const HEAD: &str = "# Passwords that `paquebot up` generated. Each mailbox logs in with its address.\n";

/// The generated passwords, as the file has them.
#[derive(Debug)]
pub struct Passwords {
    path: PathBuf,
    known: BTreeMap<String, String>,
    changed: bool,
}

impl Passwords {
    /// Reads the file; where there is none, there are no passwords yet.
    pub fn open(data: &DataDir) -> Result<Self, DataError> {
        let path = data.passwords();
        let known = match data::read(&path)? {
            // The parser's own words would show the line, and the line a password.
            Some(octets) => serde_yaml::from_slice::<Option<_>>(&octets)
                .map_err(|_| DataError::broken(&path, "it must have lines of the form `address: password`"))?
                .unwrap_or_default(),
            None => BTreeMap::new(),
        };
        Ok(Self { path, known, changed: false })
    }

    /// The password generated for this mailbox, made at the first call. Not on disk before [`Passwords::save`].
    pub fn ensure(&mut self, address: &Address) -> Result<&str, DataError> {
        let key = address.folded().to_string();
        if !self.known.contains_key(&key) {
            let made = generate().map_err(|_| DataError::broken(&self.path, "no random numbers from the system"))?;
            self.known.insert(key.clone(), made);
            self.changed = true;
        }
        Ok(self.known.get(&key).map_or("", String::as_str))
    }

    /// Writes the file where something was generated.
    pub fn save(&mut self) -> Result<(), DataError> {
        if self.changed {
            let text = serde_yaml::to_string(&self.known).map_err(|error| DataError::broken(&self.path, error))?;
            data::write(&self.path, format!("{HEAD}{text}").as_bytes())?;
            self.changed = false;
        }
        Ok(())
    }
}

fn generate() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut octets = [0; password::CHARACTERS];
    rand::fill(&mut octets)?;
    Ok(password::generate(&octets).reveal().to_owned())
}

/// The keys of a password. Where `before` is of the same password, it stays: nothing is derived again.
/// `digest_key` is this data directory's own, so that the digest says nothing elsewhere.
pub fn login_keys(
    password: &str,
    digest_key: &[u8; 32],
    before: Option<&LoginKeys>,
) -> Result<LoginKeys, aws_lc_rs::error::Unspecified> {
    if let Some(before) = before
        && before.password_digest == LoginKeys::digest(password, digest_key)
        && before.iterations == ITERATIONS
    {
        return Ok(before.clone());
    }
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt)?;
    Ok(LoginKeys::derive(password, &salt, ITERATIONS, digest_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8; 32] = &[7; 32];

    #[test]
    fn generated_once_and_kept() {
        let base = tempfile::tempdir().unwrap();
        let data = DataDir::open(base.path()).unwrap();
        let alice: Address = "Alice@example.com".parse().unwrap();
        let mut passwords = Passwords::open(&data).unwrap();
        let made = passwords.ensure(&alice).unwrap().to_owned();
        assert_eq!(made.len(), 29);
        assert_ne!(made, passwords.ensure(&"bob@example.com".parse().unwrap()).unwrap());
        passwords.save().unwrap();
        let mut again = Passwords::open(&data).unwrap();
        assert_eq!(again.ensure(&"alice@example.com".parse().unwrap()).unwrap(), made);
        assert!(!again.changed);
    }

    #[test]
    fn a_broken_file_is_not_shown_and_not_replaced() {
        let base = tempfile::tempdir().unwrap();
        let data = DataDir::open(base.path()).unwrap();
        std::fs::write(data.passwords(), "alice@example.com: {secret-word\n").unwrap();
        let fault = Passwords::open(&data).unwrap_err().to_string();
        assert!(fault.contains("passwords") && !fault.contains("secret-word"), "{fault}");
    }

    #[test]
    fn derived_once_a_password() {
        let first = login_keys("secret", KEY, None).unwrap();
        assert_eq!(login_keys("secret", KEY, Some(&first)).unwrap(), first);
        let other = login_keys("other", KEY, Some(&first)).unwrap();
        assert_ne!((&other.salt, &other.stored_key), (&first.salt, &first.stored_key));
        assert_ne!(login_keys("secret", &[8; 32], Some(&first)).unwrap().password_digest, first.password_digest);
        // Fewer iterations would tell known names from unknown ones.
        let weak = LoginKeys { iterations: ITERATIONS - 1, ..first };
        assert_eq!(login_keys("secret", KEY, Some(&weak)).unwrap().iterations, ITERATIONS);
    }
}
