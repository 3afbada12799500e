//! The NetworkPolicy: mail from anywhere, metrics from the cluster, the admin API from the operator alone; out go
//! DNS and mail.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use paquebot_mta_api::config::{Config, Protocol};

use super::{
    Inputs,
    meta::{meta, selector},
    names::{self, COMPONENT_MTA},
};
use crate::{
    names::{COMPONENT, MANAGED_BY, MANAGER},
    server::ports::{ADMIN_PORT, METRICS_PORT, inside},
};

/// The label of every namespace that says its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// The labels of the operator's own pods: whatever runs it has to set them.
pub const OPERATOR_LABELS: [(&str, &str); 2] = [("app.kubernetes.io/name", "paquebot"), (COMPONENT, "operator")];
/// DNS, and where some clusters' name servers listen behind their Service: a policy is applied after it.
const DNS_PORTS: [u16; 2] = [53, 5353];
/// PostgreSQL's.
const POSTGRES_PORT: u16 = 5432;

/// The NetworkPolicy.
pub fn build(inputs: &Inputs, config: &Config) -> NetworkPolicy {
    NetworkPolicy {
        metadata: meta(inputs, &names::names(inputs.server).network_policy),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(inputs)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress(inputs)),
            egress: Some(egress(inputs, config)),
        }),
    }
}

fn ingress(inputs: &Inputs) -> Vec<NetworkPolicyIngressRule> {
    let mail = inputs.facts.protocols.iter().map(|(_, standard)| port("TCP", inside(*standard))).collect();
    let operator = NetworkPolicyPeer {
        namespace_selector: Some(with_labels([(NAMESPACE_NAME, inputs.settings.namespace.as_str())])),
        pod_selector: Some(with_labels(OPERATOR_LABELS)),
        ..NetworkPolicyPeer::default()
    };
    vec![
        NetworkPolicyIngressRule { from: None, ports: Some(mail) },
        NetworkPolicyIngressRule {
            from: Some(vec![all_pods(LabelSelector::default())]),
            ports: Some(vec![port("TCP", METRICS_PORT)]),
        },
        NetworkPolicyIngressRule { from: Some(vec![operator]), ports: Some(vec![port("TCP", ADMIN_PORT)]) },
    ]
}

fn egress(inputs: &Inputs, config: &Config) -> Vec<NetworkPolicyEgressRule> {
    let dns = DNS_PORTS.iter().flat_map(|number| [port("UDP", *number), port("TCP", *number)]).collect();
    let smtp = inputs.facts.protocols.iter().find(|(protocol, _)| *protocol == Protocol::Smtp);
    // To a server in the same cluster: its Service has put the pod's own port in the place of 25.
    let neighbours = smtp.map(|(_, standard)| NetworkPolicyEgressRule {
        to: Some(vec![all_pods(with_labels([(MANAGED_BY, MANAGER), (COMPONENT, COMPONENT_MTA)]))]),
        ports: Some(vec![port("TCP", inside(*standard))]),
    });
    let store = inputs.server.spec.store.postgres.is_some();
    let anywhere = |ports| NetworkPolicyEgressRule { to: None, ports: Some(ports) };
    let mut rules = vec![anywhere(dns), anywhere(vec![port("TCP", config.delivery.port)])];
    rules.extend(neighbours);
    rules.extend(store.then(|| anywhere(vec![port("TCP", POSTGRES_PORT)])));
    rules
}

/// Pods with these labels in all namespaces.
fn all_pods(labels: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: (labels != LabelSelector::default()).then_some(labels),
        ..NetworkPolicyPeer::default()
    }
}

fn with_labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> LabelSelector {
    let labels: BTreeMap<String, String> =
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(number))),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}
