//! The MTA's configuration: what the MailServer says, and what the place where it runs says.

use std::net::SocketAddr;

use paquebot_mta_api::config::{Admin, CONFIG_VERSION, Config, Delivery, Limits, Listener, Store, Tls};

use super::{
    Facts,
    ports::{ADMIN_PORT, METRICS_PORT, PORTS_STANDARD, inside},
};
use crate::{
    api::{
        MailServer,
        units::{GoDuration, Quantity},
    },
    names::hash8,
};

/// Where the configuration's file is mounted in a pod; a folder of its own, so that a new file comes in while it runs.
pub const CONFIG_FOLDER: &str = "/etc/paquebot/config";
/// The name of the configuration's file.
pub const CONFIG_FILE: &str = "mta.yaml";
/// Where the certificate for mail is mounted.
pub const TLS_FOLDER: &str = "/etc/paquebot/tls";
/// Where the key that seals DKIM keys is mounted.
pub const SEAL_FOLDER: &str = "/etc/paquebot/seal";
/// The seal key's name in its Secret.
pub const SEAL_KEY: &str = "key";
/// Where the admin API's certificate and authorities are mounted.
pub const ADMIN_FOLDER: &str = "/etc/paquebot/admin";
/// Where the volume is mounted. The store is a folder in it: the volume's own belongs to root.
pub const DATA_FOLDER: &str = "/var/lib/paquebot";
/// Where sockets are.
pub const RUN_FOLDER: &str = "/run/paquebot";

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
    /// The admin API, by which the operator writes the directory; `None` outside a cluster.
    pub admin: Option<Admin>,
    /// Name servers; empty: the system's.
    pub resolvers: Vec<SocketAddr>,
    /// How mail leaves.
    pub delivery: Delivery,
}

impl Process {
    /// In a pod: every address, high ports, mounted files. The admin API has the server's UID, which the API server
    /// gave it: a server that is only a file has none.
    pub fn pod(server: &MailServer) -> Self {
        let any = |port| SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
        Self {
            listeners: PORTS_STANDARD
                .iter()
                .map(|(protocol, port)| Listener { protocol: *protocol, address: any(inside(*port)) })
                .collect(),
            tls: Some(Tls {
                certificate: format!("{TLS_FOLDER}/tls.crt").into(),
                key: format!("{TLS_FOLDER}/tls.key").into(),
            }),
            store: Store::Sqlite {
                directory: format!("{DATA_FOLDER}/store").into(),
                seal_key: format!("{SEAL_FOLDER}/{SEAL_KEY}").into(),
            },
            metrics: Some(any(METRICS_PORT)),
            admin_socket: Some(format!("{RUN_FOLDER}/admin.sock").into()),
            admin: server.metadata.uid.as_ref().and_then(|uid| uid.parse().ok()).map(|server| Admin {
                address: any(ADMIN_PORT),
                certificate: format!("{ADMIN_FOLDER}/tls.crt").into(),
                key: format!("{ADMIN_FOLDER}/tls.key").into(),
                client_authority: format!("{ADMIN_FOLDER}/ca.crt").into(),
                server,
            }),
            resolvers: Vec::new(),
            delivery: Delivery::default(),
        }
    }
}

/// The configuration of one process of a server.
pub fn config(server: &MailServer, facts: &Facts, process: Process) -> Config {
    Config {
        version: CONFIG_VERSION,
        hostname: facts.hostname.clone(),
        listeners: process.listeners,
        tls: process.tls,
        store: process.store,
        metrics: process.metrics,
        admin_socket: process.admin_socket,
        admin: process.admin,
        resolvers: process.resolvers,
        delivery: process.delivery,
        limits: limits(server),
    }
}

/// What one client may use: as the MailServer says, else the defaults.
pub fn limits(server: &MailServer) -> Limits {
    let default = Limits::default();
    let Some(own) = &server.spec.limits else { return default };
    Limits {
        message_bytes: own.message_size.as_ref().and_then(Quantity::octets).unwrap_or(default.message_bytes),
        recipients: own.recipients.unwrap_or(default.recipients),
        sessions: own.sessions.unwrap_or(default.sessions),
        sessions_per_address: own.sessions_per_address.unwrap_or(default.sessions_per_address),
        drain_seconds: own
            .drain
            .as_ref()
            .and_then(GoDuration::value)
            .map_or(default.drain_seconds, |drain| drain.as_secs_f64().ceil() as u64),
        ..default
    }
}

/// A digest of what a running process does not take up from a changed file: pods are replaced when it changes.
///
/// What reloads is named, all else counts: a field that comes later restarts too often rather than never.
pub fn restart_digest(config: &Config) -> String {
    let fixed = Config {
        listeners: Vec::new(),
        tls: None,
        limits: Limits {
            failed_logins: config.limits.failed_logins,
            first_attempts: config.limits.first_attempts,
            ..Limits::default()
        },
        ..config.clone()
    };
    let mut value = serde_json::to_value(&fixed).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("hostname");
    }
    hash8(&value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{MailServerSpec, server::ServerLimits},
        server::facts,
    };

    fn configuration(server: &MailServer, first: &str) -> Config {
        config(server, &facts(server, &first.parse().unwrap()).unwrap(), Process::pod(server))
    }

    #[test]
    fn limits_are_the_servers_own() {
        let mut server = MailServer::new("main", MailServerSpec::default());
        assert_eq!(limits(&server), Limits::default());
        server.spec.limits = Some(ServerLimits {
            message_size: Some(Quantity("10Mi".into())),
            drain: Some(GoDuration("1m30s".into())),
            ..ServerLimits::default()
        });
        let limits = limits(&server);
        assert_eq!((limits.message_bytes, limits.drain_seconds, limits.sessions), (10 * 1024 * 1024, 90, 2000));
    }

    #[test]
    fn only_what_cannot_reload_restarts() {
        let server = MailServer::new("main", MailServerSpec::default());
        let running = configuration(&server, "example.com");
        let restarts = |change: &dyn Fn(&mut Config)| {
            let mut wanted = running.clone();
            change(&mut wanted);
            restart_digest(&wanted) != restart_digest(&running)
        };
        assert!(!restarts(&|it| it.hostname = "other.example".parse().unwrap()));
        assert!(!restarts(&|it| it.listeners.clear()));
        assert!(!restarts(&|it| it.limits.sessions = 7));
        assert!(!restarts(&|it| it.tls = None));
        assert!(restarts(&|it| it.limits.failed_logins = 7));
        assert!(restarts(&|it| it.limits.first_attempts = 7));
        assert!(restarts(&|it| it.delivery.port = 2525));
        assert!(restarts(&|it| it.metrics = None));
        assert!(restarts(&|it| it.resolvers.push("192.0.2.53:53".parse().unwrap())));
    }
}
