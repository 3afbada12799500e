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
//! - [`names`], [`conditions`], [`refusal`]: what owned objects are called, what a status says, also of an object that
//!   the API server refused.
//! - [`settings`]: the operator's own settings.
//! - [`pki`]: the certificate authority of the admin API, and the certificates from it.
//! - [`directory`]: writes the directory of each MailServer through the admin API, and keeps it so.
//! - [`controllers`]: the operator: fetch, validate, build, apply, status. Decides nothing.
//! - [`webhook`]: admission: what needs other objects.
//! - [`cli`]: the command line.

pub mod api;
pub mod cli;
pub mod conditions;
pub mod controllers;
pub mod directory;
pub mod dns;
pub mod domain;
pub mod load;
pub mod local;
pub mod mailbox;
pub mod names;
pub mod pki;
pub mod refusal;
pub mod server;
pub mod settings;
pub mod webhook;
