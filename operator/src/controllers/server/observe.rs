//! What the cluster says of a MailServer's objects, as its conditions want it.

use k8s_openapi::api::core::v1::Event;
use kube::{Api, ResourceExt, api::ListParams};

use super::{Applied, Seen, certificate, pod_states};
use crate::{
    api::MailServer,
    controllers::{
        apply::within,
        context::{Context, Fault},
        table::Name,
    },
    server::{
        Facts,
        build::names,
        conditions::{Observed, VolumeState},
        observed,
    },
};

/// Warnings about a workload that are looked through.
const EVENTS_MAX: u32 = 50;

pub(super) async fn observe(
    context: &Context,
    server: &MailServer,
    name: &Name,
    facts: Option<&Facts>,
    seen: &Seen,
    applied: &Applied,
) -> Result<Observed, Fault> {
    Ok(Observed {
        hostname: facts.map(|it| it.hostname.to_string()),
        refused: applied.refused.clone(),
        workload: seen.set.as_ref().map(observed::workload),
        pods: pod_states(context, name),
        pods_refused: pods_refused(context, name, seen).await?,
        volume: applied.volume.clone().unwrap_or_else(|| volume(context, server, seen, applied)),
        waits_for_image: applied.waits_for_image.clone(),
        service: seen.service.as_ref().map(observed::service),
        certificate: certificate::state(context, server, name, facts).await?,
        egress: facts.map(|it| it.egress.clone()).unwrap_or_default(),
        now: context.now(),
    })
}

/// Why the workload has no pod although it wants one: the newest warning about it. Asked only then.
async fn pods_refused(context: &Context, name: &Name, seen: &Seen) -> Result<Option<String>, Fault> {
    let Some(set) = seen.set.as_ref() else { return Ok(None) };
    let workload = observed::workload(set);
    if workload.wanted == 0 || !pod_states(context, name).is_empty() {
        return Ok(None);
    }
    let fields = format!("involvedObject.kind=StatefulSet,involvedObject.name={},type=Warning", set.name_any());
    let api: Api<Event> = Api::namespaced(context.client().clone(), &name.namespace);
    let params = ListParams::default().fields(&fields).limit(EVENTS_MAX);
    // They only explain: without them the rest is said all the same.
    let events = match within(format!("events of {name} could not be read"), api.list(&params)).await {
        Ok(events) => events,
        Err(error) => {
            tracing::debug!(%error, "no word on why there is no pod");
            return Ok(None);
        }
    };
    let newest = events.items.into_iter().max_by_key(|it| it.last_timestamp.as_ref().map(|time| time.0));
    Ok(newest.and_then(|it| it.message))
}

fn volume(context: &Context, server: &MailServer, seen: &Seen, applied: &Applied) -> VolumeState {
    let classes = context.world.storage_classes.all();
    let names_of = || {
        let mut names: Vec<String> = classes.iter().map(|(name, _)| name.name.clone()).collect();
        names.sort();
        names
    };
    let claim = names(server).claim;
    let phase = seen.claim.as_ref().and_then(|it| it.status.as_ref()?.phase.clone());
    match phase.as_deref() {
        Some("Bound") => return VolumeState::Fine,
        Some("Lost") => return VolumeState::Lost { claim },
        _ => {}
    }
    let class = applied.template.as_ref().and_then(|it| it.storage_class_name.clone());
    const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
    match class {
        Some(class) if !classes.iter().any(|(name, _)| name.name == class) => {
            VolumeState::NoSuchClass { class, classes: names_of() }
        }
        None if !classes.iter().any(|(_, it)| {
            it.metadata.annotations.as_ref().is_some_and(|all| all.get(DEFAULT).is_some_and(|it| it == "true"))
        }) =>
        {
            VolumeState::NoDefaultClass { classes: names_of() }
        }
        _ if seen.claim.is_some() => VolumeState::Pending { claim, why: None },
        _ => VolumeState::Fine,
    }
}
