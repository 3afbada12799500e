//! What Prometheus scrapes: `paquebot_` prefix, base units, bounded labels (never an address or a domain of strangers).

use std::sync::Arc;

use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};

/// All metrics of a process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// Messages whose data came whole, by `protocol` (smtp, submission, submissions).
    pub received: IntCounterVec,
    /// Messages answered with 250, by `protocol`.
    pub accepted: IntCounterVec,
    /// Messages and recipients refused, by `reason` (a named few, see [`refusal`]).
    pub refused: IntCounterVec,
    /// Delivery attempts, by `destination` group (local, or a large provider's name, or other) and `code` class (2xx, 4xx, 5xx, none).
    pub attempts: IntCounterVec,
    /// What became of recipients, by `outcome` (delivered, stored, deferred, returned, dead).
    pub outcomes: IntCounterVec,
    /// Seconds from acceptance to the next host's 250 or the mailbox.
    pub delivery_seconds: Histogram,
    /// Recipients in the queue.
    pub queue_depth: IntGauge,
    /// Age of the oldest message in the queue, seconds.
    pub queue_oldest_seconds: Gauge,
    /// Verification results, by `method` (spf, dkim, dmarc) and `result` (RFC 8601's words).
    pub verifications: IntCounterVec,
    /// Sessions begun, by `protocol`.
    pub sessions: IntCounterVec,
    /// Sessions open now, by `protocol`.
    pub sessions_open: IntGaugeVec,
    /// Logins, by `protocol` and `result` (granted, denied, throttled, unavailable).
    pub logins: IntCounterVec,
    /// Seconds of a commit.
    pub commit_seconds: Histogram,
    /// Writes of a commit.
    pub batch_writes: Histogram,
    /// The directory's revision that is served.
    pub directory_revision: IntGauge,
    /// Entries of the directory that are served.
    pub directory_entries: IntGauge,
    /// Entries of the directory that cannot be read.
    pub directory_unreadable: IntGauge,
    /// Requests to the admin API, by `result` (ok, fenced, moved, owned, invalid, unavailable; handshake: no client of ours).
    pub admin_requests: IntCounterVec,
}

/// Bounded `reason` labels of [`Metrics::refused`].
pub mod refusal {
    /// Recipient unknown: 550 5.1.1.
    pub const UNKNOWN_RECIPIENT: &str = "unknown_recipient";
    /// Relaying without a right to.
    pub const RELAY: &str = "relay";
    /// The receiving policy (SPF, DMARC, the From rule).
    pub const POLICY: &str = "policy";
    /// Sender address not the principal's own.
    pub const SENDER: &str = "sender";
    /// Larger than allowed.
    pub const SIZE: &str = "size";
    /// Over quota.
    pub const QUOTA: &str = "quota";
    /// Mail loop.
    pub const LOOP: &str = "loop";
    /// Malformed: line ends, header.
    pub const MALFORMED: &str = "malformed";
    /// A limit on sessions, recipients, rates.
    pub const LIMIT: &str = "limit";
    /// The store could not: a temporary refusal.
    pub const STORE: &str = "store";
}

impl Metrics {
    /// A fresh set.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let seconds = prometheus::exponential_buckets(0.001, 4.0, 12)?;
        Ok(Self {
            received: counters(&registry, "messages_received_total", "Messages whose data came whole", &["protocol"])?,
            accepted: counters(&registry, "messages_accepted_total", "Messages answered with 250", &["protocol"])?,
            refused: counters(&registry, "refused_total", "Messages and recipients refused", &["reason"])?,
            attempts: counters(
                &registry,
                "delivery_attempts_total",
                "Delivery attempts of recipients",
                &["destination", "code"],
            )?,
            outcomes: counters(&registry, "recipients_total", "What became of recipients", &["outcome"])?,
            delivery_seconds: histogram(
                &registry,
                "delivery_seconds",
                "Seconds from acceptance to delivery",
                prometheus::exponential_buckets(0.01, 4.0, 12)?,
            )?,
            queue_depth: gauge(&registry, "queue_recipients", "Recipients in the queue")?,
            queue_oldest_seconds: add(
                &registry,
                Gauge::with_opts(Opts::new("paquebot_queue_oldest_seconds", "Age of the oldest message in the queue"))?,
            )?,
            verifications: counters(
                &registry,
                "verifications_total",
                "Results of SPF, DKIM and DMARC",
                &["method", "result"],
            )?,
            sessions: counters(&registry, "sessions_total", "Sessions begun", &["protocol"])?,
            sessions_open: add(
                &registry,
                IntGaugeVec::new(Opts::new("paquebot_sessions_open", "Sessions open now"), &["protocol"])?,
            )?,
            logins: counters(&registry, "logins_total", "Logins", &["protocol", "result"])?,
            commit_seconds: histogram(&registry, "store_commit_seconds", "Seconds of a commit", seconds)?,
            batch_writes: histogram(
                &registry,
                "store_batch_writes",
                "Writes of a commit",
                prometheus::exponential_buckets(1.0, 2.0, 10)?,
            )?,
            directory_revision: gauge(&registry, "directory_revision", "The directory's revision that is served")?,
            directory_entries: gauge(&registry, "directory_entries", "Entries of the directory that are served")?,
            directory_unreadable: gauge(
                &registry,
                "directory_unreadable_entries",
                "Entries of the directory that cannot be read",
            )?,
            admin_requests: counters(&registry, "admin_requests_total", "Requests to the admin API", &["result"])?,
            registry,
        })
    }

    /// In Prometheus' text format.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// Shared by all of a process.
pub type SharedMetrics = Arc<Metrics>;

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    add(registry, IntCounterVec::new(Opts::new(format!("paquebot_{name}"), help), labels)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    add(registry, IntGauge::with_opts(Opts::new(format!("paquebot_{name}"), help))?)
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: Vec<f64>) -> Result<Histogram, prometheus::Error> {
    add(registry, Histogram::with_opts(HistogramOpts::new(format!("paquebot_{name}"), help).buckets(buckets))?)
}
