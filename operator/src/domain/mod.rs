//! What follows from a MailDomain. Pure: takes values, returns values, asks nobody.
//!
//! - [`validate`]: what must hold of it, and of it among others.
//! - [`keys`]: DKIM keys: made, imported, named, shown.
//! - [`records`](mod@records): the DNS records, and what is still unknown of them.
//! - [`spf`]: the SPF record.
//! - [`claims`]: who has a name on a server.
//! - [`key_plan`]: which keys are made, sign, and stand in the DNS.
//! - [`key_secret`]: a key as a Secret, and back.
//! - [`conditions`]: what the status says.
//! - [`entries`](mod@entries): what the servers' directory says of it.
//! - [`ids`]: stable ids where no cluster gives any.

pub mod claims;
pub mod conditions;
mod entries;
pub mod ids;
pub mod key_plan;
pub mod key_secret;
pub mod keys;
mod records;
mod spf;
pub mod validate;

pub use entries::{ABUSE, POSTMASTER, entries, mailbox_addresses};
pub use records::{PublicKey, dkim, notes, records, senders_note};

use paquebot_mta_api::address::Domain;

use crate::api::MailDomain;

/// The domain of a MailDomain: its name. `None` where the name is none, which validation reports.
pub fn name(domain: &MailDomain) -> Option<Domain> {
    domain.metadata.name.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests;
