//! Resources into a tree: servers, below them their domains, below them their mailboxes. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, ResourceExt};
use paquebot_mta_api::address::Address;
use serde::Serialize;

use super::{
    leader::Operator,
    next::next,
    records::{Records, records},
};
use crate::{
    api::{MailDomain, MailServer, Mailbox, refs::Conditions},
    conditions,
    domain::claims::server_of,
    mailbox::password,
    names::INSTANCE,
    server::build,
};

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tree {
    /// Whether an operator leads, so that the rest is up to date.
    pub operator: Operator,
    /// The servers, and those that domains refer to and that do not exist.
    pub servers: Vec<Server>,
    /// Mailboxes of domains that nobody declares.
    pub mailboxes: Vec<MailboxLine>,
    /// What to do next, in order.
    pub next: Vec<String>,
}

/// A MailServer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Server {
    pub name: String,
    /// Whether there is one.
    pub exists: bool,
    /// It lies in another namespace, and may not be read.
    pub hidden: bool,
    pub ready: bool,
    pub hostname: Option<String>,
    pub addresses: Vec<String>,
    pub faults: Vec<Fault>,
    pub pods: Vec<PodLine>,
    pub domains: Vec<Domain>,
}

/// A condition that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fault {
    pub condition: String,
    /// False, or Unknown: it is being found out.
    pub status: String,
    pub reason: String,
    pub message: String,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodLine {
    pub name: String,
    pub ready: bool,
    pub restarts: i32,
    pub image: String,
}

/// A MailDomain.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Domain {
    pub name: String,
    pub namespace: String,
    pub ready: bool,
    pub faults: Vec<Fault>,
    pub keys: Vec<Key>,
    #[serde(flatten)]
    pub records: Records,
    /// The Secret with the password of the postmaster that comes with the domain; none where a Mailbox declares it.
    pub postmaster: Option<String>,
    pub mailboxes: Vec<MailboxLine>,
}

/// A DKIM key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    pub selector: String,
    pub state: String,
    pub secret: Option<String>,
}

/// A Mailbox.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MailboxLine {
    pub name: String,
    pub namespace: String,
    pub address: String,
    pub ready: bool,
    pub secret: Option<String>,
    pub faults: Vec<Fault>,
}

impl Tree {
    /// What has this name, with what it belongs to.
    pub fn only(mut self, name: &str) -> Self {
        self.servers.retain_mut(|server| {
            if server.name == name || server.name.ends_with(&format!("/{name}")) {
                return true;
            }
            server.domains.retain_mut(|domain| {
                if domain.name == name {
                    return true;
                }
                domain.mailboxes.retain(|it| it.name == name || it.address == name);
                !domain.mailboxes.is_empty()
            });
            !server.domains.is_empty()
        });
        self.mailboxes.retain(|it| it.name == name || it.address == name);
        self.next = next(&self.operator, &self.servers, &self.mailboxes);
        self
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.mailboxes.is_empty()
    }
}

/// What was read of a cluster.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub servers: Vec<MailServer>,
    pub domains: Vec<MailDomain>,
    pub mailboxes: Vec<Mailbox>,
    pub pods: Vec<Pod>,
    /// Servers that may not be read: namespace/name.
    pub hidden: BTreeSet<String>,
    /// The operator.
    pub operator: Operator,
}

