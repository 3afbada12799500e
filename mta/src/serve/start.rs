//! Starting: check, bind, load, then serve. Where a step fails nothing is left running.

use std::sync::Arc;

use aws_lc_rs::hmac;
use paquebot_mta_api::config::{self, Config};
use tokio::net::{TcpListener, UnixListener};

use super::{
    CurrentTls, ServeError, Server, Stop,
    background::{DirectoryLoader, follow_certificate, follow_directory, sweep},
    check,
    listening::{Listening, Served},
};
use crate::{
    admin::{
        directory::DirectoryApi,
        health::Health,
        http,
        listen::{self, Serving},
        metrics::{Metrics, SharedMetrics},
        tls::AdminTls,
    },
    deliver,
    directory::Directory,
    dns::Resolver,
    identity::Identity,
    login::Logins,
    net::{
        listener::{Bound, bind},
        tls::{Certificates, Refresh},
    },
    queue::{
        self,
        engine::{Deps, EngineHandle},
    },
    restarted::restarted,
    sign::Signers,
    smtp::context::{Context, FirstAttempts, Parts, Settings, Shared},
    store::{Accept, Clock, Incarnation, SealKey, Sqlite, Store, StoreError},
    verify::Verifier,
};

/// The queue's engine.
pub(super) type Engine = EngineHandle;

impl FirstAttempts for EngineHandle {
    fn holder(&self) -> Option<Incarnation> {
        EngineHandle::holder(self)
    }
    fn submit(&self, accept: Accept) {
        EngineHandle::submit(self, accept);
    }
    fn doubt(&self) {
        EngineHandle::doubt(self);
    }
}

/// What is bound before anything is served.
struct Bindings {
    listeners: Vec<Bound>,
    metrics: Option<TcpListener>,
    socket: Option<UnixListener>,
    admin: Option<(TcpListener, Arc<AdminTls>)>,
}

pub(super) async fn start(config: Config) -> Result<Server, ServeError> {
    check::check(&config)?;
    let config::Store::Sqlite { directory, seal_key } = config.store.clone();
    let opened = tokio::task::spawn_blocking(move || -> Result<_, StoreError> {
        Sqlite::open(&directory, SealKey::load_or_make(&seal_key)?)
    });
    let (sqlite, blobs) = opened.await.map_err(|error| StoreError::Unavailable(error.to_string()))??;
    start_on(config, Store::new(sqlite, blobs)).await
}

pub(super) async fn start_on(config: Config, store: Store) -> Result<Server, ServeError> {
    check::check(&config)?;
    let tls = CurrentTls::default();
    if let Some(files) = &config.tls {
        tls.set(Some(Arc::new(Certificates::load(files)?)));
    }
    let tls = Arc::new(tls);
    let bindings = bind_all(&config).await?;
    let metrics_address = bindings.metrics.as_ref().and_then(|listener| listener.local_addr().ok());
    let admin_address = bindings.admin.as_ref().and_then(|(listener, _)| listener.local_addr().ok());
    let metrics: SharedMetrics = Arc::new(Metrics::new()?);
    let directory = Arc::new(Directory::default());
    let loader = DirectoryLoader::new(store.clone(), directory.clone());
    loader.load().await?;
    let health = Health::new(store.clone(), directory.clone(), metrics.clone());
    let api = DirectoryApi::new(store.clone(), directory.clone(), loader.clone(), metrics.clone());
    let stop = Stop::default();
    store.observe(metrics.clone());
    let identity = Identity::new(&config);
    let (context, engine) = context(&config, store, directory, metrics.clone(), &identity)?;
    let served = Served { smtp: context.clone(), tls: tls.clone() };
    let listening = Listening::start(config, bindings.listeners, served, &stop);
    health.set_listening(true);
    let closing = &stop.background;
    let (following, until) = (loader.clone(), closing.clone());
    stop.tasks.spawn(restarted("directory", move || follow_directory(following.clone(), until.clone())));
    let current = tls.clone();
    follow_files(&stop, "tls", move || current.certificates().map(|files| files as Arc<dyn Refresh>));
    let (swept, until) = (context.store.clone(), closing.clone());
    stop.tasks.spawn(restarted("sweep", move || sweep(swept.clone(), Clock::system(), until.clone())));
    let serving = Serving { tasks: stop.tasks.clone(), closing: closing.clone() };
    if let Some(listener) = bindings.metrics {
        stop.tasks.spawn(serving.clone().address(listener, http::metrics_routes(health.clone())));
    }
    if let Some(listener) = bindings.socket {
        stop.tasks.spawn(serving.clone().socket(listener, http::people_routes(context.store.clone())));
    }
    if let Some((listener, tls)) = bindings.admin {
        stop.tasks.spawn(serving.mutual_tls(listener, api.routes(), tls.clone(), metrics));
        follow_files(&stop, "admin", move || Some(tls.clone() as Arc<dyn Refresh>));
    }
    Ok(Server {
        context,
        health,
        tls,
        listening: listening.into(),
        directory: loader,
        engine,
        stop,
        metrics_address,
        admin_address,
        identity,
    })
}

