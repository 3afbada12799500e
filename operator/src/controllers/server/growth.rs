//! The volume of a MailServer grows: one step a reconcile, as `server::volume` plans it.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api, ResourceExt,
    api::{GroupVersionKind, Patch, PatchParams},
};
use serde_json::json;

use super::Seen;
use crate::{
    api::units::Quantity,
    controllers::{
        apply::within,
        context::{Context, Fault, refused},
        table::Name,
    },
    names::MANAGER,
    refusal::Refusal,
    server::volume::{self, Step, Volume},
};

/// What came of a step.
pub(super) enum Grown {
    AsFarAsItGoes,
    /// It cannot grow: why, and what to do.
    Never(String),
    /// The API server refuses it: a quota, say.
    Refused(Refusal),
}

/// The volume as it is now.
pub(super) fn volume(context: &Context, seen: &Seen) -> Volume {
    let class = seen.claim.as_ref().and_then(|it| it.spec.as_ref()?.storage_class_name.clone());
    let class = class.and_then(|it| context.world.storage_classes.get(&Name::new("", it)));
    Volume::seen(seen.set.as_ref(), seen.claim.as_ref(), class.as_deref())
}

/// Carries out a step of its growth.
///
/// # Errors
/// It could not be written, and is tried again.
pub(super) async fn grow(
    context: &Context,
    name: &Name,
    seen: &Seen,
    volume: &Volume,
    step: &Step,
) -> Result<Grown, Fault> {
    match (step, &seen.claim, &seen.set) {
        (Step::Refuse(why), ..) => return Ok(Grown::Never(why.clone())),
        (Step::PatchClaim(size), Some(claim), _) => {
            return patch(context, name, claim, volume.claim.as_ref(), &size.to_string()).await;
        }
        (Step::OrphanAndApply, _, Some(set)) => {
            let set = Name::new(name.namespace.clone(), set.name_any());
            context.applier.delete(&GroupVersionKind::gvk("apps", "v1", "StatefulSet"), &set, true).await?;
        }
        (Step::Nothing | Step::PatchClaim(_) | Step::OrphanAndApply, ..) => {}
    }
    Ok(Grown::AsFarAsItGoes)
}

async fn patch(
    context: &Context,
    name: &Name,
    claim: &PersistentVolumeClaim,
    claimed: Option<&Quantity>,
    size: &str,
) -> Result<Grown, Fault> {
    context.applier.may_write()?;
    let claim = claim.name_any();
    let api: Api<PersistentVolumeClaim> = Api::namespaced(context.client().clone(), &name.namespace);
    let patch = json!({"spec": {"resources": {"requests": {"storage": size}}}});
    let what = format!("the claim {claim} could not be made larger");
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let done = within(what, api.patch(&claim, &params, &Patch::Merge(&patch))).await;
    Ok(match refused(done.map_err(Fault::from))? {
        None => Grown::AsFarAsItGoes,
        // Where the class is not seen, the API server tells of it.
        Some(refusal) if refusal.words().contains("support resize") => {
            Grown::Never(volume::refused(refusal.words(), claimed))
        }
        Some(refusal) => Grown::Refused(refusal),
    })
}
