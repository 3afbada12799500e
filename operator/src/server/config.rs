//! The MTA's configuration: what the MailServer says, and what the place where it runs says.

use std::net::SocketAddr;

use paquebot_mta_api::config::{CONFIG_VERSION, Config, Delivery, Limits, Listener, Store, Tls};

use super::Facts;
use crate::api::MailServer;

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
