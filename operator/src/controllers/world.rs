//! All that the watches know: the resources, what we own, what they refer to; and who hears of a change.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

use k8s_openapi::api::storage::v1::StorageClass;
use paquebot_mta_api::address::Address;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    apply::{Kind, OwnedTables},
    index::Index,
    owned::Owned,
    queue::Queue,
    table::{Name, Table, Told},
};
use crate::{
    api::{MailDomain, MailServer, Mailbox},
    domain::{claims::server_of, ids},
    mailbox::password::{PASSWORD_SUFFIX, POSTMASTER_SUFFIX},
    names,
};

/// Deletions that are remembered: more at a time need a person's word.
const GONE_MAX: usize = 100_000;

/// A resource to reconcile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A MailServer.
    Server(Name),
    /// A MailDomain.
    Domain(Name),
    /// A Mailbox.
    Mailbox(Name),
    /// The directory of a MailServer.
    Directory(Name),
}

/// Kinds that we make, and whether the whole object is kept: its status is read.
pub const OWNED_KINDS: [(&str, &str, Kind, bool); 11] = [
    ("", "v1", "ConfigMap", false),
    ("", "v1", "Secret", false),
    ("", "v1", "ServiceAccount", false),
    ("", "v1", "Service", true),
    ("", "v1", "PersistentVolumeClaim", true),
    ("", "v1", "Pod", true),
    ("apps", "v1", "StatefulSet", true),
    ("apps", "v1", "Deployment", true),
    ("policy", "v1", "PodDisruptionBudget", false),
    ("networking.k8s.io", "v1", "NetworkPolicy", false),
    ("cert-manager.io", "v1", "Certificate", true),
];
/// The kind of external-dns.
pub const DNS_ENDPOINT: (&str, &str, Kind, bool) = ("externaldns.k8s.io", "v1alpha1", "DNSEndpoint", false);

/// The registration of our webhook.
pub const WEBHOOK: (&str, &str, Kind) = ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration");

/// All that the watches know.
pub struct World {
    /// The MailDomains.
    pub domains: Table<Arc<MailDomain>>,
    /// The MailServers.
    pub servers: Table<Arc<MailServer>>,
    /// The Mailboxes.
    pub mailboxes: Table<Arc<Mailbox>>,
    /// The labels of namespaces.
    pub namespaces: Table<BTreeMap<String, String>>,
    /// The resourceVersions of Secrets that are not ours.
    pub secrets: Table<String>,
    /// The StorageClasses.
    pub storage_classes: Table<Arc<StorageClass>>,
    /// What we own, by kind.
    pub owned: OwnedTables,
    /// What the API server knows of our webhook. Nobody waits for it: we may not be let see it.
    pub webhook: Arc<Table<Owned>>,
    /// Something of the operator's own moved: its Secrets, the registration of its webhook.
    pub own_moved: Notify,
    /// MailDomains by the MailServer that they refer to.
    pub domains_of_server: Index<Name>,
    /// MailDomains by their own name, in all namespaces.
    pub domains_by_name: Index<String>,
    /// Mailboxes by namespace and domain, or [`unreadable`].
    pub mailboxes_of_domain: Index<Name>,
    /// Our Secrets by the namespace and base name of the resource that they belong to.
    pub secrets_of: Index<Name>,
    /// Resources by the namespace and base name of what they own.
    owners: RwLock<HashMap<Name, Key>>,
    gone: RwLock<Arc<HashSet<Uuid>>>,
    /// What is to be reconciled.
    pub queue: Queue<Key>,
}

/// In place of the MailDomain of Mailboxes of this namespace whose address cannot be read: it may be any.
pub fn unreadable(namespace: &str) -> Name {
    Name::new(namespace, "")
}

impl World {
    /// An empty world of these namespaces; the empty one stands for all.
    pub fn new(namespaces: &[String]) -> Self {
        let owned = OWNED_KINDS.iter().chain([&DNS_ENDPOINT]);
        let whole = [String::new()];
        Self {
            domains: Table::new(namespaces),
            servers: Table::new(namespaces),
            mailboxes: Table::new(namespaces),
            namespaces: Table::new(&whole),
            secrets: Table::new(namespaces),
            storage_classes: Table::new(&whole),
            owned: owned.map(|(_, _, kind, _)| (*kind, Arc::new(Table::new(namespaces)))).collect(),
            webhook: Arc::new(Table::new(&whole)),
            own_moved: Notify::new(),
            domains_of_server: Index::default(),
            domains_by_name: Index::default(),
            mailboxes_of_domain: Index::default(),
            secrets_of: Index::default(),
            owners: RwLock::default(),
            gone: RwLock::default(),
            queue: Queue::default(),
        }
    }

