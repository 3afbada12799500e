//! The DNS records that follow from a MailDomain, its server and its keys, and what is still unknown.

use std::{collections::BTreeSet, net::IpAddr};

use paquebot_mta_api::{address::Domain, config::Protocol, directory::KeyAlgorithm};

use super::spf;
use crate::{
    api::{
        MailDomain,
        domain::{Dmarc, DmarcPolicy, Spf},
    },
    dns::{Data, ID_OCTETS_MAX, Record},
    names::hash8,
    server::Facts,
};

/// Seconds that resolvers keep a record: short enough to change, long enough to be quick.
pub const TTL_SECONDS: u32 = 3600;

/// A DKIM key's public half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The selector.
    pub selector: String,
    /// The algorithm.
    pub algorithm: KeyAlgorithm,
    /// `p=`, base64.
    pub text: String,
}

/// All records, in the order in which they are read: where mail goes, who may send, how to find it.
pub fn records(domain: &MailDomain, server: &Facts, keys: &[PublicKey]) -> Vec<Record> {
    let Some(name) = super::name(domain) else { return Vec::new() };
    let spec = &domain.spec;
    let mut records: Vec<Record> = server
        .mx
        .iter()
        .map(|(preference, host)| {
            ours(&format!("mx/{host}"), name.to_string(), Data::Mx { preference: *preference, host: host.clone() })
        })
        .collect();
    records.extend(addresses(&name, server));
    if let Some(text) = spf::text(&spec.spf, &server.egress) {
        records.push(ours("spf", name.to_string(), Data::Txt(text)));
    }
    // Bounces have no sender: receivers check the name in EHLO instead (RFC 7208 §2.4).
    if let Some(text) = spf::text(&Spf::default(), &server.egress)
        && server.hostname != name
        && is_within(&server.hostname, &name)
    {
        records.push(ours("spf/host", server.hostname.to_string(), Data::Txt(text)));
    }
    records.extend(keys.iter().map(|key| dkim(&name, key)));
    records.push(ours("dmarc", format!("_dmarc.{name}"), Data::Txt(dmarc(&spec.dmarc))));
    records.extend(services(&name, server));
    records.extend(permissions(&name, &spec.dmarc));
    let mut ids = BTreeSet::new();
    records.retain(|record| ids.insert(record.id.clone()));
    records
}

/// What is not among the records because it is unknown, and the line to add.
pub fn notes(domain: &MailDomain, server: &Facts, keys: &[PublicKey]) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(name) = super::name(domain) else { return notes };
    if spf::text(&domain.spec.spf, &server.egress).is_none() {
        notes.push(format!(
            "{name} has no SPF record: the addresses from which mail leaves are unknown; add spec.egress.publicAddresses: [192.0.2.10] to the MailServer"
        ));
    }
    if is_within(&server.hostname, &name) && server.addresses.is_empty() {
        notes.push(format!(
            "{} has no A or AAAA record: the server's addresses are unknown; add spec.egress.publicAddresses: [192.0.2.10] to the MailServer",
            server.hostname
        ));
    }
    let known = |algorithm: KeyAlgorithm| keys.iter().any(|key| key.algorithm == algorithm);
    let unknown: Vec<String> = domain
        .spec
        .dkim
        .keys
        .iter()
        .map(|key| KeyAlgorithm::from(key.algorithm))
        .filter(|algorithm| !known(*algorithm))
        .map(|algorithm| algorithm_name(algorithm).to_owned())
        .collect();
    if !unknown.is_empty() {
        notes.push(format!(
            "{name} has no DKIM record for {}: the server makes these keys when it starts; run `paquebot up`, then name its directory with --data",
            unknown.join(" and ")
        ));
    }
    notes
}

/// What is declared and not served yet.
pub fn senders_note(domain: &MailDomain) -> Option<String> {
    let name = super::name(domain).filter(|_| !domain.spec.senders.is_empty())?;
    Some(format!("{name}: senders take effect with the sidecar, which is not served yet: no ServiceAccount can send"))
}

fn ours(id: &str, name: String, data: Data) -> Record {
    Record { id: fitting(id), name, ttl_seconds: TTL_SECONDS, data, elsewhere: false }
}

/// An id with a very long name in it is cut, with a hash so that it stays unique.
fn fitting(id: &str) -> String {
    if id.len() <= ID_OCTETS_MAX {
        return id.to_owned();
    }
    let hash = hash8(id);
    let kept: String = id.chars().take(ID_OCTETS_MAX - hash.len() - 1).collect();
    format!("{kept}-{hash}")
}

/// Addresses of hosts in this domain; hosts elsewhere have them in their own zone.
fn addresses(name: &Domain, server: &Facts) -> Vec<Record> {
    if !is_within(&server.hostname, name) {
        return Vec::new();
    }
    let record = |address: &IpAddr| {
        let data = match address.to_canonical() {
            IpAddr::V4(it) => Data::A(it),
            IpAddr::V6(it) => Data::Aaaa(it),
        };
        ours(&format!("host/{}", data.plain()), server.hostname.to_string(), data)
    };
    server.addresses.iter().map(record).collect()
}

