//! What reconciles found out, for other reconciles. In memory only: all of it can be found out again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use paquebot_mta_api::address::Address;
use uuid::Uuid;

use super::table::Name;
use crate::{
    api::refs::SecretKeyRef,
    conditions::Finding,
    directory::Wanted,
    mailbox::{claims::Claim, password::PasswordFault},
    server::Facts,
};

/// What is known of a MailServer.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerState {
    /// What the world sees of it; `None`: it has no name yet.
    pub facts: Option<Facts>,
    /// Its condition `Available`.
    pub available: Finding,
}

/// What follows from a MailDomain for its server's directory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DomainState {
    /// The MailServer.
    pub server: Option<Name>,
    /// The UID of the MailDomain: one of the same name that was made anew is another one.
    pub uid: Uuid,
    /// Its entries, and those of its mailboxes.
    pub wanted: Vec<Wanted>,
    /// Not everything of it is known: what the directory has of it stays.
    pub incomplete: bool,
    /// UIDs of its Mailboxes of which not everything is known: what the directory has of them stays.
    pub unknown: BTreeSet<Uuid>,
    /// The generations of the MailDomain and its Mailboxes that can log in from which `wanted` follows, by UID.
    pub generations: BTreeMap<Uuid, i64>,
    /// Keys in the directory that stay as they are: DKIM keys whose Secret is lost.
    pub keep: Vec<String>,
    /// Whether it has its name.
    pub accepted: bool,
}

impl DomainState {
    /// Whether it is of this very MailDomain on this very MailServer: what was accepted on one server says nothing
    /// of another, nor of a resource that was made anew under the same name.
    pub fn is_for(&self, server: &Name, uid: Uuid) -> bool {
        self.server.as_ref() == Some(server) && self.uid == uid
    }
}

/// What is known of a Mailbox.
#[derive(Debug, Clone, PartialEq)]
pub struct MailboxState {
    /// Its UID: one of the same name that was made anew is another one.
    pub uid: Uuid,
    /// Of which generation this is.
    pub generation: i64,
    /// Whether it has its address.
    pub claim: Claim,
    /// The digest of its password.
    pub password: Result<String, PasswordFault>,
}

/// Where the password of an address lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The Secret, and the key in it.
    pub reference: SecretKeyRef,
}

/// All of it.
#[derive(Debug, Default)]
pub struct State {
    servers: Mutex<HashMap<Name, ServerState>>,
    domains: Mutex<HashMap<Name, DomainState>>,
    mailboxes: Mutex<HashMap<Name, MailboxState>>,
    logins: Mutex<HashMap<Uuid, BTreeMap<Address, Login>>>,
}

impl State {
    /// Of a MailServer.
    pub fn server(&self, name: &Name) -> Option<ServerState> {
        lock(&self.servers).get(name).cloned()
    }

    /// Of a MailServer; says whether it is new.
    pub fn set_server(&self, name: &Name, state: Option<ServerState>) -> bool {
        set(&self.servers, name, state)
    }

    /// Of a MailDomain.
    pub fn domain(&self, name: &Name) -> Option<DomainState> {
        lock(&self.domains).get(name).cloned()
    }

    /// Of a MailDomain; says whether it is new.
    pub fn set_domain(&self, name: &Name, state: Option<DomainState>) -> bool {
        set(&self.domains, name, state)
    }

    /// Of a Mailbox.
    pub fn mailbox(&self, name: &Name) -> Option<MailboxState> {
        lock(&self.mailboxes).get(name).cloned()
    }

    /// Of a Mailbox; says whether it is new.
    pub fn set_mailbox(&self, name: &Name, state: Option<MailboxState>) -> bool {
        set(&self.mailboxes, name, state)
    }

    /// Where the password of an owner's address lies.
    pub fn login(&self, owner: Uuid, address: &Address) -> Option<Login> {
        lock(&self.logins).get(&owner)?.get(&address.folded()).cloned()
    }

    /// Where the passwords of an owner lie: these and no others.
    pub fn set_logins(&self, owner: Uuid, logins: BTreeMap<Address, Login>) {
        let mut all = lock(&self.logins);
        if logins.is_empty() {
            all.remove(&owner);
        } else {
            all.insert(owner, logins);
        }
    }
}

fn set<T: PartialEq>(map: &Mutex<HashMap<Name, T>>, name: &Name, state: Option<T>) -> bool {
    let mut map = lock(map);
    match state {
        Some(state) if map.get(name) == Some(&state) => false,
        Some(state) => {
            map.insert(name.clone(), state);
            true
        }
        None => map.remove(name).is_some(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_server_accepted_is_nothing_to_another() {
        let (main, other) = (Name::new("mail", "main"), Name::new("platform", "main"));
        let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let state = DomainState { server: Some(main.clone()), uid: old, accepted: true, ..DomainState::default() };
        assert!(state.is_for(&main, old));
        assert!(!state.is_for(&other, old), "deleted and made anew with another serverRef");
        assert!(!state.is_for(&main, new), "deleted and made anew");
    }
}
