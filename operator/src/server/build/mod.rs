//! The objects that run a MailServer. Pure: values in, manifests out, the same each time.
//!
//! - [`names`](mod@names): what they are called.
//! - [`tls`](mod@tls): where the certificate comes from.
//! - [`meta`]: names, labels, owners of all of them.
//! - [`service_account`], [`config_map`], [`services`], [`stateful_set`], [`deployment`], [`pod_disruption_budget`],
//!   [`network_policy`], [`seal_key`], [`certificate`]: one kind each.
//! - [`pod`], [`volumes`], [`placement`]: the pod that both workloads run.

pub mod certificate;
pub mod config_map;
pub mod deployment;
pub mod meta;
pub mod names;
pub mod network_policy;
pub mod placement;
pub mod pod;
pub mod pod_disruption_budget;
pub mod seal_key;
pub mod service_account;
pub mod services;
pub mod stateful_set;
pub mod tls;
pub mod volumes;

use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Service, ServiceAccount},
    networking::v1::NetworkPolicy,
};
use paquebot_mta_api::config::Config;
use serde::Serialize;
use serde_json::Value;

pub use meta::Owner;
pub use names::{Names, names};
pub use tls::{TlsSource, tls};

use super::{Facts, Process, volume::ClaimTemplate};
use crate::{api::MailServer, settings::Settings};

/// What the objects follow from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The MailServer.
    pub server: &'a MailServer,
    /// Its namespace: that of all its objects.
    pub namespace: &'a str,
    /// Who owns them; `None`: nobody, to show them.
    pub owner: Option<&'a Owner>,
    /// What the world sees of it.
    pub facts: &'a Facts,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The image that it may run now: [`wanted_image`], or the old one while it waits for its turn
    /// ([`super::rollout`]).
    pub image: &'a str,
    /// The claim's template that it may have now: [`super::volume::plan`] says so.
    pub template: &'a ClaimTemplate,
    /// Whether cert-manager's Certificates exist in the cluster.
    pub cert_manager: bool,
}

/// A store that no object can run yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("PostgreSQL comes with a later release: use store.sqlite")]
pub struct StoreNotSupported;

/// All objects of a server. Not among them: the seal key's Secret, which is made once ([`seal_key`]), and the
/// Secrets with certificates.
#[derive(Debug, Clone, PartialEq)]
pub struct Objects {
    /// Without any right, and without a token.
    pub service_account: ServiceAccount,
    /// The MTA's file.
    pub config_map: ConfigMap,
    /// For the world.
    pub service: Service,
    /// For the operator: each pod's own address.
    pub headless: Service,
    /// Who may connect.
    pub network_policy: NetworkPolicy,
    /// cert-manager's Certificate, where one is wanted and can be.
    pub certificate: Option<Value>,
    /// The pods.
    pub stateful_set: StatefulSet,
}

impl Objects {
    /// Each as JSON, in the order in which to apply them.
    pub fn all(&self) -> Vec<Value> {
        let mut all = vec![
            json(&self.service_account),
            json(&self.config_map),
            json(&self.service),
            json(&self.headless),
            json(&self.network_policy),
        ];
        all.extend(self.certificate.clone());
        all.push(json(&self.stateful_set));
        all
    }
}

/// The objects of a server with the embedded store.
///
/// # Errors
/// The store is PostgreSQL: [`deployment`] and [`pod_disruption_budget`] wait for a process that can use it.
pub fn objects(inputs: &Inputs) -> Result<Objects, StoreNotSupported> {
    if inputs.server.spec.store.sqlite.is_none() {
        return Err(StoreNotSupported);
    }
    let config = configuration(inputs);
    Ok(Objects {
        service_account: service_account::build(inputs),
        config_map: config_map::build(inputs, &config),
        service: services::public(inputs),
        headless: services::headless(inputs),
        network_policy: network_policy::build(inputs, &config),
        certificate: certificate::build(inputs),
        stateful_set: stateful_set::build(inputs, &config),
    })
}

/// The MTA's configuration in a pod of this server.
pub fn configuration(inputs: &Inputs) -> Config {
    super::config(inputs.server, inputs.facts, Process::pod(inputs.server))
}

/// The image that a server shall run: its own, or the operator's.
pub fn wanted_image<'a>(server: &'a MailServer, settings: &'a Settings) -> &'a str {
    server.spec.pod.as_ref().and_then(|pod| pod.image.as_deref()).unwrap_or(&settings.image)
}

fn json<T: Serialize>(object: &T) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

#[cfg(test)]
mod tests;
