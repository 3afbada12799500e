//! The StatefulSet of a server with the embedded store: one replica, one volume that outlives the MailServer.

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec},
        core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use paquebot_mta_api::config::Config;
use std::collections::BTreeMap;

use super::{
    Inputs,
    meta::{meta, object_labels, selector},
    names::{DATA, names},
    pod,
};

/// Two writers of one SQLite file would destroy it.
const REPLICAS_MAX: u32 = 1;
/// Old revisions that are kept.
const HISTORY: i32 = 3;

/// The StatefulSet.
pub fn build(inputs: &Inputs, config: &Config) -> StatefulSet {
    let names = names(inputs.server);
    let retain = || Some("Retain".to_owned());
    StatefulSet {
        metadata: meta(inputs, &names.workload),
        spec: Some(StatefulSetSpec {
            replicas: i32::try_from(inputs.server.spec.replicas.min(REPLICAS_MAX)).ok(),
            service_name: Some(names.headless),
            selector: selector(inputs),
            // OrderedReady never replaces a pod that did not become ready: a mended mistake would wait for a hand.
            pod_management_policy: Some("Parallel".to_owned()),
            revision_history_limit: Some(HISTORY),
            template: pod::template(inputs, config, pod::Kind::Embedded),
            volume_claim_templates: Some(vec![claim(inputs)]),
            // The mail is on it: nothing deletes it but a person.
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: retain(),
                when_scaled: retain(),
            }),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

/// The template of the claim: an edit of anything in it is refused by the API server, so it holds only what
/// [`crate::server::volume`] watches, and labels that never change.
fn claim(inputs: &Inputs) -> PersistentVolumeClaim {
    let size = Quantity(inputs.template.size.0.clone());
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(DATA.to_owned()),
            labels: Some(object_labels(inputs)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: inputs.template.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), size)])),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
