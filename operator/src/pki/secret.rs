//! Certificates as data of Secrets. Names, labels and owners of the Secrets are the caller's.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, jiff::Timestamp};

use super::{
    facts,
    issue::{self, Pair, PkiError},
    names::{BACKDATE_SECONDS, LEAF_RENEW_SECONDS, LEAF_VALID_SECONDS},
};

/// Data of a Secret.
pub type Data = BTreeMap<String, ByteString>;

/// The certificate, as `kubernetes.io/tls` calls it.
pub const CERTIFICATE: &str = "tls.crt";
/// Its key.
pub const KEY: &str = "tls.key";
/// Whom to trust.
pub const BUNDLE: &str = "ca.crt";

/// The type of a Secret with [`CERTIFICATE`] and [`KEY`].
pub const TLS_TYPE: &str = "kubernetes.io/tls";

/// What one side of the admin API needs: its own certificate, and whom it trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Its own.
    pub pair: Pair,
    /// PEM: the authorities it trusts.
    pub bundle: String,
}

impl Credentials {
    /// As data of a Secret.
    pub fn data(&self) -> Data {
        let mut data = pair_data(&self.pair);
        data.insert(BUNDLE.to_owned(), bytes(&self.bundle));
        data
    }

    /// Out of a Secret's data; `None` where a part is missing.
    pub fn read(data: &Data) -> Option<Self> {
        Some(Self { pair: read_pair(data)?, bundle: text(data, BUNDLE)? })
    }
}

/// A certificate and its key as data of a Secret.
pub fn pair_data(pair: &Pair) -> Data {
    Data::from([(CERTIFICATE.to_owned(), bytes(&pair.certificate)), (KEY.to_owned(), bytes(&pair.key))])
}

/// A certificate and its key out of a Secret's data; `None` where a part is missing.
pub fn read_pair(data: &Data) -> Option<Pair> {
    Some(Pair { certificate: text(data, CERTIFICATE)?, key: text(data, KEY)? })
}

/// A Secret of type [`TLS_TYPE`] with this data; metadata is the caller's.
pub fn tls(metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta, data: Data) -> Secret {
    Secret { metadata, data: Some(data), type_: Some(TLS_TYPE.to_owned()), ..Secret::default() }
}

/// The self-signed certificate that mail clients of these hosts see: a new one where the present one does not fit,
/// is for other names or was made 60 days ago; `None`: the present one stays.
pub fn mail_certificate(present: Option<&Pair>, hosts: &[String], now: Timestamp) -> Result<Option<Pair>, PkiError> {
    let fits = |pair: &Pair| {
        hosts.iter().all(|host| match facts::check(&pair.certificate, &pair.key, host, now) {
            Ok(facts) => facts.names.len() == hosts.len() && !renewable(&facts, now),
            Err(_) => false,
        })
    };
    if present.is_some_and(fits) {
        return Ok(None);
    }
    issue::self_signed(hosts, now, LEAF_VALID_SECONDS).map(Some)
}

/// Whether a certificate of ours has reached the age of renewal.
pub(super) fn renewable(facts: &facts::CertificateFacts, now: Timestamp) -> bool {
    now.as_second() >= facts.not_before.as_second() + BACKDATE_SECONDS + LEAF_RENEW_SECONDS
}

pub(super) fn text(data: &Data, key: &str) -> Option<String> {
    let octets = data.get(key)?;
    String::from_utf8(octets.0.clone()).ok().filter(|text| !text.is_empty())
}

pub(super) fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::clock::{NOW, at};

    #[test]
    fn a_self_signed_certificate_stays_until_it_must_not() {
        let hosts = ["mail.example.com".to_owned()];
        let first = mail_certificate(None, &hosts, at(NOW)).unwrap().unwrap();
        for (name, hosts, now, stays) in [
            ("the same day", vec!["mail.example.com"], NOW, true),
            ("a second before", vec!["mail.example.com"], NOW + LEAF_RENEW_SECONDS - 1, true),
            ("at sixty days", vec!["mail.example.com"], NOW + LEAF_RENEW_SECONDS, false),
            ("expired", vec!["mail.example.com"], NOW + LEAF_VALID_SECONDS + 1, false),
            ("another host", vec!["mx.example.com"], NOW, false),
            ("one more host", vec!["mail.example.com", "mx.example.com"], NOW, false),
        ] {
            let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
            let renewed = mail_certificate(Some(&first), &hosts, at(now)).unwrap();
            assert_eq!(renewed.is_none(), stays, "{name}");
        }
        let other = mail_certificate(None, &hosts, at(NOW)).unwrap().unwrap();
        let mixed = Pair { key: other.key, ..first.clone() };
        assert!(mail_certificate(Some(&mixed), &hosts, at(NOW)).unwrap().is_some(), "the key of another");
        assert_eq!(read_pair(&pair_data(&first)), Some(first));
    }
}
