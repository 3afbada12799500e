//! What a certificate says, and whether it fits its key, its name and the day. Reads certificates of anybody: the
//! user's own, cert-manager's, ours.

use std::{net::IpAddr, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use k8s_openapi::jiff::Timestamp;
use rustls::{
    crypto::{CryptoProvider, aws_lc_rs::default_provider},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// Certificates of a chain at most.
pub const CHAIN_MAX: usize = 16;
/// Names of a certificate that are shown at most.
pub const NAMES_MAX: usize = 100;

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// From when it is good.
    pub not_before: Timestamp,
    /// Until when it is good.
    pub not_after: Timestamp,
    /// Host names and addresses.
    pub names: Vec<String>,
    /// Who vouches for it.
    pub issuer: String,
    /// Nobody else vouches for it: mail clients ask whether to trust it.
    pub self_signed: bool,
    /// SHA-256 in hexadecimal pairs, as `openssl x509 -fingerprint -sha256` shows it.
    pub fingerprint: String,
}

impl CertificateFacts {
    /// Seconds that are left; negative: it has expired.
    pub fn seconds_left(&self, now: Timestamp) -> i64 {
        self.not_after.as_second() - now.as_second()
    }
}

/// Why a certificate cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// No PEM certificate.
    #[error("there is no certificate: put the chain as PEM, the host's own certificate first, into tls.crt")]
    NoCertificate,
    /// Not X.509, or not as servers use it.
    #[error("the certificate cannot be read ({0}): put an X.509 certificate as PEM into tls.crt")]
    Unreadable(String),
    /// No PEM key.
    #[error("there is no private key: put it as PEM into tls.key")]
    NoKey,
    /// Not a key that TLS can use.
    #[error(
        "the private key cannot be used: put an RSA key of 2048 bits or more, an ECDSA or an Ed25519 key as PEM into tls.key"
    )]
    KeyUnusable,
    /// The key of another certificate.
    #[error("the private key is not the certificate's: put both of the same renewal into the Secret")]
    KeyMismatch,
    /// Its time has not come.
    #[error("the certificate is good only from {0}: look at the clock, or get another certificate")]
    NotYet(Timestamp),
    /// Its time is over.
    #[error("the certificate expired at {0}: renew it")]
    Expired(Timestamp),
    /// It is for other hosts.
    #[error(
        "the certificate is for {}, not for {host}: get one for {host}, or change the MailServer's hostname",
        said(names)
    )]
    OtherName {
        /// The host that clients connect to.
        host: String,
        /// What it is for.
        names: Vec<String>,
    },
}

fn said(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len() {
        0 => "no host name".to_owned(),
        len if len > SHOWN => {
            format!("{} and {} more", names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "), len - SHOWN)
        }
        _ => names.join(", "),
    }
}

/// What the first certificate of a chain says.
pub fn facts(chain: &str) -> Result<CertificateFacts, CertificateProblem> {
    read(&first(chain)?)
}

/// What the certificate says, where a server for this host can use it with this key on this day.
pub fn check(chain: &str, key: &str, host: &str, now: Timestamp) -> Result<CertificateFacts, CertificateProblem> {
    let facts = usable(chain, key, now)?;
    if is_for(&first(chain)?, host)? {
        return Ok(facts);
    }
    Err(CertificateProblem::OtherName { host: host.to_owned(), names: facts.names })
}

/// What the certificate says, where it can be used with this key on this day.
pub(super) fn usable(chain: &str, key: &str, now: Timestamp) -> Result<CertificateFacts, CertificateProblem> {
    let ders = chain_of(chain)?;
    let facts = read(ders.first().ok_or(CertificateProblem::NoCertificate)?)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| CertificateProblem::NoKey)?;
    match CertifiedKey::from_der(ders, key, &default_provider()) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(_)) => return Err(CertificateProblem::KeyMismatch),
        Err(rustls::Error::InvalidCertificate(error)) => {
            return Err(CertificateProblem::Unreadable(format!("{error:?}")));
        }
        Err(_) => return Err(CertificateProblem::KeyUnusable),
    }
    if now < facts.not_before {
        return Err(CertificateProblem::NotYet(facts.not_before));
    }
    if now > facts.not_after {
        return Err(CertificateProblem::Expired(facts.not_after));
    }
    Ok(facts)
}

/// By RFC 9525 §6: a wildcard stands for the whole left-most label.
fn is_for(leaf: &CertificateDer<'_>, host: &str) -> Result<bool, CertificateProblem> {
    let unreadable = |error: rustls::Error| CertificateProblem::Unreadable(error.to_string());
    let parsed = ParsedCertificate::try_from(leaf).map_err(unreadable)?;
    let Ok(name) = ServerName::try_from(host) else { return Ok(false) };
    Ok(rustls::client::verify_server_name(&parsed, &name).is_ok())
}

