//! For the people who run it.
//!
//! - [`http`]: metrics and probes over TCP; `queue` and `trace` over a Unix socket.
//! - [`health`]: whether the process lives, and whether it should get mail.
//! - [`metrics`]: what Prometheus scrapes.

pub mod health;
pub mod http;
pub mod metrics;
