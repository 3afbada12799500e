//! What the webhook says to an object: the checks of each kind by itself once more, and those that need other objects.
//!
//! Order must not matter to those who apply many objects at once: what is not there *yet* (a MailServer, a MailDomain)
//! is a warning. Only an edit of the spec is judged, so that whoever is refused can still label, mend and delete.

use std::{collections::BTreeMap, sync::Arc};

use paquebot_mta_api::address::{Address, Domain};
use uuid::Uuid;

use crate::{
    api::{MailDomain, MailServer, Mailbox, SERVER_DEFAULT},
    conditions::{Finding, State},
    domain::{
        self,
        claims::{self, Known, namespace},
        conditions::accepted,
        ids,
    },
    load::schema,
    mailbox, server,
};

/// Names in a warning at most; the others are counted.
const NAMES_SHOWN_MAX: usize = 3;

/// What the operator's caches know. Answers at once, from memory.
pub trait World: Send + Sync + 'static {
    /// Whether all is read: until then nothing can be said of other objects.
    fn is_complete(&self) -> bool;
    /// A MailServer.
    fn server(&self, namespace: &str, name: &str) -> Option<Arc<MailServer>>;
    /// The MailDomains of all namespaces that refer to a MailServer.
    fn domains_of(&self, namespace: &str, name: &str) -> Vec<Arc<MailDomain>>;
    /// A MailDomain.
    fn domain(&self, namespace: &str, name: &str) -> Option<Arc<MailDomain>>;
    /// The Mailboxes of a namespace with this address, case aside.
    fn mailboxes(&self, namespace: &str, address: &Address) -> Vec<Arc<Mailbox>>;
    /// The labels of a namespace.
    fn labels(&self, namespace: &str) -> Option<BTreeMap<String, String>>;
    /// Who holds a name in the directory of a MailServer.
    fn holder(&self, namespace: &str, name: &str, domain: &Domain) -> Option<Uuid>;
}

/// What is said of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is refused; empty: allowed.
    pub refusal: String,
    /// What its author should know.
    pub warnings: Vec<String>,
}

impl Verdict {
    fn of(findings: &[schema::Finding]) -> Self {
        let refusal = if findings.is_empty() { String::new() } else { claims::said(findings) };
        Self { refusal, warnings: Vec::new() }
    }

    fn no(refusal: impl Into<String>) -> Self {
        Self { refusal: refusal.into(), warnings: Vec::new() }
    }

    fn warn(warning: impl Into<String>) -> Self {
        Self { refusal: String::new(), warnings: vec![warning.into()] }
    }

    fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self == Self::default() { other() } else { self }
    }
}

/// A new or edited object; `old`: what is stored.
pub enum Review<'a> {
    /// A MailDomain.
    Domain(&'a MailDomain, Option<&'a MailDomain>),
    /// A MailServer.
    Server(&'a MailServer, Option<&'a MailServer>),
    /// A Mailbox.
    Mailbox(&'a Mailbox, Option<&'a Mailbox>),
}

/// What is said of it.
pub fn review(it: &Review<'_>, world: &dyn World) -> Verdict {
    match it {
        Review::Domain(new, Some(old)) if new.spec == old.spec => Verdict::default(),
        Review::Server(new, Some(old)) if new.spec == old.spec => Verdict::default(),
        Review::Mailbox(new, Some(old)) if new.spec == old.spec => Verdict::default(),
        Review::Domain(new, old) => {
            let mut findings = old.map(|old| domain::validate::change(old, new)).unwrap_or_default();
            findings.extend(domain::validate::validate(new));
            Verdict::of(&findings).or(|| domain_among(new, old.is_none(), world))
        }
        Review::Server(new, old) => {
            let mut findings = old.map(|old| server::validate::change(old, new)).unwrap_or_default();
            findings.extend(server::validate::validate(new));
            Verdict::of(&findings).or(|| old.map(|old| server_among(new, old, world)).unwrap_or_default())
        }
        Review::Mailbox(new, _) => Verdict::of(&mailbox::validate(new)).or(|| mailbox_among(new, world)),
    }
}

