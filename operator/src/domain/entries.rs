//! What the servers' directory says of a domain: itself, its keys, mailboxes and aliases.

use paquebot_mta_api::{
    address::{Address, Domain},
    directory::{AliasEntry, DkimKeyEntry, DomainEntry, Entry, LoginKeys, MailboxEntry, Value},
};

use super::{ids, keys::KeyPair};
use crate::api::{MailDomain, Mailbox};

/// The local part that always has a mailbox (RFC 5321 §4.5.1).
pub const POSTMASTER: &str = "postmaster";
/// The local part that always reaches somebody (RFC 2142 §4).
pub const ABUSE: &str = "abuse";

/// The addresses of a domain that log in: those declared, and `postmaster` where nobody declared it.
/// Mailboxes of other domains are left out.
pub fn mailbox_addresses(domain: &MailDomain, mailboxes: &[&Mailbox]) -> Vec<Address> {
    let Some(name) = super::name(domain) else { return Vec::new() };
    let mut addresses: Vec<Address> = declared(&name, mailboxes).map(|(_, address)| address).collect();
    if let Some(postmaster) = made(&name, POSTMASTER, domain, mailboxes) {
        addresses.push(postmaster);
    }
    addresses
}

/// The entries. `login` gives what is kept of an address's password, derived already: deriving is slow.
pub fn entries(
    domain: &MailDomain,
    mailboxes: &[&Mailbox],
    keys: &[KeyPair],
    login: &dyn Fn(&Address) -> Option<LoginKeys>,
) -> Vec<Entry> {
    let Some(name) = super::name(domain) else { return Vec::new() };
    let owner = ids::uid(domain);
    let catch_all = domain.spec.catch_all.as_deref().and_then(|it| it.parse().ok());
    let mut values = vec![Value::Domain(DomainEntry { domain: name.clone(), id: owner, catch_all })];
    values.extend(keys.iter().map(|key| key_entry(&name, key)));
    values.extend(domain.spec.aliases.iter().filter_map(|alias| {
        let to: Vec<Address> = alias.to.iter().filter_map(|it| it.parse().ok()).collect();
        let address = Address::new(&alias.name, name.clone()).ok()?;
        Some(Value::Alias(AliasEntry { address, to }))
    }));
    let postmaster = Address::new(POSTMASTER, name.clone()).ok();
    if let (Some(address), Some(to)) = (made(&name, ABUSE, domain, mailboxes), postmaster) {
        values.push(Value::Alias(AliasEntry { address, to: vec![to] }));
    }
    if let Some(address) = made(&name, POSTMASTER, domain, mailboxes) {
        let (account, login) = (ids::account(owner, POSTMASTER), login(&address));
        values.push(Value::Mailbox(MailboxEntry { address, account, quota_bytes: None, login }));
    }
    let mut entries: Vec<Entry> = values.into_iter().map(|value| Entry::new(owner, value)).collect();
    entries.extend(
        declared(&name, mailboxes)
            .map(|(mailbox, address)| crate::mailbox::entry(mailbox, address.clone(), login(&address))),
    );
    entries
}

fn key_entry(name: &Domain, key: &KeyPair) -> Value {
    Value::DkimKey(DkimKeyEntry {
        domain: name.clone(),
        selector: key.selector.clone(),
        algorithm: key.algorithm,
        private_key: key.private_key.clone(),
    })
}

fn declared<'a>(name: &'a Domain, mailboxes: &'a [&Mailbox]) -> impl Iterator<Item = (&'a Mailbox, Address)> {
    mailboxes.iter().filter_map(move |mailbox| {
        let address: Address = mailbox.spec.address.parse().ok()?;
        (address.domain() == name).then_some((*mailbox, address))
    })
}

/// The address of a local part that has to exist, where nobody declared it.
fn made(name: &Domain, local: &str, domain: &MailDomain, mailboxes: &[&Mailbox]) -> Option<Address> {
    let taken = domain.spec.aliases.iter().any(|alias| alias.name.eq_ignore_ascii_case(local))
        || declared(name, mailboxes).any(|(_, address)| address.local().eq_ignore_ascii_case(local));
    if taken { None } else { Address::new(local, name.clone()).ok() }
}
