//! The listeners and what each of them serves; changed as a whole while the server runs.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use paquebot_mta_api::config::{Config, Limits, Listener, Protocol};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

use super::{CurrentTls, Stop};
use crate::{
    net::{
        gate::{Gate, SessionLimits},
        listener::{BindError, Bound, Connection, Door, accept, bind},
    },
    pop3,
    smtp::{self, context::Shared},
};

/// An open listener.
struct Open {
    address: SocketAddr,
    closing: CancellationToken,
}

/// All listeners.
pub struct Listening {
    config: Config,
    door: Door,
    open: HashMap<Listener, Open>,
    accepting: TaskTracker,
}

/// What sessions need.
pub struct Served {
    /// SMTP's context.
    pub smtp: Shared,
    /// The certificate.
    pub tls: Arc<CurrentTls>,
}

impl Listening {
    /// Serves these bound listeners.
    pub fn start(config: Config, bound: Vec<Bound>, served: Served, stop: &Stop) -> Self {
        let metrics = served.smtp.metrics.clone();
        let draining = stop.draining.clone();
        let served = Arc::new(served);
        let door = Door {
            gate: Gate::new(session_limits(&config.limits)),
            metrics,
            sessions: stop.sessions.clone(),
            ending: stop.ending.clone(),
            serve: Arc::new(move |connection| session(served.clone(), connection, draining.clone())),
        };
        let mut listening = Self { config, door, open: HashMap::new(), accepting: TaskTracker::new() };
        for one in bound {
            listening.serve(one);
        }
        listening
    }

    /// The running configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// As configured, and where that really is.
    pub fn addresses(&self) -> Vec<(Listener, SocketAddr)> {
        let mut all: Vec<_> = self.open.iter().map(|(listener, open)| (listener.clone(), open.address)).collect();
        all.sort_by_key(|(_, address)| *address);
        all
    }

    /// Binds what is new, then closes what is no longer wanted; sessions stay. With an error nothing has changed.
    pub async fn change(&mut self, config: &Config) -> Result<(), BindError> {
        let mut bound = Vec::new();
        for listener in config.listeners.iter().filter(|listener| !self.open.contains_key(listener)) {
            bound.push(bind(listener).await?);
        }
        self.open.retain(|listener, open| {
            let wanted = config.listeners.contains(listener);
            if !wanted {
                open.closing.cancel();
            }
            wanted
        });
        for one in bound {
            self.serve(one);
        }
        self.door.gate.set(session_limits(&config.limits));
        self.config = config.clone();
        Ok(())
    }

    /// Closes all; when this returns, nobody can connect.
    pub async fn close(&mut self) {
        for open in self.open.values() {
            open.closing.cancel();
        }
        self.open.clear();
        self.accepting.close();
        self.accepting.wait().await;
    }

    fn serve(&mut self, bound: Bound) {
        let open = Open { address: bound.address, closing: CancellationToken::new() };
        tracing::info!(protocol = bound.listener.protocol.name(), address = %bound.address, "listening");
        let (listener, closing) = (bound.listener.clone(), open.closing.clone());
        self.open.insert(listener, open);
        self.accepting.spawn(accept(bound, self.door.clone(), closing));
    }
}

fn session_limits(limits: &Limits) -> SessionLimits {
    SessionLimits { sessions: limits.sessions, sessions_per_client: limits.sessions_per_address }
}

/// One session, whatever it speaks.
fn session(served: Arc<Served>, connection: Connection, draining: CancellationToken) -> BoxFuture<'static, ()> {
    let protocol = connection.protocol.name();
    let span = tracing::info_span!("session", id = %Uuid::now_v7().simple(), protocol, peer = %connection.peer);
    async move {
        let tls = served.tls.config();
        let ended = match connection.protocol {
            Protocol::Smtp | Protocol::Submission | Protocol::Submissions => {
                smtp::serve::serve(served.smtp.clone(), connection, tls, draining).await
            }
            Protocol::Pop3 | Protocol::Pop3s => {
                pop3::serve::serve(served.smtp.clone(), connection, tls, draining).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the connection broke");
        }
    }
    .instrument(span)
    .boxed()
}
