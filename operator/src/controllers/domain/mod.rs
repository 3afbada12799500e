//! MailDomains: fetch, validate, build, apply, status.
//!
//! - [`keys`]: DKIM keys are planned with, and made.
//! - [`entries`]: what follows for the directory.
//! - [`publish`]: the records, for people and for external-dns; the name servers are asked.
//! - [`say`](mod@say): the status.

mod entries;
mod keys;
mod publish;
mod say;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kube::{Api, ResourceExt, api::PostParams};
use serde_json::json;

use super::{
    apply::within,
    context::{Context, Fault, refused},
    queue::Done,
    state::DomainState,
    table::Name,
    world::Key,
};
use crate::{
    api::{API_VERSION, MailDomain, MailServer, SERVER_DEFAULT},
    directory::Report,
    domain::{
        self,
        claims::{self, Claim, Known},
        conditions::Unpublished,
        ids, key_plan,
    },
    mailbox::password::PasswordFault,
    names::MANAGER,
    refusal::Refusal,
    server::Facts,
};

/// After a status from which something follows: the watch must have brought it back.
const STATUS_PAUSE: Duration = Duration::from_secs(1);

/// What was refused and does not heal by itself: whoever mends it elsewhere (a definition of a kind) tells nobody.
const REFUSED_AGAIN: Duration = Duration::from_secs(15 * 60);

/// Reconciles a MailDomain.
///
/// # Errors
/// Something could not be read or written: tried again later.
pub async fn reconcile(context: &Context, name: &Name) -> Result<Done, Fault> {
    let Some(domain) = context.world.domains.get(name).filter(|it| it.metadata.deletion_timestamp.is_none()) else {
        return Ok(forget(context, name));
    };
    let server_name = server_name(&domain);
    let server = context.world.servers.get(&server_name);
    let mut claim = claim(context, &domain, server.as_deref(), &server_name);
    if server.is_none() && server_name == Name::new(name.namespace.clone(), SERVER_DEFAULT) {
        match refused(make_default_server(context, &server_name).await)? {
            // The watch brings it, and this domain back with it.
            None => return Ok(Done::After(STATUS_PAUSE)),
            Some(refusal) => claim = Claim::ServerRefused(refusal),
        }
    }
    let facts = context.state.server(&server_name).and_then(|it| it.facts);
    let followed = match follow(context, &domain, &server_name, &claim).await {
        Ok(Some(followed)) => followed,
        Ok(None) => {
            say_waiting(context, &domain, &server_name, &claim, facts.as_ref()).await?;
            // It comes back with its first key.
            return Ok(Done::Settled);
        }
        Err(fault) => {
            freeze(context, &domain, &server_name, &claim);
            Followed { refused: Some(fault.refused()?), ..Followed::default() }
        }
    };
    if let Some(state) = &followed.state {
        keep(context, &domain, &server_name, state);
    }
    let records = match (&facts, &followed.plan) {
        (Some(facts), Some(plan)) if claim.is_accepted() => domain::records(&domain, facts, &plan.publish),
        _ => Vec::new(),
    };
    let unpublished = publish::publish(context, &domain, &records, &claim).await?;
    let seen = publish::look(context, name, &domain, &records);
    let about = say::About {
        server_name: &server_name,
        claim: &claim,
        plan: followed.plan.as_ref(),
        findings: &followed.findings(&domain),
        facts: facts.as_ref(),
        unpublished: &unpublished,
    };
    if say::say(context, &domain, &records, seen.as_deref(), &about).await? {
        return Ok(Done::After(STATUS_PAUSE));
    }
    let refusals = refusals(&claim, &followed, &unpublished);
    if let Some(refusal) = refusals.iter().find(|it| it.heals()) {
        tracing::warn!(domain = %name, %refusal, "an object is refused: it is tried again, later each time");
        return Ok(Done::Failed);
    }
    let refused = (!refusals.is_empty()).then_some(REFUSED_AGAIN);
    let now = context.now();
    let due = followed.plan.as_ref().and_then(|it| it.due);
    let due = due.map(|due| Duration::try_from(due.duration_since(now)).unwrap_or(Duration::from_secs(60)));
    Ok(due.into_iter().chain(refused).min().map_or(Done::Settled, Done::After))
}

