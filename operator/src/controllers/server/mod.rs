//! MailServers: fetch, validate, build, apply, status.
//!
//! - [`certificate`]: the Secrets with certificates and the seal key.
//! - [`growth`]: its volume is made larger.
//! - [`observe`]: what the cluster says of its objects.

mod certificate;
mod growth;
mod observe;

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Service},
};
use kube::ResourceExt;
use paquebot_mta_api::address::Domain;

use growth::Grown;

use super::{
    context::{Context, Fault, refused},
    directories, domain,
    programmed::held_back,
    queue::Done,
    state::ServerState,
    status,
    table::Name,
    world::Key,
};
use crate::{
    api::{API_VERSION, MailDomain, MailServer, server::MailServerStatus},
    conditions::{self, Finding, State},
    domain::claims::{self, Claim},
    refusal::Refusal,
    server::{
        self, Facts,
        build::{self, Names, Owner},
        conditions::VolumeState,
        observed, rollout,
        volume::{self, ClaimTemplate},
    },
};

/// How often certificates and pending addresses are looked at: nothing tells of time that passes.
const LOOK_AGAIN: Duration = Duration::from_secs(15 * 60);
/// The same while something is awaited.
const LOOK_SOON: Duration = Duration::from_secs(30);

/// Reconciles a MailServer.
///
/// # Errors
/// Something could not be read or written: tried again later.
pub async fn reconcile(context: &Context, name: &Name) -> Result<Done, Fault> {
    let Some(server) = context.world.servers.get(name).filter(|it| it.metadata.deletion_timestamp.is_none()) else {
        forget(context, name);
        return Ok(Done::Settled);
    };
    // First: whatever becomes of the rest, new pods must be reached.
    context.world.queue.add(Key::Directory(name.clone()));
    let names = build::names(&server);
    let seen = Seen::of(context, name, &names);
    let fine = server::validate::validate(&server).is_empty() && server.spec.store.sqlite.is_some();
    let facts = if fine { facts(context, &server, name, &seen) } else { facts_before(context, &server, name, &seen) };
    let mut applied = Applied { template: None, volume: None, waits_for_image: None, refused: None };
    // Certificates run out also while the spec is wrong.
    let refused = match &facts {
        Some(facts) => refused(certificate::ensure(context, &server, name, facts).await)?,
        None => None,
    };
    if let (true, Some(facts)) = (fine, &facts) {
        applied = apply(context, &server, name, facts, &seen).await?;
    }
    // What the pods need first is named first; the rest is applied all the same.
    applied.refused = refused.or(applied.refused);
    let state = say(context, &server, name, facts, &names, &applied).await?;
    let before = context.state.server(name);
    if context.state.set_server(name, Some(state.clone())) {
        // Records and readiness of each domain follow from it.
        if before.is_none_or(|it| it.facts != state.facts || it.available != state.available) {
            context
                .world
                .domains_of_server
                .with(name)
                .into_iter()
                .for_each(|it| context.world.queue.add(Key::Domain(it)));
        }
    }
    if let Some(refusal) = applied.refused.as_ref().filter(|it| it.heals()) {
        tracing::warn!(server = %name, %refusal, "an object is refused: it is tried again, later each time");
        return Ok(Done::Failed);
    }
    let waits = !state.available.holds() || applied.waits_for_image.is_some();
    Ok(Done::After(if waits { LOOK_SOON } else { LOOK_AGAIN }))
}

fn forget(context: &Context, name: &Name) {
    context.directories.forget(name);
    context.statuses.forget("MailServer", name);
    if context.state.set_server(name, None) {
        // Others may have waited for their turn to be upgraded.
        context.world.all_servers();
    }
}

/// What is there of its objects.
struct Seen {
    set: Option<StatefulSet>,
    claim: Option<PersistentVolumeClaim>,
    service: Option<Service>,
}

impl Seen {
    fn of(context: &Context, name: &Name, names: &Names) -> Self {
        let at = |object: &str| Name::new(name.namespace.clone(), object);
        let world = &context.world;
        Self {
            set: world.owned("StatefulSet", &at(&names.workload)).and_then(|it| it.typed()),
            claim: world.owned("PersistentVolumeClaim", &at(&names.claim)).and_then(|it| it.typed()),
            service: world.owned("Service", &at(&names.service)).and_then(|it| it.typed()),
        }
    }
}

