//! All that the operator and the MTA share.
//!
//! - [`address`]: domains and addresses, in the one form in which they are stored and compared.
//! - [`config`]: the process configuration: one file, mounted, versioned, hot-reloaded.
//! - [`directory`]: domains, keys, mailboxes, aliases, senders: one revisioned set in the shared store.
//! - [`password`]: from a password to the keys that are kept of it.
//! - [`admin`]: how the operator writes the directory, and how each pod says what it serves.
//! - [`journey`]: what `trace` and `queue` show of messages.

pub mod address;
pub mod admin;
pub mod config;
pub mod directory;
pub mod journey;
pub mod password;
