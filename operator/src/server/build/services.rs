//! The Services: one for the world, and a headless one by which the operator reaches each pod.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use paquebot_mta_api::config::Protocol;

use super::{
    Inputs,
    meta::{meta, selector_labels},
    names,
};
use crate::{
    api::server::{NodePorts, ServiceType, TrafficPolicy},
    server::{
        facts::service_type,
        ports::{ADMIN_PORT, METRICS_PORT},
    },
};

/// For clients and other servers: the standard ports.
pub fn public(inputs: &Inputs) -> Service {
    let own = inputs.server.spec.service.clone().unwrap_or_default();
    let kind = service_type(inputs.server, &inputs.settings.defaults);
    let from_outside = kind != ServiceType::ClusterIp;
    let balanced = kind == ServiceType::LoadBalancer;
    let policy = match own.external_traffic_policy.unwrap_or(TrafficPolicy::Local) {
        // Local keeps the client's address, on which limits and SPF rest.
        TrafficPolicy::Local => "Local",
        TrafficPolicy::Cluster => "Cluster",
    };
    let mut metadata = meta(inputs, &names(inputs.server).service);
    metadata.annotations = (!own.annotations.is_empty()).then(|| own.annotations.clone());
    let node_ports = own.node_ports.unwrap_or_default();
    let port = |(protocol, standard): &(Protocol, u16)| ServicePort {
        node_port: node_port(&node_ports, *protocol).filter(|_| from_outside).map(i32::from),
        ..tcp(protocol.name(), *standard)
    };
    let ranges = own.load_balancer_source_ranges;
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(type_text(kind).to_owned()),
            selector: Some(selector_labels(inputs)),
            ports: Some(inputs.facts.protocols.iter().map(port).collect()),
            external_traffic_policy: from_outside.then(|| policy.to_owned()),
            ip_family_policy: Some("PreferDualStack".to_owned()),
            load_balancer_class: own.load_balancer_class.filter(|_| balanced),
            load_balancer_source_ranges: (balanced && !ranges.is_empty()).then_some(ranges),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// For the operator, and for a look at one pod: also pods that are not ready, because a pod is not ready before its
/// directory was written.
pub fn headless(inputs: &Inputs) -> Service {
    Service {
        metadata: meta(inputs, &names(inputs.server).headless),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            ip_family_policy: Some("PreferDualStack".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(selector_labels(inputs)),
            ports: Some(vec![tcp("admin", ADMIN_PORT), tcp("metrics", METRICS_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// As the API writes it.
pub fn type_text(kind: ServiceType) -> &'static str {
    match kind {
        ServiceType::LoadBalancer => "LoadBalancer",
        ServiceType::NodePort => "NodePort",
        ServiceType::ClusterIp => "ClusterIP",
    }
}

fn node_port(ports: &NodePorts, protocol: Protocol) -> Option<u16> {
    match protocol {
        Protocol::Smtp => ports.smtp,
        Protocol::Submission => ports.submission,
        Protocol::Submissions => ports.submissions,
        Protocol::Pop3 => ports.pop3,
        Protocol::Pop3s => ports.pop3s,
    }
}

/// To the pod's port of the same name.
fn tcp(name: &str, port: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: i32::from(port),
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    }
}
