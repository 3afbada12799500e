//! SMTP (RFC 5321): server and client.
//!
//! - [`path`]: the syntax of addresses.
//! - [`command`]: the syntax of commands.
//! - [`ask`]: what the server asks its owner.
//! - [`client_ask`]: what the client asks its owner.

pub mod ask;
pub mod client_ask;
pub mod command;
pub mod path;
