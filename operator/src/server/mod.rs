//! What follows from a MailServer. Pure.
//!
//! - [`validate`]: what must hold of it, and whom it admits.
//! - [`facts`](mod@facts): what the world sees of it: host name, addresses, protocols.
//! - [`ports`]: what is served at which port, outside and inside a pod.
//! - [`config`](mod@config): the MTA's configuration.
//! - [`build`]: the objects that run it.
//! - [`volume`]: how its volume grows.
//! - [`rollout`]: which server may take a new image now.
//! - [`observed`]: what Pods, Services and workloads say, in the words of [`conditions`](mod@conditions).
//! - [`conditions`](mod@conditions): what its status says.

pub mod build;
pub mod conditions;
mod config;
mod facts;
pub mod observed;
pub mod ports;
pub mod rollout;
pub mod validate;
pub mod volume;

pub use config::{Process, config, limits, restart_digest};
pub use facts::{Facts, declared, facts, facts_in_cluster, service_type};
pub use ports::PORTS_STANDARD;
