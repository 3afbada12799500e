//! Sockets: listeners, TLS, limits, and the one loop that drives any protocol machine.
//!
//! - [`listener`]: bound sockets, a session for each connection; [`gate`]: how many there may be.
//! - [`connect`]: the way out, to a next host.
//! - [`tls`]: the certificate, read again when it changes.
//! - [`drive`]: the one loop that drives any machine.
//! - [`owner`]: what a machine's owner does for it.
//! - [`transport`]: a connection, with or without TLS.

pub mod connect;
pub mod drive;
pub mod gate;
pub mod listener;
pub mod owner;
pub mod tls;
pub mod transport;
