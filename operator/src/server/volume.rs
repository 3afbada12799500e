//! How the volume of the embedded store grows: the claim is patched, then the set is deleted without its pod and
//! applied anew, because the template of a claim cannot be edited. Nothing here ever shrinks or replaces a volume.

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec},
    storage::v1::StorageClass,
};

use crate::{
    api::{MailServer, units::Quantity},
    settings::Settings,
};

/// What the template of a claim says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimTemplate {
    /// How large.
    pub size: Quantity,
    /// Which class; `None`: the cluster's default.
    pub storage_class_name: Option<String>,
}

impl ClaimTemplate {
    /// As the MailServer wants it, for a set that does not exist yet; `None` without an embedded store.
    pub fn wanted(server: &MailServer, settings: &Settings) -> Option<Self> {
        let volume = &server.spec.store.sqlite.as_ref()?.volume;
        let class = volume.storage_class_name.as_ref().or(settings.defaults.storage_class_name.as_ref());
        Some(Self { size: volume.size.clone(), storage_class_name: class.cloned() })
    }

    /// As the set in the cluster has it.
    pub fn of(set: &StatefulSet) -> Option<Self> {
        let claim = set.spec.as_ref()?.volume_claim_templates.as_ref()?.first()?.spec.as_ref()?;
        Some(Self { size: requested(claim)?, storage_class_name: claim.storage_class_name.clone() })
    }
}

/// What is in the cluster.
#[derive(Debug, Clone, Default)]
pub struct Volume {
    /// The template of the set that is there.
    pub template: Option<ClaimTemplate>,
    /// The size that the claim asks for.
    pub claim: Option<Quantity>,
    /// The claim has no volume yet, and cannot be edited until it has.
    pub pending: bool,
    /// The class of the claim.
    pub class: Option<String>,
    /// Whether that class lets volumes grow; `None`: it is not known, the API server will say.
    pub expandable: Option<bool>,
}

impl Volume {
    /// From the objects, as far as they are there.
    pub fn seen(
        set: Option<&StatefulSet>,
        claim: Option<&PersistentVolumeClaim>,
        class: Option<&StorageClass>,
    ) -> Self {
        let spec = claim.and_then(|claim| claim.spec.as_ref());
        Self {
            template: set.and_then(ClaimTemplate::of),
            claim: spec.and_then(requested),
            pending: claim.and_then(|it| it.status.as_ref()?.phase.as_deref()) == Some("Pending"),
            class: spec.and_then(|spec| spec.storage_class_name.clone()),
            expandable: class.map(|class| class.allow_volume_expansion == Some(true)),
        }
    }
}

/// What to do with the volume now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// All is as wanted.
    Nothing,
    /// The claim asks for this size from now on; then look again.
    PatchClaim(Quantity),
    /// The set is deleted and its pod left (propagation `Orphan`), then it is applied anew.
    OrphanAndApply,
    /// It cannot be: a sentence that says what to write.
    Refuse(String),
}

/// The step, and the template with which the set is to be applied now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What to do.
    pub step: Step,
    /// What [`super::build::Inputs::template`] is.
    pub template: ClaimTemplate,
}

/// What to do so that the volume is as large as wanted. Only the size is looked at: the class of a volume stays.
pub fn plan(wanted: &ClaimTemplate, seen: &Volume) -> Plan {
    let octets = |size: &Quantity| size.octets().unwrap_or(0);
    let as_it_is = || seen.template.clone().unwrap_or_else(|| wanted.clone());
    let size = octets(&wanted.size);
    let claimed = seen.claim.as_ref().map(octets);
    let with = |step, template| Plan { step, template };
    match claimed {
        Some(claimed) if claimed > size => with(Step::Refuse(shrinking(wanted, seen)), as_it_is()),
        Some(claimed) if claimed < size && seen.pending => with(Step::Nothing, as_it_is()),
        Some(claimed) if claimed < size && seen.expandable == Some(false) => {
            with(Step::Refuse(fixed(wanted, seen)), as_it_is())
        }
        Some(claimed) if claimed < size => with(Step::PatchClaim(wanted.size.clone()), as_it_is()),
        _ => match &seen.template {
            Some(template) if octets(&template.size) != size => {
                let template = ClaimTemplate { size: wanted.size.clone(), ..template.clone() };
                with(Step::OrphanAndApply, template)
            }
            _ => with(Step::Nothing, as_it_is()),
        },
    }
}

