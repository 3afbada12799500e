//! Sockets: listeners, TLS, limits, and the one loop that drives any protocol machine.
//!
//! - [`owner`]: what a machine's owner does for it.
//! - [`transport`]: a connection, with or without TLS.

pub mod owner;
pub mod transport;
