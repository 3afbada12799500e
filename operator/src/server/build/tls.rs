//! Where a server's certificate comes from.

use super::names;
use crate::{
    api::{MailServer, server::IssuerRef},
    settings::Settings,
};

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSource {
    /// A Secret of the user's.
    Secret {
        /// Its name.
        secret: String,
    },
    /// cert-manager writes it into a Secret.
    Issuer {
        /// Who signs.
        issuer: IssuerRef,
        /// The Secret's name.
        secret: String,
    },
    /// We make it and write it into a Secret.
    SelfSigned {
        /// The Secret's name.
        secret: String,
    },
}

impl TlsSource {
    /// The name of the Secret that pods mount.
    pub fn secret(&self) -> &str {
        match self {
            Self::Secret { secret } | Self::Issuer { secret, .. } | Self::SelfSigned { secret } => secret,
        }
    }
}

/// As the MailServer says, else the operator's default issuer, else self-signed.
pub fn tls(server: &MailServer, settings: &Settings) -> TlsSource {
    let own = server.spec.tls.as_ref();
    let secret = names(server).tls;
    if let Some(reference) = own.and_then(|tls| tls.secret_ref.as_ref()) {
        return TlsSource::Secret { secret: reference.name.clone() };
    }
    let issuer = match own {
        Some(tls) => tls.issuer_ref.as_ref(),
        None => settings.defaults.issuer_ref.as_ref(),
    };
    match issuer {
        Some(issuer) => TlsSource::Issuer { issuer: issuer.clone(), secret },
        None => TlsSource::SelfSigned { secret },
    }
}