fn domain_among(new: &MailDomain, is_new: bool, world: &dyn World) -> Verdict {
    if !world.is_complete() {
        return Verdict::default();
    }
    let (at, by) = claims::server_of(new);
    let Some(server) = world.server(&at, &by) else {
        let made = by == SERVER_DEFAULT && at == namespace(new);
        let warning = format!("there is no MailServer {at}/{by} yet: the domain waits for it");
        return if made { Verdict::default() } else { Verdict::warn(warning) };
    };
    let all = world.domains_of(&at, &by);
    // A new object has no place in the order of age yet: it comes after those that are there.
    let rivals: Vec<&MailDomain> = all.iter().map(Arc::as_ref).filter(|it| same_name(it, new)).collect();
    let namespaces = rivals
        .iter()
        .map(|it| namespace(*it))
        .chain([namespace(new)])
        .filter_map(|name| world.labels(&name).map(|labels| (name, labels)))
        .collect();
    let all = rivals.iter().copied().chain([new]);
    let having = all.filter(|it| claims::was_given(it)).map(ids::uid).collect();
    let holder = domain::name(new).and_then(|name| world.holder(&at, &by, &name));
    // Only the leader knows who holds a name: one that is there already may hold it.
    let holders = is_new || holder.is_some();
    let claim = claims::claim(new, Some(&server), &rivals, holder, &Known { namespaces, having, holders });
    let finding: Finding = accepted(new, &claim);
    match finding.state {
        State::True => {}
        State::False => return Verdict::no(finding.message),
        State::Unknown => return Verdict::warn(finding.message),
    }
    let taken = new.spec.aliases.iter().find_map(|alias| {
        let address = Address::new(&alias.name, domain::name(new)?).ok()?;
        let mailbox = world.mailboxes(&namespace(new), &address).into_iter().next()?;
        Some((address, mailbox.metadata.name.clone().unwrap_or_default()))
    });
    match taken {
        Some((address, mailbox)) => {
            let message =
                format!("spec.aliases: {address} is the address of the Mailbox {mailbox}: keep one of the two");
            Verdict::no(message)
        }
        None => Verdict::default(),
    }
}

fn same_name(one: &MailDomain, other: &MailDomain) -> bool {
    one.metadata.name == other.metadata.name && one.metadata.uid != other.metadata.uid
}

/// Domains that lose their server by an edit: their mail would stop, and their owners did not do it.
fn server_among(new: &MailServer, old: &MailServer, world: &dyn World) -> Verdict {
    if !world.is_complete() || new.spec.allowed_domains == old.spec.allowed_domains {
        return Verdict::default();
    }
    let name = new.metadata.name.as_deref().unwrap_or_default();
    let mut labels: BTreeMap<String, Option<BTreeMap<String, String>>> = BTreeMap::new();
    let mut lost = Vec::new();
    for it in world.domains_of(&namespace(new), name) {
        let of = namespace(it.as_ref());
        let Some(domain) = domain::name(&it) else { continue };
        let labels = labels.entry(of.clone()).or_insert_with(|| world.labels(&of));
        let admits = |server: &MailServer| server::validate::admits(server, &of, labels.as_ref(), &domain);
        if admits(old) && !admits(new) {
            lost.push(format!("{of}/{domain}"));
        }
    }
    if lost.is_empty() {
        return Verdict::default();
    }
    lost.sort_unstable();
    let shown = lost.get(..NAMES_SHOWN_MAX.min(lost.len())).unwrap_or_default().join(", ");
    let more = match lost.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Verdict::warn(format!("spec.allowedDomains no longer admits {shown}{more}: this server stops carrying their mail"))
}

fn mailbox_among(new: &Mailbox, world: &dyn World) -> Verdict {
    let Ok(address) = new.spec.address.parse::<Address>() else { return Verdict::default() };
    if !world.is_complete() {
        return Verdict::default();
    }
    let at = namespace(new);
    let all = world.mailboxes(&at, &address);
    let rivals: Vec<&Mailbox> = all.iter().map(Arc::as_ref).filter(|it| it.metadata.uid != new.metadata.uid).collect();
    let domain = world.domain(&at, address.domain().as_str());
    // Without its MailDomain it may come too early; it is judged again when that one is there.
    let claim = mailbox::claims::claim(new, domain.as_deref(), true, &rivals, mailbox::claims::was_given);
    let finding = mailbox::conditions::accepted(new, &claim);
    match claim {
        mailbox::claims::Claim::Accepted => Verdict::default(),
        mailbox::claims::Claim::DomainNotFound(_) => Verdict::warn(finding.message),
        _ => Verdict::no(finding.message),
    }
}