/// The record of a DKIM key (RFC 6376 §3.6.1).
pub fn dkim(name: &Domain, key: &PublicKey) -> Record {
    let algorithm = algorithm_name(key.algorithm);
    // RFC 6376 §3.6.1; h= keeps rsa-sha1 out (RFC 8301 §3.1).
    let value = format!("v=DKIM1; k={algorithm}; h=sha256; p={}", key.text);
    ours(&format!("dkim/{}", key.selector), format!("{}._domainkey.{name}", key.selector), Data::Txt(value))
}

/// As `k=` has it (RFC 6376 §3.6.1, RFC 8463 §4).
fn algorithm_name(algorithm: KeyAlgorithm) -> &'static str {
    match algorithm {
        KeyAlgorithm::Rsa => "rsa",
        KeyAlgorithm::Ed25519 => "ed25519",
    }
}

fn dmarc(dmarc: &Dmarc) -> String {
    let policy = |it: DmarcPolicy| match it {
        DmarcPolicy::None => "none",
        DmarcPolicy::Quarantine => "quarantine",
        DmarcPolicy::Reject => "reject",
    };
    // RFC 7489 §6.3: v first, p second.
    let mut text = format!("v=DMARC1; p={}", policy(dmarc.policy));
    if let Some(subdomains) = dmarc.subdomain_policy {
        text.push_str(&format!("; sp={}", policy(subdomains)));
    }
    for (tag, uris) in [("rua", &dmarc.rua), ("ruf", &dmarc.ruf)] {
        if !uris.is_empty() {
            text.push_str(&format!("; {tag}={}", uris.join(",")));
        }
    }
    if let Some(options) = &dmarc.fo {
        text.push_str(&format!("; fo={options}"));
    }
    text
}

/// How programs find the servers (RFC 6186, RFC 8314 §5.1): only what is served.
fn services(name: &Domain, server: &Facts) -> Vec<Record> {
    let record = |(protocol, port): &(Protocol, u16)| {
        // TLS from the first octet is preferred (RFC 8314 §3.3).
        let (service, priority) = match protocol {
            Protocol::Submissions => ("_submissions", 0),
            Protocol::Submission => ("_submission", 10),
            Protocol::Pop3s => ("_pop3s", 0),
            Protocol::Pop3 => ("_pop3", 10),
            Protocol::Smtp => return None,
        };
        let data = Data::Srv { priority, weight: 1, port: *port, target: server.hostname.clone() };
        Some(ours(&format!("srv/{}", service.trim_start_matches('_')), format!("{service}._tcp.{name}"), data))
    };
    server.protocols.iter().filter_map(record).collect()
}

/// Reports to another domain need that domain's word (RFC 7489 §7.1). Its zone is not ours.
fn permissions(name: &Domain, dmarc: &Dmarc) -> Vec<Record> {
    let mut domains: Vec<Domain> = Vec::new();
    for uri in dmarc.rua.iter().chain(&dmarc.ruf) {
        let target = uri.rsplit_once('@').and_then(|(_, domain)| domain.parse::<Domain>().ok());
        if let Some(target) = target
            && !is_within(&target, name)
            && !is_within(name, &target)
            && !domains.contains(&target)
        {
            domains.push(target);
        }
    }
    let record = |target: Domain| Record {
        elsewhere: true,
        ..ours(&format!("report/{target}"), format!("{name}._report._dmarc.{target}"), Data::Txt("v=DMARC1".to_owned()))
    };
    domains.into_iter().map(record).collect()
}

/// Whether a name is the domain or below it.
fn is_within(name: &Domain, domain: &Domain) -> bool {
    name.as_str().strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_short_and_readable() {
        let long = format!("mail.{0}.{0}.{0}.example", "x".repeat(60));
        let mut facts = Facts {
            hostname: "mail.example.com".parse().unwrap(),
            mx: vec![(10, "mail.example.com".parse().unwrap()), (20, long.parse().unwrap())],
            addresses: ["192.0.2.10", "2001:db8::10", "192.0.2.11", "::ffff:192.0.2.10"]
                .map(|it| it.parse().unwrap())
                .into(),
            egress: vec!["192.0.2.10".parse().unwrap()],
            protocols: crate::server::PORTS_STANDARD.to_vec(),
        };
        let key =
            |selector: &str| PublicKey { selector: selector.into(), algorithm: KeyAlgorithm::Rsa, text: "MIIB".into() };
        let domain = MailDomain::new("example.com", Default::default());
        let records_now = records(&domain, &facts, &[key("a"), key("b")]);
        let ids: Vec<&str> = records_now.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "mx/mail.example.com",
                &format!("mx/{long}"),
                "host/192.0.2.10",
                "host/2001:db8::10",
                "host/192.0.2.11",
                "spf",
                "spf/host",
                "dkim/a",
                "dkim/b",
                "dmarc",
                "srv/submissions",
                "srv/submission",
                "srv/pop3s",
                "srv/pop3",
            ]
        );
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        // A name of 253 octets and another one that differs at its end only.
        let longest = |end: &str| format!("{0}.{0}.{0}.{1}{end}", "x".repeat(63), "x".repeat(60));
        facts.mx = vec![(10, longest("a").parse().unwrap()), (20, longest("b").parse().unwrap())];
        let cut: Vec<String> = records(&domain, &facts, &[]).into_iter().take(2).map(|it| it.id).collect();
        assert!(cut.iter().all(|it| it.len() <= ID_OCTETS_MAX) && cut[0] != cut[1], "{cut:?}");
    }
}
