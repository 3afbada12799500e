//! Puts it all together: one [`Server`] is one running mail server, in a process of its own or inside another.
//!
//! - this page: [`Server`]: start, reload, drain;
//! - [`check`]: what is wrong with a configuration, before anything of it is done;
//! - [`listening`]: the listeners and what each of them serves;
//! - one connection: [`crate::smtp::serve`], [`crate::pop3::serve`];
//! - [`background`]: what goes on beside the sessions: certificates, the directory, sweeping;
//! - [`mod@file`]: the configuration file; [`run`]: `paquebot-mta serve`.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use paquebot_mta_api::config::{Config, Listener};
use rustls::ServerConfig;
use tokio::{sync::Mutex, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub mod background;
pub mod check;
pub mod file;
pub mod listening;
pub mod run;
mod start;

use crate::{
    admin::{health::Health, listen::AdminError},
    identity::Identity,
    net::{
        listener::BindError,
        tls::{Certificates, TlsError},
    },
    smtp::context::{Settings, Shared},
    store::{Store, StoreError},
};
use listening::Listening;

/// Sessions that were told to end at once get that long to do so.
const ENDING_SECONDS_MAX: Duration = Duration::from_secs(2);

/// Why a server does not start, or keeps running as it was.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be served.
    #[error("{field}: {advice}")]
    Config {
        /// Which field.
        field: String,
        /// What to write.
        advice: String,
    },
    /// A reload would change what only a start can.
    #[error("{0} cannot change while the server runs: restart it, or put back what stood there")]
    Restart(&'static str),
    /// A listener.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The admin API's certificate or authorities.
    #[error("admin: {0}")]
    AdminTls(TlsError),
    /// The admin listeners.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The store.
    #[error("the store cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// The resolver.
    #[error("resolvers: {0}")]
    Dns(#[from] crate::dns::DnsError),
    /// TLS towards other servers.
    #[error("TLS for delivery cannot be set up: {0}")]
    ClientTls(rustls::Error),
    /// The metrics' registry.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The certificate that is served, if any.
#[derive(Debug, Default)]
pub struct CurrentTls(RwLock<Option<Arc<Certificates>>>);

impl CurrentTls {
    /// For the next handshake.
    pub fn config(&self) -> Option<Arc<ServerConfig>> {
        self.certificates().map(|certificates| certificates.current())
    }

    /// The files behind it.
    pub fn certificates(&self) -> Option<Arc<Certificates>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, certificates: Option<Arc<Certificates>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certificates;
    }
}

/// How the parts are told to stop, in this order.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Sessions: finish what is under way, then say goodbye.
    pub draining: CancellationToken,
    /// Sessions: end at once.
    pub ending: CancellationToken,
    /// All else.
    pub background: CancellationToken,
    /// The sessions.
    pub sessions: TaskTracker,
    /// All other tasks.
    pub tasks: TaskTracker,
}

/// A running mail server.
pub struct Server {
    context: Shared,
    health: Health,
    tls: Arc<CurrentTls>,
    listening: Mutex<Listening>,
    directory: background::DirectoryLoader,
    engine: start::Engine,
    stop: Stop,
    metrics_address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
    identity: Identity,
}

impl Server {
    /// Starts: everything is checked and bound before anything is served.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        start::start(config).await
    }

    /// Starts on this store: everything is checked and bound before anything is served.
    pub async fn start_on(config: Config, store: Store) -> Result<Self, ServeError> {
        start::start_on(config, store).await
    }

    /// The store, for writers in the same process.
    pub fn store(&self) -> &Store {
        &self.context.store
    }

    /// Where it listens: as configured, and where that really is.
    pub async fn listeners(&self) -> Vec<(Listener, SocketAddr)> {
        self.listening.lock().await.addresses()
    }

    /// Where the metrics are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Where the admin API is.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Whether it should get mail; why not, in words.
    pub async fn ready(&self) -> Result<(), String> {
        self.health.ready().await
    }

    /// Serves the store's directory as it is now; gives its revision. Call it after
    /// [`Store::change_directory`]: other processes' changes are noticed within seconds.
    pub async fn directory_changed(&self) -> Result<u64, StoreError> {
        self.directory.load().await
    }

    /// Goes on with another configuration; refused as a whole where a part of it cannot be had.
    pub async fn reload(&self, config: Config) -> Result<(), ServeError> {
        check::check(&config)?;
        let mut listening = self.listening.lock().await;
        if let Some(field) = check::needs_restart(listening.config(), &config) {
            return Err(ServeError::Restart(field));
        }
        let certificates = match (&config.tls, self.tls.certificates()) {
            (None, _) => None,
            (Some(files), Some(running)) if running.files() == files => Some(running),
            (Some(files), _) => Some(Arc::new(Certificates::load(files)?)),
        };
        listening.change(&config).await?;
        self.identity.set(&config);
        self.tls.set(certificates);
        self.context.set_settings(Settings { hostname: config.hostname, limits: config.limits });
        Ok(())
    }

    /// Ends: no new sessions; open ones finish within `limits.drainSeconds`; what was accepted is in the store.
    pub async fn drain(self) {
        self.health.set_listening(false);
        let limit = Duration::from_secs(self.context.settings().limits.drain_seconds);
        self.listening.lock().await.close().await;
        self.stop.draining.cancel();
        self.stop.sessions.close();
        if timeout(limit, self.stop.sessions.wait()).await.is_err() {
            tracing::warn!(sessions = self.stop.sessions.len(), "sessions did not end in time");
            self.stop.ending.cancel();
            let _ = timeout(ENDING_SECONDS_MAX, self.stop.sessions.wait()).await;
        }
        self.engine.drain(limit).await;
        self.stop.background.cancel();
        self.stop.tasks.close();
        let _ = timeout(ENDING_SECONDS_MAX, self.stop.tasks.wait()).await;
        tracing::info!("drained");
    }
}
