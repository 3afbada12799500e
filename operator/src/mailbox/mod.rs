//! What follows from a Mailbox. Pure.
//!
//! - [`validate`], [`entry`]: what must hold of it, what the servers' directory says of it.
//! - [`claims`]: who has an address.
//! - [`password`]: passwords as Secrets.
//! - [`conditions`]: what the status says.

pub mod claims;
pub mod conditions;
pub mod password;

use paquebot_mta_api::{
    address::Address,
    directory::{Entry, LoginKeys, MailboxEntry, Value},
};

use crate::{api::Mailbox, domain::ids, load::schema::Finding};

/// The smallest quota: one message of the default size limit must fit.
const QUOTA_OCTETS_MIN: u64 = 1024 * 1024;

/// What is wrong with it by itself.
pub fn validate(mailbox: &Mailbox) -> Vec<Finding> {
    let mut findings = Vec::new();
    match mailbox.spec.address.parse::<Address>() {
        Err(fault) => findings.push(("spec.address".to_owned(), fault.to_string())),
        Ok(address) if address.local().contains('+') => findings.push((
            "spec.address".to_owned(),
            format!("{address} would be hidden: what follows a + is left out when mail arrives, write it without"),
        )),
        Ok(_) => {}
    }
    if let Some(quota) = &mailbox.spec.quota {
        let message = match quota.octets() {
            None => Some(format!("{quota} is not a quantity: write it as 5Gi")),
            Some(octets) if octets < QUOTA_OCTETS_MIN => Some(format!("{quota} is too small: write 1Mi or more")),
            Some(_) => None,
        };
        findings.extend(message.map(|message| ("spec.quota".to_owned(), message)));
    }
    findings
}

/// What the directory says of it.
pub fn entry(mailbox: &Mailbox, address: Address, login: Option<LoginKeys>) -> Entry {
    let owner = ids::uid(mailbox);
    let quota_bytes = mailbox.spec.quota.as_ref().and_then(|quota| quota.octets());
    // The mail belongs to the resource, not to the address: renaming the address keeps it.
    let account = ids::account(owner, "mailbox");
    Entry::new(owner, Value::Mailbox(MailboxEntry { address, account, quota_bytes, login }))
}
