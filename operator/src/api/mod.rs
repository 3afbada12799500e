//! The custom resources of group `paquebot.dev`, version `v1alpha1`.
//!
//! Three roles: the domain's owner, the platform's team, the person with a mailbox.
//!
//! - [`domain`]: `MailDomain`, whose domain is its `metadata.name`.
//! - [`server`]: `MailServer`, the servers that carry the mail.
//! - [`service`], [`pod`]: how its pods are reached, and how they run.
//! - [`mailbox`]: `Mailbox`, a person's.
//! - [`refs`]: references to other objects, and the CEL rules that several types share.
//! - [`units`]: durations as Go writes them, quantities as Kubernetes does.
//! - [`rules`]: the CEL rules, and our messages for patterns.
//! - [`crd`]: the CustomResourceDefinitions, as `crds/` has them.

pub mod crd;
pub mod domain;
pub mod mailbox;
pub mod pod;
pub mod refs;
mod rules;
pub mod server;
pub mod service;
pub mod units;

pub use domain::{MailDomain, MailDomainSpec};
pub use mailbox::{Mailbox, MailboxSpec};
pub use server::{MailServer, MailServerSpec};

/// The API group.
pub const GROUP: &str = "paquebot.dev";
/// The version.
pub const VERSION: &str = "v1alpha1";
/// What stands in `apiVersion`.
pub const API_VERSION: &str = "paquebot.dev/v1alpha1";
/// The namespace of objects that name none.
pub const NAMESPACE_DEFAULT: &str = "default";
/// The MailServer that a MailDomain without `serverRef` uses.
pub const SERVER_DEFAULT: &str = "default";

#[cfg(test)]
mod tests;
