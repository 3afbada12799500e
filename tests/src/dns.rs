//! Authoritative DNS on loopback for tests without a runtime of their own.

use std::net::SocketAddr;

use paquebot::local::nameserver::{NameServer, Zone};
use tokio::runtime::Runtime;

/// A running name server; ended when dropped.
pub struct Dns {
    server: NameServer,
    _runtime: Runtime,
}

impl Dns {
    /// Serves these zones (name, text), and an empty root.
    pub fn start(zones: &[(&str, &str)]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let zones: Vec<Zone> = zones
            .iter()
            .map(|(origin, text)| Zone { origin: (*origin).to_owned(), text: (*text).to_owned() })
            .collect();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = runtime.block_on(NameServer::start(any, &zones)).unwrap();
        Self { server, _runtime: runtime }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}
