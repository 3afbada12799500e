//! What the world sees of a MailServer: DNS records follow from it.

use std::net::IpAddr;

use paquebot_mta_api::{address::Domain, config::Protocol};

use super::ports::PORTS_STANDARD;
use crate::{
    api::{MailServer, server::ServiceType},
    settings::Defaults,
};

/// The preference of the one MX record (RFC 5321 §5.1).
const MX_PREFERENCE: u16 = 10;

/// What the world sees of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub hostname: Domain,
    /// The MX records: preference and host.
    pub mx: Vec<(u16, Domain)>,
    /// Where it is reached; empty: unknown.
    pub addresses: Vec<IpAddr>,
    /// From where its mail leaves; empty: unknown.
    pub egress: Vec<IpAddr>,
    /// What it serves, and at which port.
    pub protocols: Vec<(Protocol, u16)>,
}

/// The facts that a MailServer declares; `first` is the first domain that it carries, for its name.
/// `None` where `first` is too long to put `mail.` before it, which validation reports.
pub fn facts(server: &MailServer, first: &Domain) -> Option<Facts> {
    let hostname: Domain = match &server.spec.hostname {
        Some(name) => name.parse().ok()?,
        None => format!("mail.{first}").parse().ok()?,
    };
    let egress = declared(server);
    Some(Facts {
        mx: vec![(MX_PREFERENCE, hostname.clone())],
        hostname,
        addresses: egress.clone(),
        egress,
        protocols: PORTS_STANDARD.to_vec(),
    })
}

/// The facts in a cluster: what the MailServer declares, the operator's defaults, and the addresses that its Service
/// has (a load balancer's; empty: none yet).
///
/// A load balancer's own addresses are where the server is reached. Without one they are those that are declared; the
/// defaults' egress addresses only where no load balancer is wanted: a NAT gateway lets nobody in.
pub fn facts_in_cluster(
    server: &MailServer,
    first: &Domain,
    defaults: &Defaults,
    service_addresses: &[IpAddr],
) -> Option<Facts> {
    let facts = facts(server, first)?;
    let egress = if facts.egress.is_empty() { defaults.egress_addresses.clone() } else { facts.egress };
    let addresses = match (service_addresses, service_type(server, defaults)) {
        ([], ServiceType::LoadBalancer) => facts.addresses,
        ([], _) => egress.clone(),
        (seen, _) => seen.to_vec(),
    };
    Some(Facts { addresses, egress, ..facts })
}

/// The type of the Service that the world uses.
pub fn service_type(server: &MailServer, defaults: &Defaults) -> ServiceType {
    let own = server.spec.service.as_ref().and_then(|service| service.kind);
    own.or(defaults.service_type).unwrap_or(ServiceType::LoadBalancer)
}

/// The addresses from which mail leaves, as declared.
pub fn declared(server: &MailServer) -> Vec<IpAddr> {
    let addresses = server.spec.egress.iter().flat_map(|egress| &egress.public_addresses);
    addresses.filter_map(|address| address.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        MailServerSpec,
        server::{Egress, Service},
    };

    #[test]
    fn addresses_come_from_where_they_are_known() {
        let (load_balancer, node_port) = (Some(ServiceType::LoadBalancer), Some(ServiceType::NodePort));
        // declared, defaults, seen, type: addresses, egress
        for (declared, default, seen, kind, addresses, egress) in [
            ("", "", "", None, "", ""),
            ("192.0.2.1", "", "", None, "192.0.2.1", "192.0.2.1"),
            ("192.0.2.1", "", "203.0.113.9", None, "203.0.113.9", "192.0.2.1"),
            ("", "192.0.2.2", "", load_balancer, "", "192.0.2.2"),
            ("", "192.0.2.2", "", node_port, "192.0.2.2", "192.0.2.2"),
            ("192.0.2.1", "192.0.2.2", "", node_port, "192.0.2.1", "192.0.2.1"),
            ("", "", "203.0.113.9", load_balancer, "203.0.113.9", ""),
        ] {
            let list = |text: &str| -> Vec<IpAddr> { text.parse().into_iter().collect() };
            let mut server = MailServer::new("main", MailServerSpec::default());
            server.spec.service = Some(Service { kind, ..Service::default() });
            let public_addresses = list(declared).iter().map(IpAddr::to_string).collect();
            server.spec.egress = Some(Egress { public_addresses });
            let defaults = Defaults { egress_addresses: list(default), ..Defaults::default() };
            let first = "example.com".parse().unwrap();
            let facts = facts_in_cluster(&server, &first, &defaults, &list(seen)).unwrap();
            assert_eq!((facts.addresses, facts.egress), (list(addresses), list(egress)), "{declared} {default} {seen}");
        }
    }
}
