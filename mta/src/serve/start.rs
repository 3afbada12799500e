//! Starting: check, bind, load, then serve. Where a step fails nothing is left running.

use std::sync::Arc;

use paquebot_mta_api::config::Config;
use tokio::net::{TcpListener, UnixListener};

use super::{
    CurrentTls, ServeError, Server, Stop,
    background::{DirectoryLoader, follow_certificate, follow_directory},
    check,
    listening::{Listening, Served},
};
use crate::{
    admin::{
        health::Health,
        http,
        metrics::{Metrics, SharedMetrics},
    },
    directory::Directory,
    dns::Resolver,
    login::Logins,
    net::{
        listener::{Bound, bind},
        tls::Certificates,
    },
    smtp::context::{Context, FirstAttempts, Parts, Settings, Shared},
    store::{Accept, Incarnation, Store},
    verify::Verifier,
};

struct Nobody;
impl FirstAttempts for Nobody {
    fn holder(&self) -> Option<Incarnation> {
        None
    }
    fn submit(&self, _accept: Accept) {}
}

/// What is bound before anything is served.
struct Bindings {
    listeners: Vec<Bound>,
    metrics: Option<TcpListener>,
    socket: Option<UnixListener>,
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
    let metrics: SharedMetrics = Arc::new(Metrics::new()?);
    let directory = Arc::new(Directory::default());
    let loader = DirectoryLoader::new(store.clone(), directory.clone());
    loader.load().await?;
    let health = Health::new(store.clone(), directory.clone(), metrics.clone());
    let stop = Stop::default();
    let context = context(&config, store, directory, metrics)?;
    let served = Served { smtp: context.clone(), tls: tls.clone() };
    let listening = Listening::start(config, bindings.listeners, served, &stop);
    health.set_listening(true);
    let closing = &stop.background;
    stop.tasks.spawn(follow_directory(loader.clone(), closing.clone()));
    stop.tasks.spawn(follow_certificate(tls.clone(), closing.clone()));
    if let Some(listener) = bindings.metrics {
        let routes = http::metrics_routes(health.clone());
        stop.tasks.spawn(http::serve_metrics(listener, routes, stop.tasks.clone(), closing.clone()));
    }
    if let Some(listener) = bindings.socket {
        let routes = http::people_routes(context.store.clone());
        stop.tasks.spawn(http::serve_socket(listener, routes, stop.tasks.clone(), closing.clone()));
    }
    Ok(Server { context, health, tls, listening: listening.into(), directory: loader, stop, metrics_address })
}

async fn bind_all(config: &Config) -> Result<Bindings, ServeError> {
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        listeners.push(bind(listener).await?);
    }
    let metrics = match config.metrics {
        Some(address) => Some(http::bind_metrics(address).await?),
        None => None,
    };
    let socket = match &config.admin_socket {
        Some(path) => Some(http::bind_socket(path).await?),
        None => None,
    };
    Ok(Bindings { listeners, metrics, socket })
}

fn context(
    config: &Config,
    store: Store,
    directory: Arc<Directory>,
    metrics: SharedMetrics,
) -> Result<Shared, ServeError> {
    let resolver = Resolver::new(&config.resolvers)?;
    let logins = Logins::new(directory.clone(), metrics.clone(), config.limits.failed_logins, b"tbd");
    let parts = Parts {
        store,
        directory,
        logins: Arc::new(logins),
        verifier: Verifier::new(resolver, config.hostname.clone()),
        queue: Arc::new(Nobody),
        metrics,
    };
    let settings = Settings { hostname: config.hostname.clone(), limits: config.limits.clone() };
    Ok(Arc::new(Context::new(parts, settings)))
}
