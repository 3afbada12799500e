//! Paquebot: mail domains declared as YAML, and what follows from them.
//!
//! In the order in which to read:
//!
//! - [`api`]: the custom resources `MailDomain`, `MailServer`, `Mailbox`: their schema and CEL rules.
//! - [`load`]: YAML files and folders into resources, with every problem named.
//!   [`load::load`] gives [`load::Resources`] or all [`load::Problem`]s.
//! - [`domain`]: what follows from a MailDomain: validation, keys ([`domain::keys::generate`]), DNS records
//!   ([`domain::records`]), directory entries ([`domain::entries`]).
//! - [`server`]: what follows from a MailServer: validation, what the world sees of it ([`server::facts`]),
//!   the MTA's configuration ([`server::config`]).
//! - [`mailbox`]: what follows from a Mailbox.
//! - [`dns`]: zone file ([`dns::zone_text`]) and table of records.
//! - [`local`]: local mode, `up` and `demo`: the same pipeline onto a data directory and a process.
//! - [`cli`]: the command line.

pub mod api;
pub mod cli;
pub mod dns;
pub mod domain;
pub mod load;
pub mod local;
pub mod mailbox;
pub mod server;