/// What the world sees of it; `None`: it has no name yet, or it is not valid.
fn facts(context: &Context, server: &MailServer, name: &Name, seen: &Seen) -> Option<Facts> {
    let addresses = seen.service.as_ref().map(|it| observed::service(it).addresses).unwrap_or_default();
    let (first, certain) = first_domain(context, server, name);
    let mut server = server.clone();
    if !certain && server.spec.hostname.is_none() {
        // A host name does not move because the labels of a namespace are not known now.
        server.spec.hostname = server.status.as_ref().and_then(|it| it.hostname.clone());
    }
    let first = first.or_else(|| server.spec.hostname.as_ref()?.parse().ok())?;
    server::facts_in_cluster(&server, &first, &context.settings.defaults, &addresses)
}

/// Of a server whose spec is wrong: what it was before the wrong edit goes on.
fn facts_before(context: &Context, server: &MailServer, name: &Name, seen: &Seen) -> Option<Facts> {
    if let Some(known) = context.state.server(name) {
        return known.facts;
    }
    let mut before = server.clone();
    before.spec.hostname = Some(server.status.as_ref()?.hostname.clone()?);
    facts(context, &before, name, seen)
}

/// The oldest of the domains that it carries: its host name may follow from it. And whether that is certain.
fn first_domain(context: &Context, server: &MailServer, name: &Name) -> (Option<Domain>, bool) {
    let domains: Vec<Arc<MailDomain>> = (context.world.domains_of_server.with(name).iter())
        .filter_map(|it| context.world.domains.get(it))
        .filter(|it| it.metadata.deletion_timestamp.is_none())
        .collect();
    let domains: Vec<&MailDomain> = domains.iter().map(|it| &**it).collect();
    let report = context.directories.report(name);
    let known = domain::known(context, domains.iter().copied(), &report);
    let all = claims::claims(Some(server), &domains, &report.holders, &known);
    let certain = !all.iter().any(|it| matches!(it, Claim::NamespaceUnknown(_) | Claim::HolderUnknown(_)));
    let accepted = domains.iter().zip(all).filter(|(_, claim)| claim.is_accepted()).map(|(domain, _)| *domain);
    (accepted.min_by_key(|it| claims::precedence(*it)).and_then(crate::domain::name), certain)
}

/// What came of applying.
struct Applied {
    template: Option<ClaimTemplate>,
    volume: Option<VolumeState>,
    waits_for_image: Option<String>,
    refused: Option<Refusal>,
}

async fn apply(
    context: &Context,
    server: &MailServer,
    name: &Name,
    facts: &Facts,
    seen: &Seen,
) -> Result<Applied, Fault> {
    let Some(wanted) = ClaimTemplate::wanted(server, &context.settings) else {
        return Ok(Applied { template: None, volume: None, waits_for_image: None, refused: None });
    };
    let volume = growth::volume(context, seen);
    let plan = volume::plan(&wanted, &volume);
    let (volume, refused) = match growth::grow(context, name, seen, &volume, &plan.step).await? {
        Grown::AsFarAsItGoes => (None, None),
        Grown::Never(why) => (Some(VolumeState::Refused(why)), None),
        Grown::Refused(refusal) => (None, Some(refusal)),
    };
    let image = image(context, server, name, seen);
    let owner = Owner {
        api_version: API_VERSION.to_owned(),
        kind: "MailServer".to_owned(),
        name: server.name_any(),
        uid: server.uid().unwrap_or_default(),
    };
    let inputs = build::Inputs {
        server,
        namespace: &name.namespace,
        owner: Some(&owner),
        facts,
        settings: &context.settings,
        image: &image,
        template: &plan.template,
        cert_manager: cert_manager(context),
    };
    let wanted_image = build::wanted_image(server, &context.settings).to_owned();
    let mut applied = Applied {
        template: Some(plan.template.clone()),
        volume,
        waits_for_image: (image != wanted_image).then_some(wanted_image),
        refused,
    };
    let Ok(objects) = build::objects(&inputs) else { return Ok(applied) };
    for object in objects.all() {
        match context.applier.apply(&object).await {
            Ok(_) => {}
            // The rest is applied all the same.
            Err(error) => {
                let refusal = Fault::from(error).refused()?;
                applied.refused.get_or_insert(refusal);
            }
        }
    }
    Ok(applied)
}

