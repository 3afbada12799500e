//! The process configuration: one file (YAML), mounted, versioned, hot-reloaded.
//!
//! Listeners, host name, TLS files, limits, store, resolvers: what a *process* needs. What a *domain*
//! needs is in the [`directory`](crate::directory).

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::address::Domain;

/// The version of the file's form.
pub const CONFIG_VERSION: u32 = 1;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// [`CONFIG_VERSION`].
    pub version: u32,
    /// The name in greetings, EHLO, Received and Authentication-Results.
    pub hostname: Domain,
    /// Where clients and other servers connect.
    pub listeners: Vec<Listener>,
    /// The certificate; without it there is neither STARTTLS nor a login.
    pub tls: Option<Tls>,
    /// Where mail is kept.
    pub store: Store,
    /// `/metrics`, `/healthz`, `/readyz`; left out: none.
    pub metrics: Option<SocketAddr>,
    /// The Unix socket for `queue` and `trace`; left out: none.
    pub admin_socket: Option<PathBuf>,
    /// The admin API, by which the operator writes the directory; left out: none.
    pub admin: Option<Admin>,
    /// Name servers to ask; empty: those of the system.
    #[serde(default)]
    pub resolvers: Vec<SocketAddr>,
    /// How mail leaves.
    #[serde(default)]
    pub delivery: Delivery,
    /// What one client may use.
    #[serde(default)]
    pub limits: Limits,
}

/// One listening address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Port 25: mail from other servers, STARTTLS offered, no login.
    Smtp,
    /// Port 587: mail from users, STARTTLS then login (RFC 6409).
    Submission,
    /// Port 465: mail from users, TLS from the first octet (RFC 8314).
    Submissions,
    /// Port 110: STLS then login.
    Pop3,
    /// Port 995: TLS from the first octet.
    Pop3s,
}

impl Protocol {
    /// Its name in configuration, metrics, and as a port of Services and pods: at most 15 characters (RFC 6335 §5.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
        }
    }
}

/// The certificate's files, PEM; read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The admin API ([`crate::admin`]): HTTPS with mutual TLS. Its files, PEM, are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Admin {
    /// Where.
    pub address: SocketAddr,
    /// This server's chain, leaf first; the leaf names [`Admin::server_uri`].
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Whoever calls has a certificate of one of these: several while they are replaced.
    pub client_authority: PathBuf,
    /// The MailServer's UID.
    pub server: Uuid,
}

impl Admin {
    /// What the operator's client certificate names as a URI (RFC 5280 §4.2.1.6): nobody else may call.
    pub const OPERATOR_URI: &str = "urn:paquebot:operator";

    /// What the certificate of this MailServer names as a URI.
    pub fn server_uri(&self) -> String {
        format!("urn:paquebot:mailserver:{}", self.server)
    }
}

/// Where mail is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Store {
    /// In this directory: `store.sqlite` and `blobs/`.
    Sqlite {
        /// Made if absent, mode 0700.
        directory: PathBuf,
        /// 32 octets: the key that seals DKIM keys. Made if absent, mode 0600; a mounted Secret cannot be made here.
        seal_key: PathBuf,
    },
}

/// How mail leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Delivery {
    /// The port of next hosts.
    pub port: u16,
    /// The address from which connections are made; left out: the system's choice.
    pub source_address: Option<IpAddr>,
    /// Loopback, link-local and private networks that may be MX targets all the same.
    pub allowed_targets: Vec<IpNet>,
    /// Connections to one destination at most.
    pub connections_per_destination: u32,
    /// Connections in all at most.
    pub connections: u32,
    /// When the next attempt comes.
    pub retry: Retry,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            port: 25,
            source_address: None,
            allowed_targets: Vec::new(),
            connections_per_destination: 10,
            connections: 200,
            retry: Retry::default(),
        }
    }
}

/// Exponential backoff with jitter (RFC 5321 §4.5.4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retry {
    /// After the first failure; doubled after each more.
    pub first_ms: u64,
    /// The longest pause.
    pub longest_ms: u64,
    /// When the sender is told of a delay.
    pub warn_after_ms: u64,
    /// When the message is given up and returned.
    pub give_up_after_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        const MINUTE_MS: u64 = 60_000;
        Self {
            first_ms: 5 * MINUTE_MS,
            longest_ms: 4 * 60 * MINUTE_MS,
            warn_after_ms: 4 * 60 * MINUTE_MS,
            give_up_after_ms: 5 * 24 * 60 * MINUTE_MS,
        }
    }
}

/// What one client may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Octets of a message at most; announced as SIZE (RFC 1870).
    pub message_bytes: u64,
    /// Recipients of a transaction at most (RFC 5321 §4.5.3.1.8: at least 100).
    pub recipients: u32,
    /// Sessions in all at most; one protocol gets four fifths of them.
    pub sessions: u32,
    /// Sessions of one client address at most.
    pub sessions_per_address: u32,
    /// Messages accepted and not yet tried; above it new ones wait in the store for their turn.
    pub first_attempts: u32,
    /// Failed logins of one address, and of one name, within 15 minutes.
    pub failed_logins: u32,
    /// Seconds that open sessions get to end when the process stops.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 50 * 1024 * 1024,
            recipients: 1000,
            sessions: 2000,
            sessions_per_address: 100,
            first_attempts: 10_000,
            failed_logins: 10,
            drain_seconds: 20,
        }
    }
}
