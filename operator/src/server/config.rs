//! The MTA's configuration: what the MailServer says, and what the place where it runs says.

use std::net::SocketAddr;

use paquebot_mta_api::config::{CONFIG_VERSION, Config, Delivery, Limits, Listener, Store, Tls};

use super::{Facts, PORTS_STANDARD};
use crate::api::MailServer;

/// The port of metrics and health in a pod.
const METRICS_PORT: u16 = 9090;

/// What the place where a process runs says: a pod, or a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Where clients and other servers connect.
    pub listeners: Vec<Listener>,
    /// The certificate's files.
    pub tls: Option<Tls>,
    /// Where mail is kept.
    pub store: Store,
    /// Metrics and health.
    pub metrics: Option<SocketAddr>,
    /// The socket for `queue` and `trace`.
    pub admin_socket: Option<std::path::PathBuf>,
    /// Name servers; empty: the system's.
    pub resolvers: Vec<SocketAddr>,
    /// How mail leaves.
    pub delivery: Delivery,
}

impl Process {
    /// In a pod: every address, standard ports, mounted files.
    pub fn pod() -> Self {
        let any = |port| SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
        Self {
            listeners: PORTS_STANDARD
                .iter()
                .map(|(protocol, port)| Listener { protocol: *protocol, address: any(*port) })
                .collect(),
            tls: Some(Tls { certificate: "/etc/paquebot/tls/tls.crt".into(), key: "/etc/paquebot/tls/tls.key".into() }),
            store: Store::Sqlite { directory: "/var/lib/paquebot".into(), seal_key: "/etc/paquebot/seal/key".into() },
            metrics: Some(any(METRICS_PORT)),
            admin_socket: Some("/run/paquebot/admin.sock".into()),
            resolvers: Vec::new(),
            delivery: Delivery::default(),
        }
    }
}

/// The configuration of one process of a server.
pub fn config(_server: &MailServer, facts: &Facts, process: Process) -> Config {
    Config {
        version: CONFIG_VERSION,
        hostname: facts.hostname.clone(),
        listeners: process.listeners,
        tls: process.tls,
        store: process.store,
        metrics: process.metrics,
        admin_socket: process.admin_socket,
        resolvers: process.resolvers,
        delivery: process.delivery,
        limits: Limits::default(),
    }
}
