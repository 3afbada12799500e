//! The self-signed certificate of local mode: for the host name, `localhost` and the addresses it listens on.
//!
//! Made anew when the names change or its end is near; never overwritten otherwise, so that a client that
//! has trusted it once goes on trusting it.

use std::{fmt::Write, net::IpAddr, path::PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use k8s_openapi::jiff::Timestamp;
use paquebot_mta_api::address::Domain;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use super::data::{self, DataDir, DataError};
use crate::pki::issue::{self, Pair, PkiError};

const DAY_SECONDS: u64 = 24 * 60 * 60;
/// How long a certificate is good for.
const VALID_SECONDS: u64 = 365 * DAY_SECONDS;
/// A new one is made when less than this is left.
const RENEW_SECONDS: u64 = 30 * DAY_SECONDS;

/// The certificate's files, and what people compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM, PKCS#8.
    pub key: PathBuf,
    /// SHA-256 of the certificate, in hexadecimal pairs.
    pub fingerprint: String,
    /// Whether it was made by this call.
    pub new: bool,
}

/// What the certificate was made for; beside it, so that nobody has to read it back out of X.509.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    names: Vec<String>,
    expires_seconds: u64,
}

/// The certificate in the data directory; made where none fits. `now_seconds`: since 1970 UTC.
pub fn ensure(
    data: &DataDir,
    hostname: &Domain,
    addresses: &[IpAddr],
    now_seconds: u64,
) -> Result<Certificate, DataError> {
    let folder = data.root().join("tls");
    let (certificate, key, made) =
        (folder.join("certificate.pem"), folder.join("key.pem"), folder.join("certificate.json"));
    let names = names(hostname, addresses);
    if let (Some(pem), Some(_), Some(was)) = (data::read(&certificate)?, data::read(&key)?, data::read(&made)?)
        && let Ok(was) = serde_json::from_slice::<Made>(&was)
        && was.names == names
        && was.expires_seconds > now_seconds + RENEW_SECONDS
        && let Ok(fingerprint) = fingerprint(&pem)
    {
        return Ok(Certificate { certificate, key, fingerprint, new: false });
    }
    let Pair { certificate: pem, key: key_pem } =
        make(&names, now_seconds).map_err(|error| DataError::broken(&certificate, error))?;
    let was = Made { names, expires_seconds: now_seconds + VALID_SECONDS };
    // Without the note nothing is believed: a crash in between leads to another certificate, not to a wrong pair.
    let _ = std::fs::remove_file(&made);
    data::write(&key, key_pem.as_bytes())?;
    data::write(&certificate, pem.as_bytes())?;
    data::write(&made, &serde_json::to_vec(&was).map_err(|error| DataError::broken(&made, error))?)?;
    let fingerprint = fingerprint(pem.as_bytes()).map_err(|error| DataError::broken(&certificate, error))?;
    Ok(Certificate { certificate, key, fingerprint, new: true })
}

fn names(hostname: &Domain, addresses: &[IpAddr]) -> Vec<String> {
    let mut names = vec![hostname.to_string(), "localhost".to_owned()];
    for address in addresses.iter().filter(|it| !it.is_unspecified()) {
        names.push(address.to_string());
    }
    for usual in ["127.0.0.1", "::1"] {
        names.push(usual.to_owned());
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn make(names: &[String], now_seconds: u64) -> Result<Pair, PkiError> {
    let now = i64::try_from(now_seconds).ok().and_then(|it| Timestamp::from_second(it).ok()).unwrap_or(Timestamp::MAX);
    issue::self_signed(names, now, i64::try_from(VALID_SECONDS).unwrap_or(i64::MAX))
}

/// SHA-256 of the first certificate of a PEM file, as `openssl x509 -fingerprint -sha256` shows it.
pub fn fingerprint(pem: &[u8]) -> Result<String, rustls::pki_types::pem::Error> {
    let der = CertificateDer::from_pem_slice(pem)?;
    let mut text = String::new();
    for octet in digest(&SHA256, &der).as_ref() {
        let colon = if text.is_empty() { "" } else { ":" };
        let _ = write!(text, "{colon}{octet:02X}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn made_once_and_renewed_when_it_must_be() {
        let base = tempfile::tempdir().unwrap();
        let data = DataDir::open(base.path()).unwrap();
        let host: Domain = "mail.example.com".parse().unwrap();
        let at = |now| ensure(&data, &host, &["127.0.0.2".parse().unwrap()], now).unwrap();
        let first = at(NOW);
        assert!(first.new);
        assert_eq!(first.fingerprint.len(), 32 * 3 - 1);
        let again = at(NOW + VALID_SECONDS - RENEW_SECONDS - 1);
        assert!(!again.new);
        assert_eq!(again.fingerprint, first.fingerprint);
        assert!(at(NOW + VALID_SECONDS - RENEW_SECONDS).new, "its end is near");
        let other = ensure(&data, &"mx.example.com".parse().unwrap(), &[], NOW).unwrap();
        assert!(other.new, "another host name");
        std::fs::remove_file(&other.key).unwrap();
        assert!(ensure(&data, &"mx.example.com".parse().unwrap(), &[], NOW).unwrap().new, "the key is gone");
    }

    #[test]
    fn names_what_clients_connect_to() {
        let host: Domain = "mail.example.com".parse().unwrap();
        assert_eq!(
            names(&host, &["127.0.0.1".parse().unwrap(), "0.0.0.0".parse().unwrap()]),
            ["mail.example.com", "localhost", "127.0.0.1", "::1"]
        );
    }
}
