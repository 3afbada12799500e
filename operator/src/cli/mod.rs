//! The command line.
//!
//! - [`journey`]: a message's journey as people read it.
//! - [`socket`]: asks a running MTA over its Unix socket.

pub mod journey;
pub mod socket;