    /// The version of a Secret, ours or not; `None`: there is none.
    pub fn secret_version(&self, name: &Name) -> Option<String> {
        let ours = || self.owned("Secret", name).map(|it| format!("{}/{}", it.uid, it.digest));
        self.secrets.get(name).or_else(ours)
    }

    /// Everything is looked at again.
    pub fn everything(&self) {
        self.all_servers();
        self.domains.all().into_iter().for_each(|(it, _)| self.queue.add(Key::Domain(it)));
        self.mailboxes.all().into_iter().for_each(|(it, _)| self.queue.add(Key::Mailbox(it)));
    }

    /// Whether everything that there is was listed.
    pub fn is_synced(&self) -> bool {
        self.domains.is_synced()
            && self.servers.is_synced()
            && self.mailboxes.is_synced()
            && self.namespaces.is_synced()
            && self.secrets.is_synced()
            && self.storage_classes.is_synced()
            && self.owned.values().all(|table| table.is_synced())
    }

    /// The tables by which it is seen whether an object is still as it was left.
    pub fn applied(&self) -> OwnedTables {
        let mut tables = self.owned.clone();
        tables.insert(WEBHOOK.2, self.webhook.clone());
        tables
    }

    /// Whether the cluster knows a kind of ours.
    pub fn is_present(&self, kind: &str) -> bool {
        self.owned.get(kind).is_some_and(|table| table.is_present())
    }

    /// An object that we own.
    pub fn owned(&self, kind: &str, name: &Name) -> Option<Owned> {
        self.owned.get(kind)?.get(name)
    }

    /// A MailDomain came, changed or went.
    pub fn domain_changed(&self, told: Told<'_, Arc<MailDomain>>) {
        let Told { name, before, after, .. } = told;
        let server = |it: &Arc<MailDomain>| {
            let (namespace, name) = server_of(it);
            Name::new(namespace, name)
        };
        let (from, to) = (before.map(server), after.map(server));
        self.domains_of_server.moved(name, from.clone(), to.clone());
        self.domains_by_name.moved(name, before.map(|_| name.name.clone()), after.map(|_| name.name.clone()));
        self.owner_changed("MailDomain", name, after.map(|_| Key::Domain(name.clone())));
        let mailboxes = self.mailboxes_of_domain.with(name);
        if from != to && !told.listed {
            // With it go the entries of its Mailboxes, though these stay.
            let mailboxes = mailboxes.iter().filter_map(|it| self.mailboxes.get(it));
            self.note_gone(before.map(|it| ids::uid(&**it)).into_iter().chain(mailboxes.map(|it| ids::uid(&*it))));
        }
        if is_status_only(before.map(|it| &it.metadata), after.map(|it| &it.metadata)) {
            return;
        }
        self.queue.add(Key::Domain(name.clone()));
        from.into_iter().chain(to).for_each(|it| self.queue.add(Key::Server(it)));
        // Whoever waits for the name, or for its turn to publish it.
        self.domains_by_name.with(&name.name).into_iter().for_each(|it| self.queue.add(Key::Domain(it)));
        mailboxes.into_iter().for_each(|it| self.queue.add(Key::Mailbox(it)));
    }

    /// A MailServer came, changed or went.
    pub fn server_changed(&self, told: Told<'_, Arc<MailServer>>) {
        let Told { name, before, after, .. } = told;
        self.owner_changed("MailServer", name, after.map(|_| Key::Server(name.clone())));
        if is_status_only(before.map(|it| &it.metadata), after.map(|it| &it.metadata)) {
            return;
        }
        self.queue.add(Key::Server(name.clone()));
        self.domains_of_server.with(name).into_iter().for_each(|it| self.queue.add(Key::Domain(it)));
    }

    /// A Mailbox came, changed or went.
    pub fn mailbox_changed(&self, told: Told<'_, Arc<Mailbox>>) {
        let Told { name, before, after, .. } = told;
        let domain = |it: &Arc<Mailbox>| match it.spec.address.parse::<Address>() {
            Ok(address) => Name::new(name.namespace.clone(), address.domain().as_str()),
            Err(_) => unreadable(&name.namespace),
        };
        let (from, to) = (before.map(domain), after.map(domain));
        self.mailboxes_of_domain.moved(name, from.clone(), to.clone());
        self.owner_changed("Mailbox", name, after.map(|_| Key::Mailbox(name.clone())));
        if from != to && !told.listed {
            self.note_gone(before.map(|it| ids::uid(&**it)));
        }
        if is_status_only(before.map(|it| &it.metadata), after.map(|it| &it.metadata)) {
            return;
        }
        self.queue.add(Key::Mailbox(name.clone()));
        for domain in from.into_iter().chain(to) {
            // Two Mailboxes of one address: the other one's claim may be better or worse now.
            self.mailboxes_of_domain.with(&domain).into_iter().for_each(|it| self.queue.add(Key::Mailbox(it)));
            if domain == unreadable(&name.namespace) {
                // It has something in any of them, or had.
                for (_, it) in self.domains.find(|it, _| it.namespace == name.namespace) {
                    let (namespace, server) = server_of(&it);
                    self.queue.add(Key::Directory(Name::new(namespace, server)));
                }
                continue;
            }
            self.queue.add(Key::Domain(domain));
        }
    }