/// The image that it may run now: of servers that are upgraded one has its turn.
fn image(context: &Context, server: &MailServer, name: &Name, seen: &Seen) -> String {
    let wanted = build::wanted_image(server, &context.settings).to_owned();
    let current = seen.set.as_ref().and_then(image_of);
    let Some(current) = current.filter(|it| *it != wanted) else { return wanted };
    let candidates: Vec<_> =
        context.world.servers.all().iter().map(|(name, it)| candidate(context, name, it)).collect();
    let may = rollout::may_take(&candidates);
    if may.contains(&(name.namespace.clone(), name.name.clone())) { wanted } else { current }
}

fn candidate(context: &Context, name: &Name, server: &MailServer) -> rollout::Candidate {
    let set = Seen::of(context, name, &build::names(server)).set;
    let ready = set.as_ref().map(observed::workload);
    rollout::Candidate {
        key: (name.namespace.clone(), name.name.clone()),
        current: set.as_ref().and_then(image_of),
        wanted: build::wanted_image(server, &context.settings).to_owned(),
        available: ready.is_some_and(|it| it.ready >= it.wanted),
        // One that carries no domain is never ready, and must not stand in everybody's way.
        rolling: set.as_ref().is_some_and(observed::rolling) && !context.world.domains_of_server.with(name).is_empty(),
    }
}

fn image_of(set: &StatefulSet) -> Option<String> {
    set.spec.as_ref()?.template.spec.as_ref()?.containers.first()?.image.clone()
}

/// Whether the cluster knows cert-manager's Certificates.
fn cert_manager(context: &Context) -> bool {
    context.world.is_present("Certificate")
}

async fn say(
    context: &Context,
    server: &MailServer,
    name: &Name,
    facts: Option<Facts>,
    names: &Names,
    applied: &Applied,
) -> Result<ServerState, Fault> {
    // What was just applied may have been seen meanwhile.
    let seen = Seen::of(context, name, names);
    let observed = observe::observe(context, server, name, facts.as_ref(), &seen, applied).await?;
    let mut findings = server::conditions::conditions(server, &context.settings, &observed);
    let available = findings.iter().find(|it| it.kind == "Available").cloned();
    let available = available.unwrap_or_else(|| Finding::unknown("Available", "Starting", "it is being looked at"));
    let report = context.directories.report(name);
    if report.to_confirm > 0
        && let Some(ready) = findings.iter_mut().find(|it| it.kind == "Ready")
    {
        *ready = Finding { state: State::False, ..Finding::no("Ready", "DeletionHeld", held_back(report.to_confirm)) };
    }
    let before = server.status.clone().unwrap_or_default();
    let generation = server.metadata.generation;
    let mut addresses: Vec<String> = facts.iter().flat_map(|it| &it.addresses).map(ToString::to_string).collect();
    addresses.extend(observed.service.iter().flat_map(|it| it.hostnames.clone()));
    let after = MailServerStatus {
        observed_generation: generation,
        conditions: conditions::set(&before.conditions, &findings, generation, context.now()),
        hostname: facts.as_ref().map(|it| it.hostname.to_string()),
        replicas: observed.workload.map_or(0, |it| it.there),
        selector: Some(names.selector()),
        addresses,
    };
    status::write(context, server, server.status.as_ref(), &after).await?;
    status::tell(context, server, server.status.as_ref().map(|it| &it.conditions), &after.conditions).await;
    Ok(ServerState { facts, available })
}

/// The pods of a MailServer in the words of its conditions.
fn pod_states(context: &Context, name: &Name) -> Vec<observed::PodState> {
    directories::pods(&context.world, name).iter().map(observed::pod).collect()
}
