//! Who has a domain name on a MailServer. Pure.
//!
//! A name belongs to the resource whose UID holds it in the server's directory, as long as that resource is there and
//! admitted; one that nobody holds there to whom it was given already; a free one to the oldest. Nobody captures another's
//! mail by declaring its domain, and nobody loses a name by a mistake in the spec, or by what is not known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use paquebot_mta_api::address::Domain;
use uuid::Uuid;

use super::{ids, validate};
use crate::{
    api::{MailDomain, MailServer, NAMESPACE_DEFAULT},
    conditions,
    load::schema::Finding,
    refusal::{self, Refusal},
    server,
};

/// Findings that a message names; the others are counted.
const FINDINGS_SHOWN_MAX: usize = 3;

/// Reasons of `Accepted` under which a domain keeps what it has.
const KEEPING: [&str; 5] = ["HolderUnknown", "InvalidSpec", "NamespaceUnknown", "ServerNotFound", refusal::REASON];

/// Labels of namespaces, by name.
pub type NamespaceLabels = BTreeMap<String, BTreeMap<String, String>>;

/// What is known of MailDomains beside themselves.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The labels of their namespaces; one that is not among them is not known now.
    pub namespaces: NamespaceLabels,
    /// The UIDs of those that were given their name already ([`was_given`]), whether or not a directory has it.
    pub having: BTreeSet<Uuid>,
    /// The server's directory has said who holds its names: until then, that another has one is a guess.
    pub holders: bool,
}

/// What became of a resource's claim to its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The name is its own.
    Accepted,
    /// The spec is wrong. What was programmed before stays programmed.
    InvalidSpec(Vec<Finding>),
    /// There is no such MailServer. What was programmed before stays programmed, in case it comes again.
    ServerNotFound(String),
    /// There is none, and the API server refuses the namespace's shared one.
    ServerRefused(Refusal),
    /// The MailServer does not admit this domain of this namespace.
    NotAllowed(String),
    /// Whether the MailServer admits it depends on labels of its namespace, which are not known now. What was
    /// programmed before stays programmed.
    NamespaceUnknown(String),
    /// Another resource has the name: namespace/name.
    HeldByAnother(String),
    /// Another resource, namespace/name, would have the name, but the server's directory has not said who holds it.
    /// What was programmed before stays programmed.
    HolderUnknown(String),
}

impl Claim {
    /// Whether the resource's entries belong in the directory.
    pub fn is_accepted(&self) -> bool {
        *self == Self::Accepted
    }

    /// Whether the entries that the directory has of the resource stay as they are: neither a mistake in an edit nor
    /// what is not known stops the mail.
    pub fn keeps_entries(&self) -> bool {
        match self {
            Self::InvalidSpec(_)
            | Self::NamespaceUnknown(_)
            | Self::ServerNotFound(_)
            | Self::ServerRefused(_)
            | Self::HolderUnknown(_) => true,
            Self::Accepted | Self::NotAllowed(_) | Self::HeldByAnother(_) => false,
        }
    }
}

/// The namespace/name of the server that a domain refers to.
pub fn server_of(domain: &MailDomain) -> (String, String) {
    let reference = &domain.spec.server_ref;
    (reference.namespace.clone().unwrap_or_else(|| namespace(domain)), reference.name.clone())
}

/// The claims of all domains that refer to one server, in their order.
///
/// `server`: that server, if it is there. `holders`: who holds each name in its directory. `O(n log n)`.
pub fn claims<'a>(
    server: Option<&MailServer>,
    domains: &[&'a MailDomain],
    holders: &BTreeMap<Domain, Uuid>,
    known: &Known,
) -> Vec<Claim> {
    let Some(here) = server else { return domains.iter().map(|it| claim(it, None, &[], None, known)).collect() };
    let mut by_name: HashMap<&str, Vec<&MailDomain>> = HashMap::with_capacity(domains.len());
    for domain in domains {
        by_name.entry(domain.metadata.name.as_deref().unwrap_or_default()).or_default().push(domain);
    }
    let first_of = |(name, rivals): (&'a str, Vec<&'a MailDomain>)| {
        let holder = name.parse().ok().and_then(|name: Domain| holders.get(&name).copied());
        (name, first(rivals, here, holder, known))
    };
    let firsts: HashMap<&str, Option<&MailDomain>> = by_name.into_iter().map(first_of).collect();
    let first_for = |domain: &MailDomain| *firsts.get(domain.metadata.name.as_deref().unwrap_or_default())?;
    domains.iter().map(|domain| decide(domain, here, first_for(domain), known)).collect()
}

/// The claim of one domain.
///
/// `rivals`: the MailDomains of the same name that refer to the same server, itself among them or not. `holder`: who
/// holds the name in the server's directory.
pub fn claim(
    domain: &MailDomain,
    server: Option<&MailServer>,
    rivals: &[&MailDomain],
    holder: Option<Uuid>,
    known: &Known,
) -> Claim {
    let Some(server) = server else {
        let (server_namespace, server_name) = server_of(domain);
        return Claim::ServerNotFound(format!("{server_namespace}/{server_name}"));
    };
    let all = rivals.iter().copied().chain([domain]);
    decide(domain, server, first(all, server, holder, known), known)
}

