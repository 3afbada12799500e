//! `/healthz`, `/readyz`, `/metrics` of the operator.
//!
//! It lives as long as no watch is stuck; it is ready when the watches have listed everything.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{client::Activity, leader::Leadership, world::World};

/// Why there are no metrics, or no webhook.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The address.
    #[error("cannot listen on {address} for {what}: {error}: choose another address or port")]
    Bind {
        /// For what.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The registry.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The state of this process. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    activity: Activity,
    world: Arc<World>,
    leadership: Leadership,
    registry: Registry,
    reconciles: IntCounterVec,
    queued: IntGauge,
    leads: IntGauge,
}

impl Health {
    /// Of these parts.
    ///
    /// # Errors
    /// The registry refuses a metric.
    pub fn new(activity: Activity, world: Arc<World>, leadership: Leadership) -> Result<Self, HealthError> {
        let registry = Registry::new();
        let reconciles = IntCounterVec::new(
            Opts::new("paquebot_operator_reconciles_total", "Reconciles: done, failed, panicked."),
            &["result"],
        )?;
        let queued = IntGauge::new("paquebot_operator_queue_length", "Resources that wait to be reconciled.")?;
        let leads = IntGauge::new("paquebot_operator_leader", "1 while this process leads.")?;
        registry.register(Box::new(reconciles.clone()))?;
        registry.register(Box::new(queued.clone()))?;
        registry.register(Box::new(leads.clone()))?;
        Ok(Self { activity, world, leadership, registry, reconciles, queued, leads })
    }

    /// A reconcile ended so.
    pub fn reconciled(&self, result: &str) {
        self.reconciles.with_label_values(&[result]).inc();
    }

    /// The process lives: no watch is stuck.
    fn alive(&self) -> Result<(), String> {
        match self.activity.stuck(Instant::now()).as_slice() {
            [] => Ok(()),
            stuck => Err(format!("no octet for ten minutes from the watches of {}", stuck.join(", "))),
        }
    }

    fn ready(&self) -> Result<(), String> {
        if self.world.is_synced() { Ok(()) } else { Err("the watches have not listed everything yet".into()) }
    }

    fn text(&self) -> String {
        self.queued.set(i64::try_from(self.world.queue.len()).unwrap_or(i64::MAX));
        self.leads.set(self.leadership.epoch().is_some().into());
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// Binds the address.
///
/// # Errors
/// It is taken, or not ours.
pub async fn bind(address: SocketAddr, what: &'static str) -> Result<TcpListener, HealthError> {
    TcpListener::bind(address).await.map_err(|error| HealthError::Bind { what, address, error })
}

/// Serves until `closing`.
pub async fn serve(listener: TcpListener, health: Health, closing: CancellationToken) {
    let routes = Router::new()
        .route("/healthz", get(async |State(health): State<Health>| said(health.alive())))
        .route("/readyz", get(async |State(health): State<Health>| said(health.ready())))
        .route("/metrics", get(async |State(health): State<Health>| health.text()))
        .with_state(health);
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(closing.cancelled_owned()).await {
        tracing::error!(%error, "metrics are not served any more");
    }
}

fn said(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