/// The certificates of a PEM file.
pub(super) fn chain_of(chain: &str) -> Result<Vec<CertificateDer<'static>>, CertificateProblem> {
    let ders: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).take(CHAIN_MAX).collect();
    ders.map_err(|error| CertificateProblem::Unreadable(error.to_string()))
}

fn first(chain: &str) -> Result<CertificateDer<'static>, CertificateProblem> {
    chain_of(chain)?.into_iter().next().ok_or(CertificateProblem::NoCertificate)
}

/// The library that speaks TLS, the same everywhere here.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

fn read(der: &CertificateDer<'_>) -> Result<CertificateFacts, CertificateProblem> {
    let unreadable = |error: String| CertificateProblem::Unreadable(error);
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| unreadable(error.to_string()))?;
    let time = |at: x509_parser::time::ASN1Time| {
        Timestamp::from_second(at.timestamp()).map_err(|error| unreadable(error.to_string()))
    };
    let names = match certificate.subject_alternative_name() {
        Ok(Some(names)) => names.value.general_names.iter().filter_map(name).take(NAMES_MAX).collect(),
        Ok(None) => Vec::new(),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let pairs: Vec<String> = digest(&SHA256, der).as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
    Ok(CertificateFacts {
        not_before: time(certificate.validity().not_before)?,
        not_after: time(certificate.validity().not_after)?,
        names,
        issuer: certificate.issuer().to_string(),
        self_signed: certificate.issuer().as_raw() == certificate.subject().as_raw(),
        fingerprint: pairs.join(":"),
    })
}

/// The URIs of a certificate.
pub(super) fn uris(der: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(uri).take(NAMES_MAX).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from).ok();
            v4.or_else(|| <[u8; 16]>::try_from(*octets).map(IpAddr::from).ok()).map(|address| address.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::clock::{NOW, at};
    use crate::pki::issue::self_signed;

    const DAY: i64 = 24 * 60 * 60;

    #[test]
    fn each_problem_is_told_apart() {
        let names = ["mail.example.com".to_owned(), "*.shop.example".to_owned(), "192.0.2.1".to_owned()];
        let pair = self_signed(&names, at(NOW), 90 * DAY).unwrap();
        let other = self_signed(&names, at(NOW), 90 * DAY).unwrap();
        let (chain, key) = (pair.certificate.as_str(), pair.key.as_str());
        let problem = |chain: &str, key: &str, host: &str, now: i64| check(chain, key, host, at(now)).err();
        for host in ["mail.example.com", "MAIL.example.com", "a.shop.example", "192.0.2.1"] {
            assert_eq!(problem(chain, key, host, NOW), None, "{host}");
        }
        for host in ["mx.example.com", "shop.example", "a.b.shop.example", "192.0.2.2", ""] {
            let said = problem(chain, key, host, NOW).unwrap();
            assert!(matches!(said, CertificateProblem::OtherName { .. }), "{host}: {said}");
        }
        let host = "mail.example.com";
        assert_eq!(problem("", key, host, NOW), Some(CertificateProblem::NoCertificate));
        assert_eq!(problem(chain, "", host, NOW), Some(CertificateProblem::NoKey));
        assert_eq!(problem(chain, &other.key, host, NOW), Some(CertificateProblem::KeyMismatch));
        assert!(matches!(problem(chain, key, host, NOW - 2 * DAY), Some(CertificateProblem::NotYet(_))));
        assert!(matches!(problem(chain, key, host, NOW + 91 * DAY), Some(CertificateProblem::Expired(_))));
        let torn = chain.replacen("MII", "AAA", 1);
        assert!(matches!(problem(&torn, key, host, NOW), Some(CertificateProblem::Unreadable(_))));
        let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(problem(chain, garbage, host, NOW), Some(CertificateProblem::KeyUnusable));
    }

    #[test]
    fn what_it_says() {
        let pair = self_signed(&["mail.example.com".to_owned()], at(NOW), 90 * DAY).unwrap();
        let facts = facts(&pair.certificate).unwrap();
        assert_eq!((facts.not_before, facts.not_after), (at(NOW - DAY), at(NOW + 90 * DAY)));
        assert_eq!((facts.names.as_slice(), facts.self_signed), (&["mail.example.com".to_owned()][..], true));
        assert_eq!((facts.issuer.as_str(), facts.fingerprint.len()), ("CN=mail.example.com", 95));
        assert_eq!(facts.seconds_left(at(NOW)), 90 * DAY);
    }
}
