//! Sockets: listeners, TLS, limits, and the one loop that drives any protocol machine.
//!
//! - [`owner`]: what a machine's owner does for it.

pub mod owner;
