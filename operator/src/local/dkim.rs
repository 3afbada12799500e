//! DKIM keys in the data directory: `dkim/<domain>/<selector>.pem`, PKCS#8, made once.
//!
//! A key that is there is never overwritten: what it signed must stay verifiable.

use std::path::PathBuf;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa,
    signature::Ed25519KeyPair,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use paquebot_mta_api::{address::Domain, directory::KeyAlgorithm};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

use super::data::{self, DataDir, DataError};

/// RFC 1035 §2.3.4: a selector is labels; this also bounds the file's name.
const SELECTOR_OCTETS_MAX: usize = 63;
/// RFC 7468 §2: columns of base64.
const PEM_COLUMNS: usize = 64;

/// The private key, PKCS#8 DER; made where there is none. `bits` is for RSA: 2048, 3072 or 4096.
pub fn ensure(
    data: &DataDir,
    domain: &Domain,
    selector: &str,
    algorithm: KeyAlgorithm,
    bits: u32,
) -> Result<Vec<u8>, DataError> {
    let path = path(data, domain, selector)?;
    if let Some(pem) = data::read(&path)? {
        // The parser's words could show a piece of the key.
        let key = PrivatePkcs8KeyDer::from_pem_slice(&pem)
            .map_err(|_| DataError::broken(&path, "it must be a PKCS#8 private key in PEM"))?;
        return Ok(key.secret_pkcs8_der().to_vec());
    }
    let der = make(algorithm, bits).map_err(|reason| DataError::broken(&path, reason))?;
    data::write(&path, pem(&der).as_bytes())?;
    Ok(der)
}

/// The file's path. Names from YAML become paths here, so they are looked at once more.
fn path(data: &DataDir, domain: &Domain, selector: &str) -> Result<PathBuf, DataError> {
    let plain = !selector.is_empty()
        && selector.len() <= SELECTOR_OCTETS_MAX
        && selector.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
    let path = data.dkim().join(domain.as_str()).join(format!("{selector}.pem"));
    if plain { Ok(path) } else { Err(DataError::broken(&data.dkim(), format!("\"{selector}\" is not a selector"))) }
}

fn make(algorithm: KeyAlgorithm, bits: u32) -> Result<Vec<u8>, String> {
    let fault = |_| "the key could not be made".to_owned();
    match algorithm {
        KeyAlgorithm::Rsa => {
            let size = match bits {
                2048 => rsa::KeySize::Rsa2048,
                3072 => rsa::KeySize::Rsa3072,
                4096 => rsa::KeySize::Rsa4096,
                _ => return Err(format!("RSA keys have 2048, 3072 or 4096 bits, not {bits}")),
            };
            let pair = rsa::KeyPair::generate(size).map_err(fault)?;
            Ok(AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(fault)?.as_ref().to_vec())
        }
        KeyAlgorithm::Ed25519 => {
            let pair = Ed25519KeyPair::generate().map_err(fault)?;
            Ok(pair.to_pkcs8().map_err(fault)?.as_ref().to_vec())
        }
    }
}

fn pem(der: &[u8]) -> String {
    let mut text = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for (index, character) in STANDARD.encode(der).chars().enumerate() {
        if index > 0 && index % PEM_COLUMNS == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END PRIVATE KEY-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once() {
        let base = tempfile::tempdir().unwrap();
        let data = DataDir::open(base.path()).unwrap();
        let domain: Domain = "example.com".parse().unwrap();
        let rsa = ensure(&data, &domain, "r1", KeyAlgorithm::Rsa, 2048).unwrap();
        let ed = ensure(&data, &domain, "e1", KeyAlgorithm::Ed25519, 0).unwrap();
        assert_eq!(ensure(&data, &domain, "r1", KeyAlgorithm::Rsa, 2048).unwrap(), rsa);
        assert_eq!(ensure(&data, &domain, "e1", KeyAlgorithm::Ed25519, 0).unwrap(), ed);
        rsa::KeyPair::from_pkcs8(&rsa).unwrap();
        Ed25519KeyPair::from_pkcs8(&ed).unwrap();
    }

    #[test]
    fn nothing_escapes_and_nothing_is_overwritten() {
        let base = tempfile::tempdir().unwrap();
        let data = DataDir::open(base.path()).unwrap();
        let domain: Domain = "example.com".parse().unwrap();
        for selector in ["", "../x", "a/b", "a.b", "\0", &"x".repeat(64)] {
            assert!(ensure(&data, &domain, selector, KeyAlgorithm::Ed25519, 0).is_err(), "{selector:?}");
        }
        assert!(ensure(&data, &domain, "r", KeyAlgorithm::Rsa, 1024).is_err());
        let path = data.dkim().join("example.com/e1.pem");
        data::write(&path, b"half a k").unwrap();
        assert!(matches!(ensure(&data, &domain, "e1", KeyAlgorithm::Ed25519, 0), Err(DataError::Broken { .. })));
        assert_eq!(std::fs::read(path).unwrap(), b"half a k");
    }
}
