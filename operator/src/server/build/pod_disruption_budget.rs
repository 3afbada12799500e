//! The PodDisruptionBudget of a server with the shared store: nodes are emptied one pod at a time.
//!
//! A server with one replica has none: it could only forbid that its node is ever emptied.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    Inputs,
    meta::{meta, selector},
    names,
};

/// The PodDisruptionBudget, where there is more than one replica.
pub fn build(inputs: &Inputs) -> Option<PodDisruptionBudget> {
    (inputs.server.spec.replicas > 1).then(|| PodDisruptionBudget {
        metadata: meta(inputs, &names(inputs.server).pod_disruption_budget),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(inputs)),
            // A pod that does not serve must not keep a node from being emptied.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