fn shrinking(wanted: &ClaimTemplate, seen: &Volume) -> String {
    let claimed = seen.claim.as_ref().map(Quantity::to_string).unwrap_or_default();
    format!("the volume has {claimed} and cannot shrink to {}: write size: {claimed}", wanted.size)
}

fn fixed(wanted: &ClaimTemplate, seen: &Volume) -> String {
    let class = seen.class.as_deref().unwrap_or_default();
    let claimed = seen.claim.as_ref().map(Quantity::to_string).unwrap_or_default();
    format!(
        "the volume cannot grow from {claimed} to {}, because the StorageClass {class} does not allow it: \
         set allowVolumeExpansion: true in the StorageClass, or write size: {claimed}",
        wanted.size
    )
}

/// Why the API server lets a claim not grow.
pub fn refused(words: &str, claimed: Option<&Quantity>) -> String {
    let claimed = claimed.map(Quantity::to_string).unwrap_or_default();
    format!("{words}: set allowVolumeExpansion: true in its StorageClass, or write size: {claimed}")
}

fn requested(claim: &PersistentVolumeClaimSpec) -> Option<Quantity> {
    let size = claim.resources.as_ref()?.requests.as_ref()?.get("storage")?;
    Some(Quantity(size.0.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(size: &str) -> ClaimTemplate {
        ClaimTemplate { size: Quantity(size.into()), storage_class_name: Some("fast".into()) }
    }

    #[test]
    fn a_volume_grows_step_by_step_and_never_shrinks() {
        let patch = || Step::PatchClaim(Quantity("20Gi".into()));
        // the set's template, the claim, whether the class allows it: the step, and the template to apply with
        for (before, claim, expandable, step, with) in [
            (None, None, None, Some(Step::Nothing), "20Gi"),
            (Some("10Gi"), Some("10Gi"), Some(true), Some(patch()), "10Gi"),
            (Some("10Gi"), Some("10Gi"), None, Some(patch()), "10Gi"),
            (Some("10Gi"), Some("10Gi"), Some(false), None, "10Gi"),
            (Some("10Gi"), Some("20Gi"), Some(true), Some(Step::OrphanAndApply), "20Gi"),
            // The set is gone, as after a crash between the two.
            (None, Some("20Gi"), Some(true), Some(Step::Nothing), "20Gi"),
            (None, Some("10Gi"), Some(true), Some(patch()), "20Gi"),
            (Some("20Gi"), Some("20Gi"), Some(false), Some(Step::Nothing), "20Gi"),
            // The same in other words: nothing to do, and the set keeps its own.
            (Some("20480Mi"), Some("20480Mi"), Some(true), Some(Step::Nothing), "20480Mi"),
            (Some("10Gi"), None, None, Some(Step::OrphanAndApply), "20Gi"),
            (Some("30Gi"), Some("30Gi"), Some(true), None, "30Gi"),
            (Some("10Gi"), Some("30Gi"), Some(true), None, "10Gi"),
        ] {
            let seen = Volume {
                template: before.map(template),
                claim: claim.map(|it| Quantity(it.into())),
                pending: false,
                class: Some("fast".into()),
                expandable,
            };
            let plan = plan(&template("20Gi"), &seen);
            match step {
                Some(step) => assert_eq!(plan.step, step, "{before:?} {claim:?} {expandable:?}"),
                None => assert!(matches!(&plan.step, Step::Refuse(why) if why.contains("write size: ")), "{plan:?}"),
            }
            assert_eq!(plan.template, template(with), "{before:?} {claim:?} {expandable:?}");
        }
    }

    #[test]
    fn a_claim_without_a_volume_is_left_alone() {
        let claim = Some(Quantity("10Gi".into()));
        let seen = Volume { template: Some(template("10Gi")), claim, pending: true, ..Volume::default() };
        assert_eq!(plan(&template("20Gi"), &seen), Plan { step: Step::Nothing, template: template("10Gi") });
    }

    #[test]
    fn another_default_class_does_not_touch_what_is_there() {
        let seen = Volume { template: Some(template("20Gi")), ..Volume::default() };
        let wanted = ClaimTemplate { storage_class_name: Some("other".into()), ..template("20Gi") };
        assert_eq!(plan(&wanted, &seen), Plan { step: Step::Nothing, template: template("20Gi") });
    }
}