/// The tree, in the order of names.
pub(super) fn tree(read: &Read) -> Tree {
    let mut all: Vec<Server> = read.servers.iter().map(|it| server(it, read)).collect();
    for domain in &read.domains {
        let (namespace, name) = server_of(domain);
        let full = format!("{namespace}/{name}");
        let branch = self::domain(domain, read);
        match all.iter_mut().find(|it| it.name == full) {
            Some(server) => server.domains.push(branch),
            None => {
                let hidden = read.hidden.contains(&full);
                all.push(Server { domains: vec![branch], hidden, ..absent(full) });
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.iter_mut().for_each(|it| it.domains.sort_by(|a, b| (&a.name, &a.namespace).cmp(&(&b.name, &b.namespace))));
    let alone = |it: &&Mailbox| !read.domains.iter().any(|domain| carries(domain, it));
    let mailboxes: Vec<MailboxLine> = read.mailboxes.iter().filter(alone).map(|it| mailbox(it, read)).collect();
    let operator = read.operator.clone();
    Tree { next: next(&operator, &all, &mailboxes), operator, servers: all, mailboxes }
}

/// Whether a mailbox's address is of a domain.
fn carries(domain: &MailDomain, mailbox: &Mailbox) -> bool {
    let address = mailbox.spec.address.parse::<Address>();
    mailbox.namespace() == domain.namespace() && address.is_ok_and(|it| it.domain().as_str() == domain.name_any())
}

fn absent(name: String) -> Server {
    Server {
        name,
        exists: false,
        hidden: false,
        ready: false,
        hostname: None,
        addresses: Vec::new(),
        faults: Vec::new(),
        pods: Vec::new(),
        domains: Vec::new(),
    }
}

fn server(server: &MailServer, read: &Read) -> Server {
    let status = server.status.clone().unwrap_or_default();
    let base = build::names(server).base;
    let mine = |pod: &&Pod| pod.namespace() == server.namespace() && pod.labels().get(INSTANCE) == Some(&base);
    Server {
        name: format!("{}/{}", server.namespace().unwrap_or_default(), server.name_any()),
        exists: true,
        hidden: false,
        ready: holds(server, status.observed_generation, &status.conditions),
        hostname: status.hostname,
        addresses: status.addresses,
        faults: faults(server, status.observed_generation, &status.conditions, &read.operator),
        pods: read.pods.iter().filter(mine).map(pod_line).collect(),
        domains: Vec::new(),
    }
}

fn pod_line(pod: &Pod) -> PodLine {
    let status = pod.status.clone().unwrap_or_default();
    let first = status.container_statuses.as_ref().and_then(|all| all.first().cloned());
    PodLine {
        name: pod.name_any(),
        ready: status.conditions.iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True"),
        restarts: first.as_ref().map_or(0, |it| it.restart_count),
        image: first.map(|it| it.image).unwrap_or_default(),
    }
}

fn domain(domain: &MailDomain, read: &Read) -> Domain {
    let status = domain.status.clone().unwrap_or_default();
    let (name, namespace) = (domain.name_any(), domain.namespace().unwrap_or_default());
    let mine: Vec<&Mailbox> = read.mailboxes.iter().filter(|it| carries(domain, it)).collect();
    let is_postmaster = |it: &&Mailbox| {
        let address = it.spec.address.parse::<Address>();
        address.is_ok_and(|it| it.folded().local() == crate::domain::POSTMASTER)
    };
    // The Secret is made when the domain is accepted, and stays.
    let made = ["Accepted", "Ready"].iter().any(|kind| {
        let found = conditions::find(&status.conditions, kind);
        found.is_some_and(|it| it.status == "True")
    });
    let key = |it: &crate::api::domain::KeyStatus| Key {
        selector: it.selector.clone(),
        state: format!("{:?}", it.state),
        secret: it.secret_name.clone(),
    };
    Domain {
        ready: holds(domain, status.observed_generation, &status.conditions),
        faults: faults(domain, status.observed_generation, &status.conditions, &read.operator),
        keys: status.keys.iter().map(key).collect(),
        records: records(domain),
        postmaster: (made && !mine.iter().any(is_postmaster)).then(|| password::postmaster_reference(domain).name),
        mailboxes: mine.into_iter().map(|it| mailbox(it, read)).collect(),
        name,
        namespace,
    }
}

fn mailbox(mailbox: &Mailbox, read: &Read) -> MailboxLine {
    let status = mailbox.status.clone().unwrap_or_default();
    MailboxLine {
        name: mailbox.name_any(),
        namespace: mailbox.namespace().unwrap_or_default(),
        address: mailbox.spec.address.clone(),
        ready: holds(mailbox, status.observed_generation, &status.conditions),
        secret: status.secret_name,
        faults: faults(mailbox, status.observed_generation, &status.conditions, &read.operator),
    }
}

/// Whether it is ready, as it is declared now.
fn holds<R: Resource>(resource: &R, observed: Option<i64>, all: &Conditions) -> bool {
    !outdated(resource, observed) && conditions::find(all, "Ready").is_some_and(|it| it.status == "True")
}

/// Whether the status is about an older spec.
fn outdated<R: Resource>(resource: &R, observed: Option<i64>) -> bool {
    observed < resource.meta().generation
}

/// What does not hold; `Ready` only repeats the first of the others.
fn faults<R: Resource>(resource: &R, observed: Option<i64>, all: &Conditions, operator: &Operator) -> Vec<Fault> {
    let wrong = all.0.iter().filter(|it| it.status != "True" && it.type_ != "Ready" && it.type_ != "Stalled");
    let fault = |it: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| Fault {
        condition: it.type_.clone(),
        status: it.status.clone(),
        reason: it.reason.clone(),
        message: it.message.clone(),
    };
    let mut faults: Vec<Fault> = wrong.map(fault).collect();
    if !all.0.is_empty() && outdated(resource, observed) {
        let all = ["Ready", "Unknown", "Outdated", operator.outdated()];
        let [condition, status, reason, message] = all.map(str::to_owned);
        faults.insert(0, Fault { condition, status, reason, message });
    }
    // It may say what no other condition does.
    if faults.is_empty()
        && let Some(ready) = conditions::find(all, "Ready").filter(|it| it.status != "True")
    {
        faults.push(fault(ready));
    }
    faults
}
