//! `kubectl paquebot` on a real node: kubectl finds the program by its name, and each command says what is there.
//!
//! - [`program`]: kubectl with the plugin, and users with few rights.
//! - [`shown`]: one server: what is there, what is to be published, a message's journey.
//! - [`servers`]: several servers, some of which cannot be asked.

#[path = "plugin/program.rs"]
mod program;
#[path = "plugin/servers.rs"]
mod servers;
#[path = "plugin/shown.rs"]
mod shown;
#[path = "e2e/world.rs"]
#[allow(dead_code, reason = "shared with the tests end to end, which use the rest")]
mod world;