fn decide(domain: &MailDomain, server: &MailServer, first: Option<&MailDomain>, known: &Known) -> Claim {
    let mut findings = validate::validate(domain);
    if let (true, Some(name)) = (findings.is_empty(), super::name(domain))
        && server::facts(server, &name).is_none()
    {
        let message = format!("mail.{name} would be too long for a host name: set spec.hostname of the MailServer");
        findings.push(("metadata.name".to_owned(), message));
    }
    let the_server = || {
        let (server_namespace, server_name) = server_of(domain);
        format!("{server_namespace}/{server_name}")
    };
    match admitted(domain, server, known) {
        Admitted::Yes => {}
        Admitted::No => return Claim::NotAllowed(the_server()),
        Admitted::Unknown => return Claim::NamespaceUnknown(the_server()),
    }
    if let Some(first) = first
        && ids::uid(first) != ids::uid(domain)
    {
        let other = format!("{}/{}", namespace(first), first.metadata.name.as_deref().unwrap_or(""));
        // What is not known does not better a claim that was refused.
        return if known.holders || was_refused(domain) {
            Claim::HeldByAnother(other)
        } else {
            Claim::HolderUnknown(other)
        };
    }
    if findings.is_empty() { Claim::Accepted } else { Claim::InvalidSpec(findings) }
}

/// Who has the name: the holder while it is there and not refused; else who was given it already; else, of the valid
/// ones, the oldest.
fn first<'a>(
    rivals: impl IntoIterator<Item = &'a MailDomain>,
    server: &MailServer,
    holder: Option<Uuid>,
    known: &Known,
) -> Option<&'a MailDomain> {
    let judged = rivals.into_iter().map(|it| (it, admitted(it, server, known)));
    let rivals: Vec<(&MailDomain, Admitted)> = judged.filter(|(_, admitted)| *admitted != Admitted::No).collect();
    if let Some((holding, _)) = rivals.iter().find(|(it, _)| Some(ids::uid(*it)) == holder) {
        return Some(holding);
    }
    // One of which it is not known whether it may keeps what it was given, and gets nothing new.
    let has = |it: &MailDomain| known.having.contains(&ids::uid(it));
    let may = |it: &MailDomain, admitted: Admitted| admitted == Admitted::Yes || has(it);
    let fit = |it: &MailDomain, admitted| may(it, admitted) && (has(it) || validate::validate(it).is_empty());
    let fit = rivals.into_iter().filter(|(it, admitted)| fit(it, *admitted));
    fit.map(|(it, _)| it).min_by_key(|it| (!has(it), precedence(*it)))
}

/// Whether a server admits a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admitted {
    Yes,
    No,
    /// It depends on labels of a namespace that is not known now.
    Unknown,
}

fn admitted(domain: &MailDomain, server: &MailServer, known: &Known) -> Admitted {
    let Some(name) = super::name(domain) else { return Admitted::Yes };
    let (namespace, none) = (namespace(domain), BTreeMap::new());
    let admits = |labels| server::validate::admits(server, &namespace, labels, &name);
    match known.namespaces.get(&namespace) {
        Some(labels) if admits(Some(labels)) => Admitted::Yes,
        Some(_) => Admitted::No,
        // Whatever its labels are.
        None if admits(Some(&none)) => Admitted::Yes,
        None if !admits(None) => Admitted::No,
        None => Admitted::Unknown,
    }
}

/// Whether its status says that it was given its name: that it has it, or that it had it before a mistake in its spec,
/// or before something was not known any more (only who has a name gets keys, and who loses it for good has none in its
/// status).
///
/// That is evidence: the API server drops the status of a resource that is made, so what stands there was written of
/// this very UID; nobody but the operator needs the right to write `maildomains/status`; and whoever has it gets by it at
/// most a name that no directory has yet, on a server that admits him.
pub fn was_given(domain: &MailDomain) -> bool {
    let Some(status) = &domain.status else { return false };
    let said = conditions::find(&status.conditions, "Accepted");
    said.is_some_and(|it| it.status == "True" || KEEPING.contains(&it.reason.as_str()) && !status.keys.is_empty())
}

/// Whether its status says that another has the name.
fn was_refused(domain: &MailDomain) -> bool {
    let said = domain.status.as_ref().and_then(|it| conditions::find(&it.conditions, "Accepted"));
    said.is_some_and(|it| it.status == "False" && it.reason == "HeldByAnother")
}

/// The oldest first, then by UID: the same order for everyone who looks.
pub fn precedence<R: Resource<DynamicType = ()>>(resource: &R) -> (Timestamp, Uuid) {
    let created = resource.meta().creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
    (created, ids::uid(resource))
}

/// The namespace of a resource.
pub fn namespace<R: Resource<DynamicType = ()>>(resource: &R) -> String {
    resource.meta().namespace.clone().unwrap_or_else(|| NAMESPACE_DEFAULT.to_owned())
}

/// Findings as one sentence.
pub fn said(findings: &[Finding]) -> String {
    let shown: Vec<String> =
        findings.iter().take(FINDINGS_SHOWN_MAX).map(|(path, message)| format!("{path}: {message}")).collect();
    match findings.len().saturating_sub(FINDINGS_SHOWN_MAX) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

#[cfg(test)]
mod tests;
