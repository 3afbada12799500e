//! Keys and certificates. ECDSA P-256 throughout: every peer of ours and every mail client has it, and a key is made
//! in no time. Each certificate gets a new key.

use std::{fmt, time::Duration};

use k8s_openapi::jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

use super::names::{AUTHORITY_VALID_SECONDS, BACKDATE_SECONDS, Holder, LEAF_VALID_SECONDS};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// It cannot be made.
    #[error("a certificate could not be made ({0}): look at the names it is for")]
    Make(#[from] rcgen::Error),
    /// What is kept cannot be used.
    #[error("{what} is missing or unreadable: restore the Secret, or delete it to begin with a new authority")]
    Kept {
        /// Which part.
        what: &'static str,
    },
    /// A certificate of ours is not accepted by the library that uses it.
    #[error("the certificate for the admin API cannot be used ({0}): delete its Secret, it is made anew")]
    Unusable(String),
}

/// A certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// PEM, the leaf first.
    pub certificate: String,
    /// PEM, PKCS#8.
    pub key: String,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A new authority. Its name is unique, so that two of them can be told apart.
pub fn authority(now: Timestamp) -> Result<Pair, PkiError> {
    let key = KeyPair::generate()?;
    let mut params = params(now, AUTHORITY_VALID_SECONDS);
    let id = crate::names::hash8(&key.public_key_pem());
    params.distinguished_name.push(DnType::CommonName, format!("paquebot admin API {id}"));
    // Zero: it signs leaves, never another authority.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// A certificate from this authority.
pub fn leaf(authority: &Pair, holder: &Holder, now: Timestamp) -> Result<Pair, PkiError> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let key = KeyPair::generate()?;
    let mut params = params(now, LEAF_VALID_SECONDS);
    params.distinguished_name.push(DnType::CommonName, holder.common_name());
    params.subject_alt_names = alternative_names(&holder.dns_names())?;
    if let Some(uri) = holder.uri() {
        params.subject_alt_names.push(SanType::URI(uri.as_str().try_into()?));
    }
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // One of the two, never both: what a pod holds must not open another pod's admin API.
    params.extended_key_usages = vec![match holder {
        Holder::Operator => ExtendedKeyUsagePurpose::ClientAuth,
        Holder::Server(_) | Holder::Webhook(_) => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// A certificate that nobody vouches for: for these host names and addresses.
pub fn self_signed(names: &[String], now: Timestamp, valid_seconds: i64) -> Result<Pair, PkiError> {
    let key = KeyPair::generate()?;
    let mut params = params(now, valid_seconds);
    params.subject_alt_names = alternative_names(names)?;
    // A common name has 64 characters at most (RFC 5280 appendix A.1); clients read the alternative names.
    let common = names.first().filter(|name| name.len() <= 64).map_or("paquebot", String::as_str);
    params.distinguished_name.push(DnType::CommonName, common);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn params(now: Timestamp, valid_seconds: i64) -> CertificateParams {
    let at = |seconds: i64| {
        let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        rcgen::date_time_ymd(1970, 1, 1) + since
    };
    let mut params = CertificateParams::default();
    // The default has a common name already.
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = at(now.as_second() - BACKDATE_SECONDS);
    params.not_after = at(now.as_second() + valid_seconds);
    params
}

fn alternative_names(names: &[String]) -> Result<Vec<SanType>, PkiError> {
    let one = |name: &String| {
        Ok(match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        })
    };
    names.iter().map(one).collect()
}
