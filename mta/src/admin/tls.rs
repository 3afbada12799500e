//! Who may use the admin API: TLS 1.3 only, and a client has a certificate of the operator's own.
//!
//! Its files are read again when they change; bad ones are refused and the running ones kept. A session is never
//! resumed: each connection shows its certificate.

use std::{path::Path, sync::Arc};

use paquebot_mta_api::config::Admin;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, UnixTime},
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};

use super::certificate::facts;
use crate::net::tls::{Files, Reloaded, TlsError, chain, private_key};

/// The certificate and the authorities in force.
pub type AdminTls = Reloaded<Admin>;

/// CAs of the authority file at most: more than two is a rotation that never ends.
const AUTHORITIES_MAX: usize = 8;

impl Files for Admin {
    fn paths(&self) -> Vec<&Path> {
        vec![&self.certificate, &self.key, &self.client_authority]
    }

    fn server_config(&self, contents: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
        let [certificate, key, authorities] = contents else { return Err(TlsError::Missing) };
        let own = chain(&self.certificate, certificate)?;
        let uri = self.server_uri();
        let named = own.first().and_then(|leaf| facts(leaf)).is_some_and(|facts| facts.uris.contains(&uri));
        if !named {
            return Err(TlsError::Name { path: self.certificate.clone(), wanted: uri });
        }
        let unfit = |error| TlsError::Unfit { certificate: self.certificate.clone(), key: self.key.clone(), error };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let inner = WebPkiClientVerifier::builder_with_provider(
            roots(&self.client_authority, authorities)?.into(),
            provider.clone(),
        )
        .build()
        .map_err(|error| no_authority(&self.client_authority, error.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(unfit)?
            .with_client_cert_verifier(Arc::new(OperatorOnly { inner }))
            .with_single_cert(own, private_key(&self.key, key)?)
            .map_err(unfit)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let bundle = chain(path, pem)?;
    if bundle.len() > AUTHORITIES_MAX {
        return Err(no_authority(path, format!("{} certificates; at most {AUTHORITIES_MAX}", bundle.len())));
    }
    let mut roots = RootCertStore::empty();
    for authority in bundle {
        roots.add(authority).map_err(|error| no_authority(path, error.to_string()))?;
    }
    Ok(roots)
}

fn no_authority(path: &Path, reason: String) -> TlsError {
    TlsError::Pem { path: path.to_owned(), wanted: "certificate authority", reason }
}

/// A certificate that chains to an authority, names the use as a client's and the operator as its subject.
#[derive(Debug)]
struct OperatorOnly {
    inner: Arc<dyn ClientCertVerifier>,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the client's certificate is not the operator's: it must name {} and the use as a client's",
    Admin::OPERATOR_URI
)]
struct NotTheOperator;

impl ClientCertVerifier for OperatorOnly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(leaf, intermediates, now)?;
        // RFC 5280 §4.2.1.12: a certificate without the extension is good for all; here it is not.
        match facts(leaf) {
            Some(facts) if facts.for_clients && facts.uris.iter().any(|uri| uri == Admin::OPERATOR_URI) => Ok(verified),
            _ => Err(CertificateError::Other(OtherError(Arc::new(NotTheOperator))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
