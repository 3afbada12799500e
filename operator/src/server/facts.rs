//! What the world sees of a MailServer: DNS records follow from it.

use std::net::IpAddr;

use paquebot_mta_api::{address::Domain, config::Protocol};

use crate::api::MailServer;

/// The preference of the one MX record (RFC 5321 §5.1).
const MX_PREFERENCE: u16 = 10;

/// The protocols and their standard ports.
pub const PORTS_STANDARD: [(Protocol, u16); 5] = [
    (Protocol::Smtp, 25),
    (Protocol::Submissions, 465),
    (Protocol::Submission, 587),
    (Protocol::Pop3s, 995),
    (Protocol::Pop3, 110),
];

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
    let egress: Vec<IpAddr> = server
        .spec
        .egress
        .iter()
        .flat_map(|egress| &egress.public_addresses)
        .filter_map(|address| address.parse().ok())
        .collect();
    Some(Facts {
        mx: vec![(MX_PREFERENCE, hostname.clone())],
        hostname,
        addresses: egress.clone(),
        egress,
        protocols: PORTS_STANDARD.to_vec(),
    })
}
