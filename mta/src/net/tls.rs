//! The server's certificate: read from PEM files, read again when they change, without a restart.
//!
//! A certificate that cannot be used is refused and the running one kept. Never makes a certificate.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use ::aws_lc_rs::digest::{SHA256, digest};
use paquebot_mta_api::config;
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
}

/// The certificate that is served now.
#[derive(Debug)]
pub struct Certificates {
    files: config::Tls,
    /// Digest of what was read last, good or bad: a bad certificate is reported once.
    seen: Mutex<Option<[u8; 32]>>,
    current: RwLock<Arc<ServerConfig>>,
}

impl Certificates {
    /// Reads the files.
    pub fn load(files: &config::Tls) -> Result<Self, TlsError> {
        let (seen, certificate, key) = read(files)?;
        let current = RwLock::new(Arc::new(server_config(files, &certificate, &key)?));
        Ok(Self { files: files.clone(), seen: Mutex::new(Some(seen)), current })
    }

    /// Which files.
    pub fn files(&self) -> &config::Tls {
        &self.files
    }

    /// For the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again; `true` if another certificate is served from now on.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let (digest, certificate, key) = read(&self.files)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == Some(digest) {
            return Ok(false);
        }
        *seen = Some(digest);
        let config = server_config(&self.files, &certificate, &key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(true)
    }
}

/// Digest of both, the certificate, the key.
type Files = ([u8; 32], Vec<u8>, Vec<u8>);

fn read(files: &config::Tls) -> Result<Files, TlsError> {
    let certificate = read_bounded(&files.certificate)?;
    let key = read_bounded(&files.key)?;
    let mut both = digest(&SHA256, &certificate).as_ref().to_vec();
    both.extend_from_slice(digest(&SHA256, &key).as_ref());
    let mut seen = [0; 32];
    seen.copy_from_slice(digest(&SHA256, &both).as_ref());
    Ok((seen, certificate, key))
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, TlsError> {
    use std::io::Read;
    let mut octets = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut octets))
        .map_err(|error| TlsError::Read { path: path.to_owned(), error })?;
    Ok(octets)
}

fn server_config(files: &config::Tls, certificate: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let wrong = |path: &Path, wanted, reason: String| TlsError::Pem { path: path.to_owned(), wanted, reason };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(&files.certificate, "certificate", error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(&files.certificate, "certificate", "no CERTIFICATE section".into()));
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&files.key, "private key", error.to_string()))?;
    let unfit = |error| TlsError::Unfit { certificate: files.certificate.clone(), key: files.key.clone(), error };
    // The provider is named: nothing depends on which crate set the process default first.
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unfit)?;
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(unfit)?;
    Ok(config)
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