/// Says that its first key is being made.
async fn say_waiting(
    context: &Context,
    domain: &MailDomain,
    server_name: &Name,
    claim: &Claim,
    facts: Option<&Facts>,
) -> Result<(), Fault> {
    let findings = [domain::conditions::key_pending()];
    let unpublished = Unpublished::default();
    let about = say::About { server_name, claim, plan: None, findings: &findings, facts, unpublished: &unpublished };
    say::say(context, domain, &[], None, &about).await.map(drop)
}

/// What follows from a MailDomain.
#[derive(Default)]
struct Followed {
    /// `None`: it is not known now.
    plan: Option<key_plan::Plan>,
    /// `None`: what is known stays.
    state: Option<DomainState>,
    /// What was refused of it.
    refused: Option<Refusal>,
    /// What keeps the postmaster that is made from logging in.
    no_login: Option<PasswordFault>,
}

impl Followed {
    fn findings(&self, domain: &MailDomain) -> Vec<key_plan::KeyFinding> {
        let refused = self.refused.as_ref().map(domain::conditions::refused);
        let no_login = self.no_login.as_ref().map(|it| domain::conditions::no_login(domain, it));
        let planned = self.plan.iter().flat_map(|it| it.findings.iter().cloned());
        refused.into_iter().chain(planned).chain(no_login).collect()
    }
}

/// What was refused.
fn refusals<'a>(claim: &'a Claim, followed: &'a Followed, unpublished: &'a Unpublished) -> Vec<&'a Refusal> {
    let server = match claim {
        Claim::ServerRefused(refusal) => Some(refusal),
        _ => None,
    };
    let login = followed.no_login.as_ref().and_then(PasswordFault::passing);
    let all = [server, followed.refused.as_ref(), login, unpublished.refused.as_ref()];
    all.into_iter().flatten().collect()
}

/// What follows from it: its keys, its entries. `None`: nothing before its first key is made.
async fn follow(
    context: &Context,
    domain: &MailDomain,
    server: &Name,
    claim: &Claim,
) -> Result<Option<Followed>, Fault> {
    let planned = match claim.is_accepted() {
        true => keys::plan(context, domain).await?,
        false => Some(Default::default()),
    };
    let Some((plan, refused)) = planned else { return Ok(None) };
    let (state, no_login) = entries::directory_state(context, domain, server, claim, &plan).await?;
    Ok(Some(Followed { plan: Some(plan), state: Some(state), refused, no_login }))
}

/// Keeps what follows for the directory, and tells whom it concerns.
fn keep(context: &Context, domain: &MailDomain, server: &Name, state: &DomainState) {
    let name = &Name::of(domain);
    // As its rivals judge it: by its status, where nothing else is known yet.
    let had_it = has_name(context, domain);
    let changed = context.state.set_domain(name, Some(state.clone()));
    if had_it != has_name(context, domain) {
        wake_rivals(context, name);
    }
    if changed || state.incomplete {
        // What stays may have lost its Mailbox, of which an incomplete state says nothing.
        context.world.queue.add(Key::Directory(server.clone()));
    }
    if changed {
        entries::mailboxes(context, name).iter().for_each(|it| context.world.queue.add(Key::Mailbox(Name::of(&**it))));
    }
}

/// Whoever wants the same name may have it now, or no more.
fn wake_rivals(context: &Context, name: &Name) {
    let rivals = context.world.domains_by_name.with(&name.name);
    rivals.into_iter().filter(|it| it != name).for_each(|it| context.world.queue.add(Key::Domain(it)));
}