    /// An object of ours came, changed or went.
    pub fn owned_changed(&self, kind: &str, told: Told<'_, Owned>) {
        let Told { name, before, after, .. } = told;
        let place = |it: &Owned| Some(Name::new(name.namespace.clone(), it.instance.clone()?));
        if kind == "Secret" {
            self.secrets_of.moved(name, before.and_then(place), after.and_then(place));
        }
        if before.zip(after).is_some_and(|(before, after)| before == after) {
            return;
        }
        if kind == "Secret" && !told.listed {
            // One of ours may be referred to as well: a key that is imported, a password that is shared.
            self.referred_changed(name);
        }
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        for instance in before.into_iter().chain(after).filter_map(place) {
            if let Some(key) = owners.get(&instance) {
                self.queue.add(key.clone());
            }
        }
    }

    /// A Secret that is not ours came, changed or went: whoever refers to it looks at it again.
    pub fn secret_changed(&self, name: &Name) {
        self.referred_changed(name);
    }

    fn referred_changed(&self, name: &Name) {
        let here = |it: &Name| it.namespace == name.namespace;
        let refers = |it: &Arc<MailDomain>| it.spec.dkim.imported.iter().any(|key| key.secret_ref.name == name.name);
        for (it, _) in self.domains.find(|it, row| here(it) && refers(row)) {
            self.queue.add(Key::Domain(it));
        }
        let refers = |it: &Arc<Mailbox>| it.spec.password_secret_ref.as_ref().is_some_and(|key| key.name == name.name);
        for (it, _) in self.mailboxes.find(|it, row| here(it) && refers(row)) {
            self.queue.add(Key::Mailbox(it));
        }
        let refers = |it: &Arc<MailServer>| {
            // cert-manager's and self-signed ones have names of ours.
            let own = it.spec.tls.as_ref().and_then(|tls| tls.secret_ref.as_ref());
            own.is_none_or(|secret| secret.name == name.name)
        };
        for (it, _) in self.servers.find(|it, row| here(it) && refers(row)) {
            self.queue.add(Key::Server(it));
        }
        // A password that has the name of a generated one, though somebody else made it, or took its labels away.
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        let base = [PASSWORD_SUFFIX, POSTMASTER_SUFFIX].iter().find_map(|it| name.name.strip_suffix(it));
        if let Some(key) = base.and_then(|it| owners.get(&Name::new(name.namespace.clone(), it))) {
            self.queue.add(key.clone());
        }
    }

    /// A namespace's labels changed: its domains may be admitted now, or no more.
    pub fn namespace_changed(&self, name: &Name) {
        for (it, domain) in self.domains.find(|it, _| it.namespace == name.name) {
            // The server may have its name by this domain, and others wait for the name that it claims.
            let (namespace, server) = server_of(&domain);
            self.queue.add(Key::Server(Name::new(namespace, server)));
            self.domains_by_name.with(&it.name).into_iter().for_each(|it| self.queue.add(Key::Domain(it)));
        }
    }

    /// All MailServers look at the cluster again.
    pub fn all_servers(&self) {
        self.servers.all().into_iter().for_each(|(it, _)| self.queue.add(Key::Server(it)));
    }

    /// UIDs of MailDomains and Mailboxes that left a directory before our eyes: deleted, or moved elsewhere, or with
    /// their MailDomain.
    pub fn gone(&self) -> Arc<HashSet<Uuid>> {
        self.gone.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers who left. Only what an event told counts: what a list lacks was perhaps never deleted by anybody.
    fn note_gone(&self, uids: impl IntoIterator<Item = Uuid>) {
        let mut gone = self.gone.write().unwrap_or_else(PoisonError::into_inner);
        let room = GONE_MAX.saturating_sub(gone.len());
        Arc::make_mut(&mut gone).extend(uids.into_iter().take(room));
    }

    fn owner_changed(&self, kind: &str, name: &Name, key: Option<Key>) {
        let base = Name::new(name.namespace.clone(), names::base(kind, &name.name));
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        match key {
            Some(key) => drop(owners.insert(base, key)),
            None => drop(owners.remove(&base)),
        }
    }
}

type Meta = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Whether only the status differs: what we wrote ourselves is no reason to look again.
fn is_status_only(before: Option<&Meta>, after: Option<&Meta>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    before.uid == after.uid
        && before.generation == after.generation
        && before.labels == after.labels
        && before.annotations == after.annotations
        && before.deletion_timestamp == after.deletion_timestamp
}