fn follow_files(
    stop: &Stop,
    what: &'static str,
    files: impl Fn() -> Option<Arc<dyn Refresh>> + Clone + Send + 'static,
) {
    let until = stop.background.clone();
    stop.tasks.spawn(restarted("certificate", move || follow_certificate(what, files.clone(), until.clone())));
}

async fn bind_all(config: &Config) -> Result<Bindings, ServeError> {
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        listeners.push(bind(listener).await?);
    }
    let metrics = match config.metrics {
        Some(address) => Some(listen::bind_address(address, "metrics").await?),
        None => None,
    };
    let socket = match &config.admin_socket {
        Some(path) => Some(listen::bind_socket(path).await?),
        None => None,
    };
    let admin = match &config.admin {
        Some(admin) => {
            let tls = AdminTls::load(admin).map_err(ServeError::AdminTls)?;
            Some((listen::bind_address(admin.address, "the admin API").await?, Arc::new(tls)))
        }
        None => None,
    };
    Ok(Bindings { listeners, metrics, socket, admin })
}

fn context(
    config: &Config,
    store: Store,
    directory: Arc<Directory>,
    metrics: SharedMetrics,
    identity: &Identity,
) -> Result<(Shared, Engine), ServeError> {
    let resolver = Resolver::new(&config.resolvers)?;
    let secret = salt_secret(&config.store)?;
    let logins = Logins::new(directory.clone(), metrics.clone(), config.limits.failed_logins, &secret);
    let signers = Arc::new(Signers::default());
    let remote = deliver::remote::Smtp::new(config.delivery.clone(), identity.clone(), resolver.clone())
        .map_err(ServeError::ClientTls)?;
    let engine = queue::engine::Engine::start(Deps {
        store: store.clone(),
        directory: directory.clone(),
        remote: Arc::new(remote),
        signers: signers.clone(),
        metrics: metrics.clone(),
        clock: Clock::system(),
        identity: identity.clone(),
        delivery: config.delivery.clone(),
        first_attempts: config.limits.first_attempts,
    });
    let parts = Parts {
        store,
        directory,
        logins: Arc::new(logins),
        verifier: Verifier::new(resolver, identity.clone()),
        signers,
        queue: Arc::new(engine.clone()),
        metrics,
    };
    let settings = Settings { hostname: config.hostname.clone(), limits: config.limits.clone() };
    Ok((Arc::new(Context::new(parts, settings)), engine))
}

/// For the salts of names that nobody has: secret, and the same after a restart, or the salts would tell.
fn salt_secret(store: &config::Store) -> Result<Vec<u8>, ServeError> {
    let config::Store::Sqlite { seal_key, .. } = store;
    let key = std::fs::read(seal_key).map_err(|error| {
        StoreError::Unavailable(format!("the seal key {} cannot be read: {error}", seal_key.display()))
    })?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    Ok(hmac::sign(&key, b"salts of unknown names").as_ref().to_vec())
}
