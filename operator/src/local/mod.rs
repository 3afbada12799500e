//! Local mode: the same pipeline as in a cluster, onto one directory and one process. The only part that links the MTA.
//!
//! - [`up`]: `paquebot up`: start, apply edits, drain.
//! - [`plan`]: what local mode makes of the resources. Pure.
//! - [`apply`]: applies it to the data directory and the running MTA: all or nothing.
//! - [`watch`]: notices edits of the YAML.
//! - [`started`]: what `up` says when it serves.
//! - [`settings`]: settings that no resource has: ports, name servers, how mail leaves.
//! - [`data`]: the data directory: what is in it, and who may read it.
//! - [`certificate`]: the self-signed certificate in it.
//! - [`dkim`]: the DKIM keys in it, made once.
//! - [`passwords`]: generated passwords, and the keys kept of a password.
//! - [`demo`]: `paquebot demo`: two systems exchange mail.
//! - [`nameserver`]: an authoritative DNS server on a loopback address, for the demo and the tests.

pub mod apply;
pub mod certificate;
pub mod data;
pub mod demo;
pub mod dkim;
pub mod nameserver;
pub mod passwords;
pub mod plan;
pub mod settings;
pub mod started;
pub mod up;
pub mod watch;
