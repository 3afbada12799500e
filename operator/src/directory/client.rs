//! The admin API of one pod: HTTP over TLS 1.3 with certificates on both sides. The pod is found by its address and
//! known by its MailServer's name. Every call has a deadline, every answer a limit. No log shows a body.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use paquebot_mta_api::admin::{Bucket, Buckets, Change, Changed, DirectoryState, Refusal};
use rustls::{
    ClientConfig,
    client::Resumption,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde::de::DeserializeOwned;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::pki::{Credentials, PkiError, authority::roots, facts::provider, names::server_name};

/// Connecting and the handshake.
pub const CONNECT_SECONDS_MAX: u64 = 5;
/// An answer to a question.
pub const ANSWER_SECONDS_MAX: u64 = 10;
/// An answer to a change: it is committed and synced before.
pub const CHANGE_SECONDS_MAX: u64 = 30;
/// Octets of an answer at most: a bucket of a directory of ten million entries.
pub const ANSWER_OCTETS_MAX: usize = 8 * 1024 * 1024;

/// Why a pod did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("{address} cannot be reached ({error}): see whether the pod runs and NetworkPolicies let the operator in")]
    Connect {
        /// The pod's admin API.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// A connection, but no trust.
    #[error(
        "{address} is not trusted or does not trust us ({error}): see whether the pod has its new certificate, and the clocks agree"
    )]
    Trust {
        /// The pod's admin API.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// Too slow.
    #[error("{address} did not answer within {seconds} seconds: see the pod's log and its load")]
    Slow {
        /// The pod's admin API.
        address: SocketAddr,
        /// The deadline.
        seconds: u64,
    },
    /// The connection ended.
    #[error("the connection to {address} ended ({error}): it is tried again")]
    Ended {
        /// The pod's admin API.
        address: SocketAddr,
        /// Why.
        error: hyper::Error,
    },
    /// An answer that no MTA of this version gives.
    #[error("{address} answered {answer}: see whether the operator and the pod's image are of one version")]
    Unexpected {
        /// The pod's admin API.
        address: SocketAddr,
        /// What.
        answer: String,
    },
    /// A change was refused.
    #[error("{address} refused a change: {}", .refusal.message)]
    Refused {
        /// The pod's admin API.
        address: SocketAddr,
        /// Why.
        refusal: Refusal,
    },
}

/// The operator's certificate and whom it trusts; replaced while running.
#[derive(Debug)]
pub struct Identity {
    current: RwLock<Arc<ClientConfig>>,
}

impl Identity {
    /// With these credentials.
    pub fn new(credentials: &Credentials) -> Result<Self, PkiError> {
        Ok(Self { current: RwLock::new(Arc::new(config(credentials)?)) })
    }

    /// New connections use these from now on; refused, where they cannot be used, and the old ones stay.
    pub fn replace(&self, credentials: &Credentials) -> Result<(), PkiError> {
        let config = Arc::new(config(credentials)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    fn current(&self) -> Arc<ClientConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn config(credentials: &Credentials) -> Result<ClientConfig, PkiError> {
    let unusable = |error: &dyn std::fmt::Display| PkiError::Unusable(error.to_string());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(credentials.pair.certificate.as_bytes()).collect();
    let chain = chain.map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(credentials.pair.key.as_bytes()).map_err(|error| unusable(&error))?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable(&error))?
        .with_root_certificates(roots(&credentials.bundle)?)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(&error))?;
    // A resumed session would go on with a certificate that is trusted no more.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Connects to the pods of one MailServer.
#[derive(Debug, Clone)]
pub struct Client {
    identity: Arc<Identity>,
    server: Uuid,
}

impl Client {
    /// For the MailServer with this UID.
    pub fn new(identity: Arc<Identity>, server: Uuid) -> Self {
        Self { identity, server }
    }

    /// A connection to the pod at this address, which has shown that it is of this MailServer.
    pub async fn open(&self, address: SocketAddr) -> Result<Connection, ClientError> {
        let seconds = CONNECT_SECONDS_MAX;
        let slow = |_| ClientError::Slow { address, seconds };
        timeout(Duration::from_secs(seconds), self.connect(address)).await.map_err(slow)?
    }

    async fn connect(&self, address: SocketAddr) -> Result<Connection, ClientError> {
        let stream = TcpStream::connect(address).await.map_err(|error| ClientError::Connect { address, error })?;
        let _ = stream.set_nodelay(true);
        let host = server_name(self.server);
        let trust = |error| ClientError::Trust { address, error };
        let name = ServerName::try_from(host.clone()).map_err(|error| trust(std::io::Error::other(error)))?;
        let tls = TlsConnector::from(self.identity.current()).connect(name, stream).await.map_err(trust)?;
        let ended = |error| ClientError::Ended { address, error };
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(ended)?;
        let driver = Some(AbortOnDropHandle::new(tokio::spawn(connection)));
        Ok(Connection { address, host, sender, driver })
    }
}

/// A connection to one pod; ends when it is dropped.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    host: String,
    sender: http1::SendRequest<Full<Bytes>>,
    /// Moves the octets; ends with the connection, and says why.
    driver: Option<AbortOnDropHandle<Result<(), hyper::Error>>>,
}

impl Connection {
    /// What the store has and the pod serves.
    pub async fn state(&mut self) -> Result<DirectoryState, ClientError> {
        self.get("/v1/directory").await
    }

