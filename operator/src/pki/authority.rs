//! The authority of the admin API, as data of a Secret in the operator's own namespace. Its key never leaves it.
//!
//! One authority issues; beside it there is at most one other: the next one, which everybody learns to trust before it
//! issues anything, or the previous one, trusted until nobody uses a certificate of it.

use k8s_openapi::jiff::Timestamp;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{ServerName, UnixTime},
    server::WebPkiClientVerifier,
};

use super::{
    facts,
    issue::{self, Pair, PkiError},
    names::{Holder, OPERATOR_URI},
    secret::{self, Credentials, Data},
};

const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const PREVIOUS: &str = "previous.crt";

/// The authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    pub(super) issuing: Pair,
    pub(super) other: Option<Other>,
}

/// The one beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Other {
    /// Trusted already, issues nothing yet.
    Next(Pair),
    /// Still trusted; its key is gone.
    Previous(String),
}

impl Authority {
    /// A new one.
    pub fn make(now: Timestamp) -> Result<Self, PkiError> {
        Ok(Self { issuing: issue::authority(now)?, other: None })
    }

    /// Out of a Secret's data.
    pub fn read(data: &Data) -> Result<Self, PkiError> {
        let issuing = secret::read_pair(data).ok_or(PkiError::Kept { what: "the authority of the admin API" })?;
        let next = secret::text(data, NEXT_CERTIFICATE).zip(secret::text(data, NEXT_KEY));
        let other = match (next, secret::text(data, PREVIOUS)) {
            (Some((certificate, key)), _) => Some(Other::Next(Pair { certificate, key })),
            (None, previous) => previous.map(Other::Previous),
        };
        let authority = Self { issuing, other };
        facts::facts(&authority.issuing.certificate)
            .map_err(|_| PkiError::Kept { what: "the certificate of the admin API's authority" })?;
        authority.roots()?;
        Ok(authority)
    }

    /// As data of a Secret.
    pub fn data(&self) -> Data {
        let mut data = secret::pair_data(&self.issuing);
        match &self.other {
            Some(Other::Next(pair)) => {
                data.insert(NEXT_CERTIFICATE.to_owned(), secret::bytes(&pair.certificate));
                data.insert(NEXT_KEY.to_owned(), secret::bytes(&pair.key));
            }
            Some(Other::Previous(certificate)) => {
                data.insert(PREVIOUS.to_owned(), secret::bytes(certificate));
            }
            None => {}
        }
        data
    }

    /// Whom everybody trusts: PEM, the issuing one first.
    pub fn bundle(&self) -> String {
        let other = match &self.other {
            Some(Other::Next(Pair { certificate, .. }) | Other::Previous(certificate)) => certificate.as_str(),
            None => "",
        };
        format!("{}{other}", self.issuing.certificate)
    }

    /// What this holder needs: new where the present certificate is not good, is not from the issuing authority or was
    /// made 60 days ago; with the bundle of today. `None`: what is there stays.
    pub fn credentials(
        &self,
        holder: &Holder,
        present: Option<&Credentials>,
        now: Timestamp,
    ) -> Result<Option<Credentials>, PkiError> {
        let bundle = self.bundle();
        match present {
            Some(present) if self.has_issued(&present.pair, holder, now) => {
                let pair = present.pair.clone();
                Ok((present.bundle != bundle).then_some(Credentials { pair, bundle }))
            }
            _ => Ok(Some(Credentials { pair: issue::leaf(&self.issuing, holder, now)?, bundle })),
        }
    }

    /// Whether a holder has taken part in the step of a rotation: it trusts all that is to be trusted, and its
    /// certificate is from the issuing authority.
    pub fn has_reached(&self, holder: &Holder, present: &Credentials, now: Timestamp) -> bool {
        present.bundle == self.bundle() && self.verifies(&present.pair, holder, now).unwrap_or(false)
    }

    fn has_issued(&self, pair: &Pair, holder: &Holder, now: Timestamp) -> bool {
        match facts::usable(&pair.certificate, &pair.key, now) {
            Ok(facts) if !secret::renewable(&facts, now) => {
                let all = holder.dns_names().iter().all(|name| facts.names.contains(name));
                all && self.verifies(pair, holder, now).unwrap_or(false)
            }
            _ => false,
        }
    }

