//! The server's certificate: read from PEM files, read again when they change, without a restart.
//!
//! A certificate that cannot be used is refused and the running one kept. Never makes a certificate.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use paquebot_mta_api::{config, directory::Digest};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// Octets of a PEM file at most: chains have a few certificates.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}: put a PEM file there that this process may read", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Not PEM, or not what belongs there.
    #[error("{path} holds no {wanted} in PEM: {reason}", path = path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What belongs there.
        wanted: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not fit, or are of a kind that is not served.
    #[error("{certificate} and {key} cannot be served: {error}: the key must be the one of the first certificate",
        certificate = certificate.display(), key = key.display())]
    Unfit {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// Another server's certificate.
    #[error("{path} does not name {wanted}: put the certificate of this MailServer there", path = path.display())]
    Name {
        /// The chain.
        path: PathBuf,
        /// What it must name.
        wanted: String,
    },
    /// Fewer files than make up a configuration.
    #[error("a file is missing: name the certificate and its key")]
    Missing,
}

/// PEM files that make up one TLS configuration.
pub trait Files: Clone + Send + Sync + 'static {
    /// All of them.
    fn paths(&self) -> Vec<&Path>;
    /// What they are together; their contents come in the order of [`Files::paths`].
    fn server_config(&self, contents: &[Vec<u8>]) -> Result<ServerConfig, TlsError>;
}

/// What is served now of files that may change.
#[derive(Debug)]
pub struct Reloaded<F> {
    files: F,
    /// Digest of what was read last, good or bad: bad files are reported once.
    seen: Mutex<Digest>,
    current: RwLock<Arc<ServerConfig>>,
}

/// The certificate of mail's listeners.
pub type Certificates = Reloaded<config::Tls>;

/// Files that can be read again.
pub trait Refresh: Send + Sync {
    /// Reads the files again; `true` if they are others and are served from now on.
    fn refresh(&self) -> Result<bool, TlsError>;
}

impl<F: Files> Reloaded<F> {
    /// Reads the files.
    pub fn load(files: &F) -> Result<Self, TlsError> {
        let (seen, contents) = read(files)?;
        let current = RwLock::new(Arc::new(files.server_config(&contents)?));
        Ok(Self { files: files.clone(), seen: Mutex::new(seen), current })
    }

    /// Which files.
    pub fn files(&self) -> &F {
        &self.files
    }

    /// For the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<F: Files> Refresh for Reloaded<F> {
    fn refresh(&self) -> Result<bool, TlsError> {
        let (digest, contents) = read(&self.files)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == digest {
            return Ok(false);
        }
        *seen = digest;
        let config = self.files.server_config(&contents)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(true)
    }
}

fn read(files: &impl Files) -> Result<(Digest, Vec<Vec<u8>>), TlsError> {
    let contents: Vec<_> = files.paths().into_iter().map(read_bounded).collect::<Result<_, _>>()?;
    let each: Vec<u8> = contents.iter().flat_map(|content| Digest::of(content).0).collect();
    Ok((Digest::of(&each), contents))
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, TlsError> {
    use std::io::Read;
    let mut octets = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut octets))
        .map_err(|error| TlsError::Read { path: path.to_owned(), error })?;
    Ok(octets)
}

/// The certificates of a PEM file: one at least.
pub fn chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |reason| TlsError::Pem { path: path.to_owned(), wanted: "certificate", reason };
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong("no CERTIFICATE section".into()));
    }
    Ok(chain)
}

/// The private key of a PEM file.
pub fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let wrong = |reason| TlsError::Pem { path: path.to_owned(), wanted: "private key", reason };
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| wrong(error.to_string()))
}

impl Files for config::Tls {
    fn paths(&self) -> Vec<&Path> {
        vec![&self.certificate, &self.key]
    }

    fn server_config(&self, contents: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
        let [certificate, key] = contents else { return Err(TlsError::Missing) };
        let unfit = |error| TlsError::Unfit { certificate: self.certificate.clone(), key: self.key.clone(), error };
        // The provider is named: nothing depends on which crate set the process default first.
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_no_client_auth()
            .with_single_cert(chain(&self.certificate, certificate)?, private_key(&self.key, key)?)
            .map_err(unfit)?;
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(unfit)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(files: &config::Tls, name: &str) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    fn files(directory: &Path) -> config::Tls {
        config::Tls { certificate: directory.join("tls.crt"), key: directory.join("tls.key") }
    }

    #[test]
    fn a_new_certificate_is_served_and_a_bad_one_refused_once() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        write(&files, "mail.example.com");
        let certificates = Certificates::load(&files).unwrap();
        assert!(!certificates.refresh().unwrap(), "nothing changed");

        let before = certificates.current();
        write(&files, "mail.example.com");
        assert!(certificates.refresh().unwrap());
        let good = certificates.current();
        assert!(!Arc::ptr_eq(&before, &good));

        // Half of a renewal: the key of another certificate.
        let other = rcgen::generate_simple_self_signed(vec!["x.example".to_owned()]).unwrap();
        std::fs::write(&files.key, other.signing_key.serialize_pem()).unwrap();
        assert!(matches!(certificates.refresh(), Err(TlsError::Unfit { .. })));
        assert!(!certificates.refresh().unwrap(), "reported once");
        assert!(Arc::ptr_eq(&good, &certificates.current()), "the running one is kept");
    }

    #[test]
    fn what_cannot_be_served_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        assert!(matches!(Certificates::load(&files), Err(TlsError::Read { .. })));
        write(&files, "mail.example.com");
        std::fs::write(&files.certificate, "not PEM").unwrap();
        let said = Certificates::load(&files).unwrap_err().to_string();
        assert!(said.contains("tls.crt holds no certificate"), "{said}");
        write(&files, "mail.example.com");
        std::fs::write(&files.key, "").unwrap();
        let said = Certificates::load(&files).unwrap_err().to_string();
        assert!(said.contains("tls.key holds no private key"), "{said}");
    }
}
