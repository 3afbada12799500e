//! SMTP (RFC 5321): server and client.
//!
//! - [`path`]: the syntax of addresses.
//! - [`command`]: the syntax of commands.
//! - [`ask`]: what the server asks its owner; [`server`]: the machine that receives mail.
//! - [`client_ask`]: what the client asks its owner; [`client`]: the machine that hands mail on.
//! - `reply_text`, [`reply_reader`]: replies written and read.

pub mod ask;
pub mod client;
pub mod client_ask;
pub mod command;
#[cfg(test)]
mod joined_tests;
pub mod path;
pub mod reply_reader;
mod reply_text;
pub mod server;

pub use client::{ClientMachine, Settings as ClientSettings, StartTls};
pub use server::{Role, ServerMachine, Settings as ServerSettings};