/// Nothing is known of what follows, because of a fault: what the directory has of this domain stays, and the others
/// of its server go on.
fn freeze(context: &Context, domain: &MailDomain, server: &Name, claim: &Claim) {
    let (name, uid) = (Name::of(domain), ids::uid(domain));
    let same = |it: &DomainState| it.is_for(server, uid) && (it.accepted || it.incomplete);
    if context.state.domain(&name).is_some_and(|it| same(&it)) {
        return;
    }
    let (incomplete, accepted) = (true, claim.is_accepted());
    let state = DomainState { server: Some(server.clone()), uid, incomplete, accepted, ..DomainState::default() };
    keep(context, domain, server, &state);
}

fn forget(context: &Context, name: &Name) -> Done {
    context.name_servers.forget(name);
    context.statuses.forget("MailDomain", name);
    context.making.forget(name);
    if let Some(state) = context.state.domain(name) {
        context.state.set_domain(name, None);
        context.state.set_logins(state.uid, BTreeMap::new());
        state.server.into_iter().for_each(|server| context.world.queue.add(Key::Directory(server)));
        wake_rivals(context, name);
    }
    Done::Settled
}

fn server_name(domain: &MailDomain) -> Name {
    let (namespace, name) = claims::server_of(domain);
    Name::new(namespace, name)
}

/// The namespace's shared server: made if absent, owned by none of the domains that use it.
async fn make_default_server(context: &Context, name: &Name) -> Result<(), Fault> {
    context.applier.may_write()?;
    let server = json!({
        "apiVersion": API_VERSION,
        "kind": "MailServer",
        "metadata": {"name": name.name, "namespace": name.namespace, "labels": {crate::names::MANAGED_BY: MANAGER}},
        "spec": {},
    });
    let server: MailServer = serde_json::from_value(server).map_err(|_| Fault::System("a MailServer was not made"))?;
    let api: Api<MailServer> = Api::namespaced(context.client().clone(), &name.namespace);
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match within(format!("MailServer {name} could not be made"), api.create(&params, &server)).await {
        Err(error) if error.code() == Some(409) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// What becomes of its claim to its name.
fn claim(context: &Context, domain: &MailDomain, server: Option<&MailServer>, server_name: &Name) -> Claim {
    let world = &context.world;
    let rivals: Vec<Arc<MailDomain>> = (world.domains_by_name.with(&domain.name_any()).iter())
        .filter_map(|it| world.domains.get(it))
        .filter(|it| self::server_name(it) == *server_name && it.metadata.deletion_timestamp.is_none())
        .collect();
    let rivals: Vec<&MailDomain> = rivals.iter().map(|it| &**it).collect();
    let report = context.directories.report(server_name);
    let known = known(context, rivals.iter().copied().chain([domain]), &report);
    let holder = domain::name(domain).and_then(|it| report.holders.get(&it).copied());
    claims::claim(domain, server, &rivals, holder, &known)
}

/// What is known of these domains of one server beside themselves.
pub fn known<'a>(context: &Context, domains: impl Iterator<Item = &'a MailDomain>, report: &Report) -> Known {
    let mut known = Known { holders: report.compared, ..Known::default() };
    for domain in domains {
        let namespace = claims::namespace(domain);
        if let Some(labels) = context.world.namespaces.get(&Name::new("", namespace.clone())) {
            known.namespaces.insert(namespace, labels);
        }
        if has_name(context, domain) {
            known.having.insert(ids::uid(domain));
        }
    }
    known
}

/// Whether it was given its name.
pub fn has_name(context: &Context, domain: &MailDomain) -> bool {
    let ours = context.state.domain(&Name::of(domain));
    match ours.filter(|it| it.is_for(&server_name(domain), ids::uid(domain))) {
        // What we found out ourselves is newer than what the watch has brought back of the status.
        Some(state) if state.accepted || !state.incomplete => state.accepted,
        _ => claims::was_given(domain),
    }
}
