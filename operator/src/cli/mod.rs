//! The command line.
//!
//! - [`journey`]: a message's journey as people read it.
//! - [`queue`]: what waits to be delivered.
//! - [`socket`]: asks a running MTA over its Unix socket.

pub mod journey;
pub mod queue;
pub mod socket;
