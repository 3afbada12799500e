//! DKIM keys: made, imported, named, shown. Never writes one anywhere.
//!
//! Making an RSA key takes a tenth of a second and more: off the runtime.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{self, KeySize},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use paquebot_mta_api::directory::{KeyAlgorithm, PrivateKey};

use super::PublicKey;
use crate::api::domain::{Algorithm, DkimKey};

/// Bits of an RSA key whose size nobody set: what every DNS provider and receiver takes.
pub const RSA_BITS_DEFAULT: u32 = 2048;
/// Bits of an imported RSA key at least (RFC 8301 §3.2 asks signers for 2048 and no less than 1024).
pub const RSA_BITS_MIN: usize = 2048;

/// RFC 7468 §2: columns of base64.
const PEM_COLUMNS: usize = 64;
/// What stands before the 32 octets in a SubjectPublicKeyInfo of Ed25519 (RFC 8410 §4).
const ED25519_INFO: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Keys of one day and algorithm at most.
const SERIAL_MAX: usize = 1000;

/// What went wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The cryptographic module gave none.
    #[error("no key could be made: try again, and look for what the system lacks (entropy, memory)")]
    Generate,
    /// Not a size that is made.
    #[error("an RSA key of {0} bits is not made: set bits to 2048, 3072 or 4096")]
    Bits(u32),
    /// Not a private key.
    #[error("this is not a private key: give it as PEM, \"BEGIN PRIVATE KEY\" or \"BEGIN RSA PRIVATE KEY\"")]
    NotAKey,
    /// A key that receivers refuse.
    #[error("the RSA key has {0} bits: receivers want {RSA_BITS_MIN} or more, make a new one")]
    TooSmall(usize),
}

/// A private key with its selector. No `{:?}` shows the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// Under which its public key is published (`s=`).
    pub selector: String,
    /// The algorithm.
    pub algorithm: KeyAlgorithm,
    /// PKCS#8 DER.
    pub private_key: PrivateKey,
    /// The public key as the record has it (`p=`), base64.
    pub public: String,
}

impl KeyPair {
    /// A key from PKCS#8 DER, as [`generate`] made it.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`], [`KeyError::TooSmall`].
    pub fn from_der(selector: &str, der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return ed25519(selector, &key);
        }
        // What OpenDKIM's tool makes is PKCS#1.
        let key = rsa::KeyPair::from_pkcs8(der).or_else(|_| rsa::KeyPair::from_der(der));
        rsa(selector, &key.map_err(|_| KeyError::NotAKey)?)
    }

    /// A key from PEM.
    ///
    /// # Errors
    /// [`KeyError::NotAKey`], [`KeyError::TooSmall`].
    pub fn from_pem(selector: &str, pem: &[u8]) -> Result<Self, KeyError> {
        use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::NotAKey)?;
        Self::from_der(selector, der.secret_der())
    }

    /// The size of an RSA key; `None` for other algorithms.
    pub fn bits(&self) -> Option<u32> {
        if self.algorithm != KeyAlgorithm::Rsa {
            return None;
        }
        let pair = rsa::KeyPair::from_pkcs8(&self.private_key.0).ok()?;
        u32::try_from(pair.public_modulus_len() * 8).ok()
    }

    /// Whether it is as wanted.
    pub fn fits(&self, wanted: &DkimKey) -> bool {
        self.algorithm == KeyAlgorithm::from(wanted.algorithm)
            && (wanted.algorithm != Algorithm::Rsa || self.bits() == Some(wanted.bits.unwrap_or(RSA_BITS_DEFAULT)))
    }

    /// The private key as PEM.
    pub fn private_pem(&self) -> String {
        pem("PRIVATE KEY", &self.private_key.0)
    }

    /// The public key as PEM: its SubjectPublicKeyInfo.
    pub fn public_pem(&self) -> String {
        let octets = STANDARD.decode(&self.public).unwrap_or_default();
        let info = match self.algorithm {
            KeyAlgorithm::Rsa => octets,
            KeyAlgorithm::Ed25519 => [&ED25519_INFO[..], &octets].concat(),
        };
        pem("PUBLIC KEY", &info)
    }

    /// What may be shown of it.
    pub fn public_key(&self) -> PublicKey {
        PublicKey { selector: self.selector.clone(), algorithm: self.algorithm, text: self.public.clone() }
    }
}

/// The name of a key made on this day: `20261123-rsa`. `now_us` is microseconds since 1970 UTC.
pub fn selector(now_us: i64, algorithm: Algorithm) -> String {
    const DAY_US: i64 = 86_400_000_000;
    let (year, month, day) = civil(now_us.div_euclid(DAY_US));
    let name = match algorithm {
        Algorithm::Rsa => "rsa",
        Algorithm::Ed25519 => "ed25519",
    };
    format!("{year:04}{month:02}{day:02}-{name}")
}

/// A selector that was never used: with a serial where the first choice was.
pub fn free(selector: &str, taken: &dyn Fn(&str) -> bool) -> String {
    let numbered = (2..=SERIAL_MAX).map(|number| format!("{selector}-{number}"));
    std::iter::once(selector.to_owned()).chain(numbered).find(|it| !taken(it)).unwrap_or_else(|| selector.to_owned())
}

