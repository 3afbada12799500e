//! SMTP (RFC 5321): server and client.
//!
//! - [`ask`]: what the server asks its owner.
//! - [`client_ask`]: what the client asks its owner.

pub mod ask;
pub mod client_ask;
