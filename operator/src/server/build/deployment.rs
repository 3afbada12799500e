//! The Deployment of a server with the shared store: any number of pods, replaced without one being missed.

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
    apimachinery::pkg::util::intstr::IntOrString,
};
use paquebot_mta_api::config::Config;

use super::{
    Inputs,
    meta::{meta, selector},
    names, pod,
};

/// Old revisions that are kept.
const HISTORY: i32 = 3;

/// The Deployment.
pub fn build(inputs: &Inputs, config: &Config) -> Deployment {
    Deployment {
        metadata: meta(inputs, &names(inputs.server).workload),
        spec: Some(DeploymentSpec {
            replicas: i32::try_from(inputs.server.spec.replicas).ok(),
            selector: selector(inputs),
            revision_history_limit: Some(HISTORY),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::Int(1)),
                }),
            }),
            template: pod::template(inputs, config, pod::Kind::Shared),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}
