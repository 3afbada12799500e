//! For the people who run it.
//!
//! - [`metrics`]: what Prometheus scrapes.

pub mod metrics;
