//! SMTP (RFC 5321): server and client.
//!
//! - [`path`]: the syntax of addresses.
//! - [`command`]: the syntax of commands.
//! - [`ask`]: what the server asks its owner; [`server`]: the machine that receives mail.
//! - [`client_ask`]: what the client asks its owner.
//! - `reply_text`: replies as octets.

pub mod ask;
pub mod client_ask;
pub mod command;
pub mod path;
mod reply_text;
pub mod server;

pub use server::{Role, ServerMachine, Settings as ServerSettings, Tls};