/// The algorithm of a key that was made here, by its selector; `None` for other selectors.
pub fn algorithm_of(selector: &str) -> Option<Algorithm> {
    let (date, rest) = selector.split_once('-')?;
    let (name, serial) = rest.split_once('-').unwrap_or((rest, "2"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if date.len() != 8 || !digits(date) || !digits(serial) {
        return None;
    }
    match name {
        "rsa" => Some(Algorithm::Rsa),
        "ed25519" => Some(Algorithm::Ed25519),
        _ => None,
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (index, character) in STANDARD.encode(der).chars().enumerate() {
        if index > 0 && index % PEM_COLUMNS == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

/// The Gregorian date of a day since 1970-01-01, counted in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA_DAYS: i64 = 146_097;
    const DAYS_0000_03_01_TO_1970: i64 = 719_468;
    let shifted = days + DAYS_0000_03_01_TO_1970;
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Makes a key.
///
/// # Errors
/// [`KeyError::Generate`], [`KeyError::Bits`].
pub fn generate(selector: &str, key: &DkimKey) -> Result<KeyPair, KeyError> {
    match key.algorithm {
        Algorithm::Rsa => {
            let size = match key.bits.unwrap_or(RSA_BITS_DEFAULT) {
                2048 => KeySize::Rsa2048,
                3072 => KeySize::Rsa3072,
                4096 => KeySize::Rsa4096,
                other => return Err(KeyError::Bits(other)),
            };
            rsa(selector, &rsa::KeyPair::generate(size).map_err(|_| KeyError::Generate)?)
        }
        Algorithm::Ed25519 => ed25519(selector, &Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?),
    }
}

fn rsa(selector: &str, key: &rsa::KeyPair) -> Result<KeyPair, KeyError> {
    let bits = key.public_modulus_len() * 8;
    if bits < RSA_BITS_MIN {
        return Err(KeyError::TooSmall(bits));
    }
    let private: Pkcs8V1Der<'_> = key.as_der().map_err(|_| KeyError::Generate)?;
    // RFC 6376 §3.6.1: p= is the SubjectPublicKeyInfo.
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| KeyError::Generate)?;
    Ok(KeyPair {
        selector: selector.to_owned(),
        algorithm: KeyAlgorithm::Rsa,
        private_key: PrivateKey(private.as_ref().to_vec()),
        public: STANDARD.encode(public.as_ref()),
    })
}

fn ed25519(selector: &str, key: &Ed25519KeyPair) -> Result<KeyPair, KeyError> {
    let private = key.to_pkcs8().map_err(|_| KeyError::Generate)?;
    Ok(KeyPair {
        selector: selector.to_owned(),
        algorithm: KeyAlgorithm::Ed25519,
        private_key: PrivateKey(private.as_ref().to_vec()),
        // RFC 8463 §4.2: the 32 octets themselves, without any wrapping.
        public: STANDARD.encode(key.public_key().as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        const DAY_US: i64 = 86_400_000_000;
        for (days, text) in [
            (0, "19700101-rsa"),
            (20_780, "20261123-rsa"),
            (11_016, "20000229-rsa"),
            (11_017, "20000301-rsa"),
            (-1, "19691231-rsa"),
        ] {
            assert_eq!(selector(days * DAY_US, Algorithm::Rsa), text);
        }
        assert_eq!(selector(20_780 * DAY_US + DAY_US - 1, Algorithm::Ed25519), "20261123-ed25519");
    }

    #[test]
    fn made_and_read_again() {
        for (algorithm, bits, octets) in [(Algorithm::Rsa, Some(2048), 294), (Algorithm::Ed25519, None, 32)] {
            let made = generate("s", &DkimKey { algorithm, bits }).unwrap();
            assert_eq!(STANDARD.decode(&made.public).unwrap().len(), octets);
            assert_eq!(KeyPair::from_der("s", &made.private_key.0).unwrap().public, made.public);
            assert_eq!(KeyPair::from_pem("s", made.private_pem().as_bytes()).unwrap(), made);
            assert_eq!((made.bits(), made.fits(&DkimKey { algorithm, bits })), (bits, true));
            let info = made.public_pem();
            let base64: String = info.lines().filter(|line| !line.starts_with('-')).collect();
            assert!(STANDARD.decode(base64).unwrap().ends_with(&STANDARD.decode(&made.public).unwrap()));
            assert!(!format!("{made:?}").contains(&STANDARD.encode(&made.private_key.0)[..20]));
        }
    }

    #[test]
    fn selectors() {
        let taken = ["20261123-rsa", "20261123-rsa-2"];
        assert_eq!(free("20261123-rsa", &|it| taken.contains(&it)), "20261123-rsa-3");
        assert_eq!(free("20261124-rsa", &|it| taken.contains(&it)), "20261124-rsa");
        for (selector, algorithm) in [
            ("20261123-rsa", Some(Algorithm::Rsa)),
            ("20261123-rsa-2", Some(Algorithm::Rsa)),
            ("20261123-ed25519-12", Some(Algorithm::Ed25519)),
            ("s1", None),
            ("2026-rsa", None),
            ("20261123-rsa-x", None),
            ("20261123-dsa", None),
        ] {
            assert_eq!(algorithm_of(selector), algorithm, "{selector}");
        }
    }

    #[test]
    fn refused() {
        let key = DkimKey { algorithm: Algorithm::Rsa, bits: Some(1024) };
        assert_eq!(generate("s", &key), Err(KeyError::Bits(1024)));
        for pem in ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(KeyPair::from_pem("s", pem.as_bytes()), Err(KeyError::NotAKey));
        }
    }
}