    /// The digest of each bucket.
    pub async fn buckets(&mut self) -> Result<Buckets, ClientError> {
        self.get("/v1/directory/buckets").await
    }

    /// The entries of one bucket.
    pub async fn bucket(&mut self, index: usize) -> Result<Bucket, ClientError> {
        self.get(&format!("/v1/directory/buckets/{index}")).await
    }

    /// Changes the directory.
    pub async fn change(&mut self, change: &Change) -> Result<Changed, ClientError> {
        let unexpected = |error: serde_json::Error| self.unexpected(error.to_string());
        let body = serde_json::to_vec(change).map_err(unexpected)?;
        self.call(Method::POST, "/v1/directory", Bytes::from(body), CHANGE_SECONDS_MAX).await
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Bytes::new(), ANSWER_SECONDS_MAX).await
    }

    async fn call<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        seconds: u64,
    ) -> Result<T, ClientError> {
        let address = self.address;
        let slow = |_| ClientError::Slow { address, seconds };
        let (status, answer) =
            timeout(Duration::from_secs(seconds), self.exchange(method, path, body)).await.map_err(slow)??;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|error| self.unexpected(error.to_string()));
        }
        match serde_json::from_slice::<Refusal>(&answer) {
            Ok(refusal) => Err(ClientError::Refused { address, refusal }),
            Err(_) => Err(self.unexpected(status.to_string())),
        }
    }

    async fn exchange(&mut self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.unexpected(error.to_string()))?;
        let sent = match self.sender.ready().await {
            Ok(()) => self.sender.send_request(request).await,
            Err(error) => Err(error),
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => return Err(self.ended(error).await),
        };
        let status = response.status();
        match Limited::new(response.into_body(), ANSWER_OCTETS_MAX).collect().await {
            Ok(whole) => Ok((status, whole.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(self.unexpected(format!("more than {ANSWER_OCTETS_MAX} octets")))
            }
            Err(error) => Err(self.unexpected(error.to_string())),
        }
    }

    /// Why the connection ended. With TLS 1.3 a server says only after the client's handshake that it does not trust
    /// the client.
    async fn ended(&mut self, error: hyper::Error) -> ClientError {
        let address = self.address;
        let mut error = error;
        if error.is_closed() || error.is_canceled() {
            let driver = self.driver.take();
            let end = async { driver?.await.ok()?.err() };
            error = end.await.unwrap_or(error);
        }
        // Sometimes the connection's error comes wrapped in the request's.
        let sources = std::iter::successors(std::error::Error::source(&error), |it| it.source());
        let mut inputs = sources.filter_map(|it| it.downcast_ref::<std::io::Error>());
        let tls = inputs.find_map(|it| it.get_ref()?.downcast_ref::<rustls::Error>());
        match tls {
            Some(tls) => ClientError::Trust { address, error: std::io::Error::other(tls.clone()) },
            None => ClientError::Ended { address, error },
        }
    }

    fn unexpected(&self, answer: String) -> ClientError {
        ClientError::Unexpected { address: self.address, answer }
    }
}
