//! What follows from a MailServer. Pure.
//!
//! - [`validate`]: what must hold of it, and whom it admits.
//! - [`facts`](mod@facts): what the world sees of it: host name, addresses, protocols.
//! - [`config`](mod@config): the MTA's configuration.

mod config;
mod facts;
pub mod validate;

pub use config::{Process, config};
pub use facts::{Facts, PORTS_STANDARD, facts};
