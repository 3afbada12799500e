//! Seals DKIM private keys before they reach the store: AES-256-GCM with a random nonce; key id, domain and selector
//! are associated data, so that a sealed key cannot be moved to another name. Never writes a key to a log.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest, rand,
};

use super::types::StoreError;

const VERSION: u8 = 1;
const KEY_OCTETS: usize = 32;
const KEY_ID_OCTETS: usize = 8;

/// The key that seals. Cannot be printed.
pub struct SealKey {
    key: RandomizedNonceKey,
    id: [u8; KEY_ID_OCTETS],
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(…)")
    }
}

impl SealKey {
    /// A key of these octets.
    pub fn new(octets: &[u8; KEY_OCTETS]) -> Result<Self, StoreError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, octets).map_err(|_| failed("the seal key cannot be used"))?;
        let mut id = [0; KEY_ID_OCTETS];
        let hash = digest::digest(&digest::SHA256, &[b"paquebot seal key id", &octets[..]].concat());
        for (octet, hashed) in id.iter_mut().zip(hash.as_ref()) {
            *octet = *hashed;
        }
        Ok(Self { key, id })
    }

    /// The key in this file; made (0600, random) if the file is absent.
    pub fn load_or_make(path: &Path) -> Result<Self, StoreError> {
        let octets = match read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(|error| {
                StoreError::Unavailable(format!(
                    "the seal key {} is not there and cannot be made: {error}: mount the Secret that has its {KEY_OCTETS} \
                    octets there, or name a file in a directory that this process may write",
                    path.display()
                ))
            })?,
            Err(error) => {
                let why = format!("the seal key {} cannot be read: {error}", path.display());
                return Err(StoreError::Unavailable(why));
            }
            Ok(octets) => octets,
        };
        let octets: &[u8; KEY_OCTETS] = octets.as_slice().try_into().map_err(|_| {
            StoreError::Corrupt(format!(
                "{} must hold {KEY_OCTETS} octets and holds {}: put the right file back, the store's keys are sealed with it",
                path.display(),
                octets.len()
            ))
        })?;
        Self::new(octets)
    }

    /// Seals a private key for this domain and selector.
    pub fn seal(&self, domain: &str, selector: &str, secret: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut sealed = secret.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(self.associated(domain, selector)), &mut sealed)
            .map_err(|_| failed("a private key cannot be sealed"))?;
        Ok([&[VERSION][..], &self.id, nonce.as_ref(), &sealed].concat())
    }

    /// Opens what [`SealKey::seal`] gave, for the same domain and selector.
    pub fn open(&self, domain: &str, selector: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let broken = || StoreError::Corrupt(format!("the sealed key {selector} of {domain} cannot be opened"));
        let (version, rest) = sealed.split_at_checked(1).ok_or_else(broken)?;
        let (id, rest) = rest.split_at_checked(KEY_ID_OCTETS).ok_or_else(broken)?;
        let (nonce, secret) = rest.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        if version != [VERSION] {
            return Err(broken());
        }
        if id != self.id {
            return Err(StoreError::Corrupt(format!(
                "the key {selector} of {domain} was sealed with another seal key: put the old one back"
            )));
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut secret = secret.to_vec();
        let aad = Aad::from(self.associated(domain, selector));
        let opened = self.key.open_in_place(nonce, aad, &mut secret).map_err(|_| broken())?;
        Ok(opened.to_vec())
    }

    /// No part has a zero octet, so that no two names are the same octets.
    fn associated(&self, domain: &str, selector: &str) -> Vec<u8> {
        [&[VERSION][..], &self.id, domain.as_bytes(), b"\0", selector.as_bytes()].concat()
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    fs::File::open(path)?.take(KEY_OCTETS as u64 + 1).read_to_end(&mut octets)?;
    Ok(octets)
}

/// Written aside and renamed: a crash leaves the whole key or none.
fn make(path: &Path) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; KEY_OCTETS];
    rand::fill(&mut octets).map_err(|_| io::Error::other("no random octets"))?;
    let aside = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&octets)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(octets)
}

fn failed(what: &str) -> StoreError {
    StoreError::Unavailable(what.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn opens_only_under_its_name_and_key() {
        let key = SealKey::new(&[1; 32]).unwrap();
        let sealed = key.seal("example.com", "s1", b"secret").unwrap();
        assert_eq!(key.open("example.com", "s1", &sealed).unwrap(), b"secret");
        assert_ne!(sealed, key.seal("example.com", "s1", b"secret").unwrap(), "the nonce is random");
        assert!(key.open("example.org", "s1", &sealed).is_err());
        assert!(key.open("example.com", "s2", &sealed).is_err());
        assert!(SealKey::new(&[2; 32]).unwrap().open("example.com", "s1", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open("example.com", "s1", &changed).is_err(), "octet {at}");
            assert!(key.open("example.com", "s1", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn where_it_cannot_be_made_it_is_said_and_a_file_that_cannot_be_written_serves() {
        let folder = tempfile::tempdir().unwrap();
        // A directory that is not there, as one of a file system that is only read.
        let said = SealKey::load_or_make(&folder.path().join("mount/key")).unwrap_err().to_string();
        assert!(said.contains("mount the Secret"), "{said}");
        let path = folder.path().join("key");
        fs::write(&path, [7; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        SealKey::load_or_make(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing beside it");
    }

    #[test]
    fn the_file_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        let sealed = SealKey::load_or_make(&path).unwrap().seal("a.test", "s", b"x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SealKey::load_or_make(&path).unwrap().open("a.test", "s", &sealed).unwrap(), b"x");
        for wrong in [0, 31, 33] {
            fs::write(&path, vec![0; wrong]).unwrap();
            assert!(matches!(SealKey::load_or_make(&path), Err(StoreError::Corrupt(_))), "{wrong} octets");
        }
    }
}