    /// Whether peers that trust the issuing authority alone take this certificate as this holder's.
    fn verifies(&self, pair: &Pair, holder: &Holder, now: Timestamp) -> Result<bool, PkiError> {
        let unusable = |error: &dyn std::fmt::Display| PkiError::Unusable(error.to_string());
        let chain = facts::chain_of(&pair.certificate).map_err(|error| unusable(&error))?;
        let Some((leaf, rest)) = chain.split_first() else { return Ok(false) };
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let roots = std::sync::Arc::new(roots(&self.issuing.certificate)?);
        match holder.dns_names().first() {
            Some(host) => {
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, facts::provider())
                    .build()
                    .map_err(|error| unusable(&error))?;
                let name = ServerName::try_from(host.as_str()).map_err(|error| unusable(&error))?;
                Ok(verifier.verify_server_cert(leaf, rest, &name, &[], now).is_ok())
            }
            None => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, facts::provider())
                    .build()
                    .map_err(|error| unusable(&error))?;
                let is_operators = facts::uris(leaf).iter().any(|uri| uri == OPERATOR_URI);
                Ok(is_operators && verifier.verify_client_cert(leaf, rest, now).is_ok())
            }
        }
    }

    fn roots(&self) -> Result<RootCertStore, PkiError> {
        roots(&self.bundle())
    }
}

/// The authorities of a PEM bundle.
pub(crate) fn roots(bundle: &str) -> Result<RootCertStore, PkiError> {
    let mut roots = RootCertStore::empty();
    for der in facts::chain_of(bundle).map_err(|error| PkiError::Unusable(error.to_string()))? {
        roots.add(der).map_err(|error| PkiError::Unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(PkiError::Kept { what: "the bundle of authorities" }) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::clock::{NOW, at};
    use crate::pki::names::{LEAF_RENEW_SECONDS, LEAF_VALID_SECONDS};

    #[test]
    fn kept_in_a_secret() {
        let authority = Authority::make(at(NOW)).unwrap();
        assert_eq!(Authority::read(&authority.data()).unwrap(), authority);
        let next = Other::Next(issue::authority(at(NOW)).unwrap());
        let rotating = Authority { other: Some(next), ..authority.clone() };
        assert_eq!(Authority::read(&rotating.data()).unwrap(), rotating);
        assert_eq!(rotating.bundle().matches("BEGIN CERTIFICATE").count(), 2);
        assert!(rotating.bundle().starts_with(&authority.bundle()));
        for broken in ["tls.crt", "tls.key"] {
            let mut data = authority.data();
            data.remove(broken);
            let said = Authority::read(&data).unwrap_err().to_string();
            assert!(said.contains("restore the Secret"), "{said}");
        }
        assert!(!format!("{rotating:?}").contains("PRIVATE KEY"));
    }

    #[test]
    fn certificates_stay_until_they_must_not() {
        let authority = Authority::make(at(NOW)).unwrap();
        let server = Holder::Server(uuid::Uuid::from_u128(1));
        let webhook = Holder::Webhook(crate::pki::names::service_names("paquebot", "mail"));
        for holder in [&server, &Holder::Operator, &webhook] {
            let first = authority.credentials(holder, None, at(NOW)).unwrap().unwrap();
            assert_eq!(Credentials::read(&first.data()).unwrap(), first);
            let again = |holder: &Holder, now| authority.credentials(holder, Some(&first), at(now)).unwrap();
            assert_eq!(again(holder, NOW), None);
            assert_eq!(again(holder, NOW + LEAF_RENEW_SECONDS - 1), None);
            assert!(again(holder, NOW + LEAF_RENEW_SECONDS).is_some_and(|it| it.pair != first.pair));
            assert!(again(holder, NOW + LEAF_VALID_SECONDS + 1).is_some());
            assert!(again(&Holder::Server(uuid::Uuid::from_u128(2)), NOW).is_some(), "another holder's");
            let other = Authority::make(at(NOW)).unwrap();
            assert!(other.credentials(holder, Some(&first), at(NOW)).unwrap().is_some(), "another authority's");
            let key = issue::authority(at(NOW)).unwrap().key;
            let torn = Credentials { pair: Pair { key, ..first.pair.clone() }, ..first.clone() };
            assert!(authority.credentials(holder, Some(&torn), at(NOW)).unwrap().is_some(), "another key");
        }
    }

    #[test]
    fn a_certificate_is_for_one_side_only() {
        let authority = Authority::make(at(NOW)).unwrap();
        let server = Holder::Server(uuid::Uuid::from_u128(1));
        let pair = |holder: &Holder| issue::leaf(&authority.issuing, holder, at(NOW)).unwrap();
        let verifies = |pair: &Pair, holder: &Holder| authority.verifies(pair, holder, at(NOW)).unwrap();
        assert!(verifies(&pair(&server), &server) && verifies(&pair(&Holder::Operator), &Holder::Operator));
        assert!(!verifies(&pair(&server), &Holder::Operator));
        assert!(!verifies(&pair(&Holder::Operator), &server));
        assert!(!verifies(&pair(&server), &Holder::Server(uuid::Uuid::from_u128(2))));
    }
}
