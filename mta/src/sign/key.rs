//! A private key, ready to sign. It cannot be printed.

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use paquebot_mta_api::{
    address::Domain,
    directory::{DkimKeyEntry, KeyAlgorithm},
};

use super::SignError;
use crate::message::canonical::Hash;

/// Bits of an RSA key at least that signs (RFC 8301 §3.2: at least 1024 must, 2048 should).
pub const RSA_BITS_MIN: usize = 2048;

/// A key of a domain.
pub struct SigningKey {
    /// `d=`.
    pub domain: Domain,
    /// `s=`.
    pub selector: String,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl SigningKey {
    /// Parses a key of the directory.
    pub fn parse(entry: &DkimKeyEntry) -> Result<Self, SignError> {
        let wrong = |why| SignError::Key { selector: entry.selector.clone(), domain: entry.domain.to_string(), why };
        let label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
        };
        if !entry.selector.split('.').all(label) {
            return Err(wrong("the selector is not made of letters, digits and dashes"));
        }
        let der = &entry.private_key.0;
        let pair = match entry.algorithm {
            KeyAlgorithm::Rsa => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| wrong("it is not an RSA key in PKCS#8 DER"))?;
                if pair.public_modulus_len() * 8 < RSA_BITS_MIN {
                    return Err(wrong("it has fewer than 2048 bits"));
                }
                Pair::Rsa(Box::new(pair))
            }
            KeyAlgorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
                Pair::Ed25519(Box::new(pair.map_err(|_| wrong("it is not an Ed25519 key in PKCS#8 DER"))?))
            }
        };
        Ok(Self { domain: entry.domain.clone(), selector: entry.selector.clone(), pair })
    }

    /// What tells keys apart: changes with domain, selector, algorithm and the key itself.
    pub fn id(entry: &DkimKeyEntry) -> Hash {
        let mut context = digest::Context::new(&digest::SHA256);
        let algorithm = match entry.algorithm {
            KeyAlgorithm::Rsa => "rsa",
            KeyAlgorithm::Ed25519 => "ed25519",
        };
        for part in [entry.domain.as_str(), &entry.selector, algorithm] {
            context.update(part.as_bytes());
            context.update(b"\0");
        }
        context.update(&entry.private_key.0);
        let mut id = Hash::default();
        for (to, from) in id.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        id
    }

    /// `a=`.
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "rsa-sha256",
            Pair::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// Signs the canonical header.
    pub fn sign(&self, canonical: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), canonical, &mut signature)
                    .map_err(|_| SignError::Failed("RSA"))?;
                Ok(signature)
            }
            // RFC 8463 §3: Ed25519 signs the SHA-256 hash.
            Pair::Ed25519(pair) => {
                let hash = digest::digest(&digest::SHA256, canonical);
                Ok(pair.sign(hash.as_ref()).as_ref().to_vec())
            }
        }
    }

    /// The `p=` of the key's record, before base64: SubjectPublicKeyInfo's key for RSA as PKCS#1,
    /// the 32 octets for Ed25519 (RFC 8463 §4.2).
    pub fn public_key(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }
}
