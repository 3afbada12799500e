//! `Addressed`: where the world finds the server. `EgressVerified`: from where its mail leaves.

use std::net::IpAddr;

use super::Observed;
use crate::{
    api::{MailServer, server::ServiceType},
    conditions::Finding,
    server::facts::{declared, service_type},
    settings::Settings,
};

const ADDRESSED: &str = "Addressed";
const EGRESS: &str = "EgressVerified";
/// A cloud's load balancer is there by then, or something is wrong.
const BALANCER_SECONDS: i64 = 300;
/// The line to add.
const LINE: &str = "spec: {egress: {publicAddresses: [ADDRESS]}}";

/// Whether the server has an address for its A and AAAA records.
pub fn addressed(server: &MailServer, settings: &Settings, observed: &Observed) -> Finding {
    let Some(service) = &observed.service else {
        return Finding::no(ADDRESSED, "NoService", "its Service is not there yet: wait a moment, or see Accepted");
    };
    let declared = declared(server);
    let kind = service_type(server, &settings.defaults);
    if !service.addresses.is_empty() {
        return Finding::yes(ADDRESSED, "Addressed", format!("reached at {}", list(&service.addresses)));
    }
    if !declared.is_empty() {
        let message = format!("reached at {}, as declared in spec.egress.publicAddresses", list(&declared));
        return Finding::yes(ADDRESSED, "Declared", message);
    }
    match kind {
        ServiceType::LoadBalancer if !service.hostnames.is_empty() => {
            // RFC 2181 §10.3: the host of an MX record is no alias.
            let message = format!(
                "the load balancer has only a name ({}), and the host of an MX record needs addresses of its own: give \
                 it fixed addresses and write them as {LINE}",
                service.hostnames.join(", ")
            );
            Finding::no(ADDRESSED, "HostnameOnly", message)
        }
        ServiceType::LoadBalancer => pending(observed, service.since.map(|since| since.as_second())),
        // The operator's default: the addresses of a cluster whose nodes the world reaches.
        ServiceType::NodePort if observed.egress.is_empty() => {
            let ports = service.node_port.map_or_else(String::new, |port| format!(" (port 25 at {port})"));
            let message = format!(
                "reached at ports of the nodes{ports}, at addresses that are not known: lead port 25 of an address there \
                 and write the address as {LINE}"
            );
            Finding::no(ADDRESSED, "AddressUnknown", message)
        }
        ServiceType::NodePort => {
            let message = format!("reached at {}, the operator's default", list(&observed.egress));
            Finding::yes(ADDRESSED, "DeclaredByDefault", message)
        }
        ServiceType::ClusterIp => {
            let addresses = service.cluster_ips.join(", ");
            let message = format!(
                "reached within the cluster only, at {addresses}: for mail from the Internet set spec: {{service: {{type: \
                 LoadBalancer}}}}, or lead port 25 of an address here and write the address as {LINE}"
            );
            Finding::yes(ADDRESSED, "ClusterOnly", message)
        }
    }
}

fn pending(observed: &Observed, since: Option<i64>) -> Finding {
    let seconds = since.map_or(0, |since| observed.now.as_second() - since);
    if seconds < BALANCER_SECONDS {
        return Finding::no(ADDRESSED, "LoadBalancerPending", "the load balancer is being made: wait a few minutes");
    }
    let message = "no load balancer came within 5 minutes; perhaps the cluster has none: kubectl describe service says \
                   more; without one write spec: {service: {type: NodePort}, egress: {publicAddresses: [ADDRESS]}}";
    Finding::no(ADDRESSED, "NoLoadBalancer", message)
}

/// Whether it is known from where mail leaves. That other servers see these addresses is not tried from outside yet.
pub fn egress(server: &MailServer, observed: &Observed) -> Finding {
    if observed.egress.is_empty() {
        let message = format!(
            "from which address mail leaves is not known, so SPF cannot name it and other servers may refuse the mail: \
             write {LINE}"
        );
        return Finding::unknown(EGRESS, "EgressUnknown", message);
    }
    let (reason, whence) = match declared(server).is_empty() {
        false => ("Declared", "as declared"),
        true => ("DeclaredByDefault", "the operator's default"),
    };
    let addresses = list(&observed.egress);
    let message = format!("mail leaves from {addresses}, {whence}; that other servers see it so is not tried");
    Finding::yes(EGRESS, reason, message)
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}
