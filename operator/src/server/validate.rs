//! What must hold of a MailServer: the schema's CEL rules once more, and what CEL cannot say.

use std::{collections::BTreeMap, net::IpAddr};

use paquebot_mta_api::address::Domain;

use super::build::placement;
use crate::{api::MailServer, load::schema::Finding};

/// The sizes of volumes that may be asked for: more than one message, and a number that can be counted.
const VOLUME_OCTETS: std::ops::RangeInclusive<u64> = 1 << 20..=7 << 60;
/// The sizes of messages that may be set. Below, not even a long header fits; above, one message fills a store.
const MESSAGE_OCTETS: std::ops::RangeInclusive<u64> = 64 * 1024..=1024 * 1024 * 1024;
/// A pod that takes longer to end keeps its node from being emptied.
const DRAIN_SECONDS_MAX: u64 = 600;

/// What is wrong with it by itself.
pub fn validate(server: &MailServer) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report = |path: String, message: String| findings.push((path, message));
    let spec = &server.spec;
    if let Some(name) = &spec.hostname
        && !name.parse::<Domain>().is_ok_and(|domain| domain.as_str() == name)
    {
        report("spec.hostname".into(), format!("{name:?} is not a host name: write it as mail.example.com"));
    }
    if spec.store.sqlite.is_some() == spec.store.postgres.is_some() {
        report("spec.store".into(), "a store is either sqlite or postgres: set exactly one of them".into());
    }
    if let Some(size) = spec.store.sqlite.as_ref().map(|it| &it.volume.size)
        && !size.octets().is_some_and(|octets| VOLUME_OCTETS.contains(&octets))
    {
        report("spec.store.sqlite.volume.size".into(), format!("{size} is too small or too large: write 1Mi to 7Ei"));
    }
    if spec.store.sqlite.is_some() && spec.replicas > 1 {
        report(
            "spec.replicas".into(),
            "SQLite serves one replica: set replicas to 1, or use store.postgres to have more".into(),
        );
    }
    if let Some(tls) = &spec.tls {
        let sources = [tls.secret_ref.is_some(), tls.issuer_ref.is_some(), tls.self_signed.is_some()];
        if sources.iter().filter(|it| **it).count() != 1 {
            report(
                "spec.tls".into(),
                "a certificate comes from one place: set exactly one of secretRef, issuerRef, selfSigned".into(),
            );
        }
    }
    for (index, text) in spec.egress.iter().flat_map(|it| &it.public_addresses).enumerate() {
        if !text.parse::<IpAddr>().is_ok_and(|it| !it.is_unspecified() && !it.is_multicast()) {
            report(
                format!("spec.egress.publicAddresses[{index}]"),
                format!("{text:?} is not an address from which mail can leave: write it as 192.0.2.10"),
            );
        }
    }
    let networks = spec.service.iter().filter_map(|it| it.proxy_protocol.as_ref()).flat_map(|it| &it.trusted_cidrs);
    for (index, text) in networks.enumerate() {
        let path = format!("spec.service.proxyProtocol.trustedCIDRs[{index}]");
        match network_bits(text) {
            None => report(path, format!("{text:?} is not a network: write it as 198.51.100.0/24")),
            Some(0) => {
                report(path, format!("{text:?} trusts the whole Internet: write the load balancers' own networks"))
            }
            Some(_) => {}
        }
    }
    let ranges = spec.service.iter().flat_map(|it| &it.load_balancer_source_ranges);
    for (index, text) in ranges.enumerate().filter(|(_, text)| network_bits(text).is_none()) {
        report(
            format!("spec.service.loadBalancerSourceRanges[{index}]"),
            format!("{text:?} is not a network: write it as 198.51.100.0/24"),
        );
    }
    if let Some(limits) = &spec.limits {
        let size = limits.message_size.as_ref().map(|size| (size, size.octets().unwrap_or(0)));
        if let Some((size, _)) = size.filter(|(_, octets)| !MESSAGE_OCTETS.contains(octets)) {
            let message = format!("{size} is no size for messages: write 64Ki to 1Gi");
            report("spec.limits.messageSize".into(), message);
        }
        let drain = limits.drain.as_ref().filter(|it| it.value().is_none_or(|it| it.as_secs() > DRAIN_SECONDS_MAX));
        if let Some(drain) = drain {
            report("spec.limits.drain".into(), format!("{} is too long: write 10m or less", drain.0));
        }
    }
    findings.extend(spec.pod.iter().flat_map(placement::validate));
    findings
}

/// What an edit may not do: the schema's transition rules once more.
pub fn change(old: &MailServer, new: &MailServer) -> Vec<Finding> {
    let mut findings = Vec::new();
    if old.spec.store.postgres.is_some() != new.spec.store.postgres.is_some() {
        let message = "the kind of store cannot be changed, because the mail is in it: make another MailServer and move the mailboxes";
        findings.push(("spec.store".to_owned(), message.to_owned()));
    }
    let volume = |server: &MailServer| server.spec.store.sqlite.as_ref().map(|it| it.volume.clone());
    if let (Some(old), Some(new)) = (volume(old), volume(new)) {
        if old.size.octets() > new.size.octets() {
            let message = "a volume cannot shrink, because the mail lies on it: write the old size or a larger one";
            findings.push(("spec.store.sqlite.volume.size".to_owned(), message.to_owned()));
        }
        if old.storage_class_name != new.storage_class_name {
            let message = "storageClassName cannot be changed, because the mail lies on its volume: make another MailServer and move the mailboxes";
            findings.push(("spec.store.sqlite.volume".to_owned(), message.to_owned()));
        }
    }
    findings
}

fn network_bits(text: &str) -> Option<u8> {
    let (address, bits) = text.split_once('/')?;
    let most = if address.parse::<IpAddr>().ok()?.is_ipv4() { 32 } else { 128 };
    bits.parse().ok().filter(|bits| *bits <= most)
}

/// Whether the server admits a domain of a namespace with these labels; `None` where the labels are not
/// known: then each label that a selector asks for counts as met.
pub fn admits(
    server: &MailServer,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
    domain: &Domain,
) -> bool {
    let own = server.metadata.namespace.as_deref() == Some(namespace);
    // Entries with a selector let others in; only one without says anything of the server's own namespace.
    if own && server.spec.allowed_domains.iter().all(|allowed| allowed.namespace_selector.is_some()) {
        return true;
    }
    server.spec.allowed_domains.iter().any(|allowed| {
        let here = match (&allowed.namespace_selector, labels) {
            (None, _) => own,
            (Some(selector), Some(labels)) => {
                selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            }
            (Some(_), None) => true,
        };
        here && allowed.domains.iter().any(|pattern| matches(pattern, domain.as_str()))
    })
}

/// `example.com` is itself, `*.example.com` all below it, `*` any.
fn matches(pattern: &str, domain: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some("") => true,
        Some(below) => domain.ends_with(below) && domain.len() > below.len(),
        None => pattern == domain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        MailServerSpec,
        server::{AllowedDomains, NamespaceSelector, Postgres, Sqlite, Store, Volume},
        units::Quantity,
    };

    #[test]
    fn a_store_keeps_its_kind() {
        let old = MailServer::new("main", MailServerSpec::default());
        let mut new = old.clone();
        assert_eq!(change(&old, &new), []);
        let url_secret_ref = crate::api::refs::SecretKeyRef { name: "db".into(), key: "url".into() };
        new.spec.store = Store { sqlite: None, postgres: Some(Postgres { url_secret_ref }) };
        assert!(change(&old, &new)[0].1.contains("cannot be changed"));
    }

    #[test]
    fn a_volume_keeps_its_class_and_does_not_shrink() {
        let old = MailServer::new("main", MailServerSpec::default());
        let with = |size: &str, class: Option<&str>| {
            let mut new = old.clone();
            let volume = Volume { size: Quantity(size.into()), storage_class_name: class.map(str::to_owned) };
            new.spec.store.sqlite = Some(Sqlite { volume });
            change(&old, &new).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(with("20Gi", None), Vec::<String>::new());
        assert_eq!(with("10240Mi", None), Vec::<String>::new());
        assert_eq!(with("9Gi", None), ["spec.store.sqlite.volume.size"]);
        assert_eq!(with("10Gi", Some("fast")), ["spec.store.sqlite.volume"]);
    }

    #[test]
    fn settings_of_pods_are_read() {
        for (pod, field) in [
            (
                "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}}",
                None,
            ),
            ("{affinity: {nodeAffinty: {}}}", Some("spec.pod.affinity")),
            (
                "{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: 1}}}",
                Some("spec.pod.affinity"),
            ),
            (
                "{tolerations: [{key: a, operator: Exists}, {key: a, efect: NoSchedule}]}",
                Some("spec.pod.tolerations[1]"),
            ),
            ("{topologySpreadConstraints: [{maxSkew: 1}]}", None),
            ("{topologySpreadConstraints: [{maxSkew: one}]}", Some("spec.pod.topologySpreadConstraints[0]")),
        ] {
            let mut server = MailServer::new("main", MailServerSpec::default());
            server.spec.pod = Some(serde_yaml::from_str(pod).unwrap());
            let found: Vec<String> = validate(&server).into_iter().map(|(field, _)| field).collect();
            assert_eq!(found, field.into_iter().collect::<Vec<_>>(), "{pod}");
        }
    }

    #[test]
    fn admission() {
        let mut server = MailServer::new("main", MailServerSpec::default());
        server.metadata.namespace = Some("mail".into());
        let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
        let domain = |text: &str| text.parse::<Domain>().unwrap();
        assert!(admits(&server, "mail", None, &domain("example.com")));
        assert!(!admits(&server, "shop", Some(&labels), &domain("example.com")));
        let namespace_selector = Some(NamespaceSelector { match_labels: labels.clone() });
        server.spec.allowed_domains =
            vec![AllowedDomains { namespace_selector, domains: vec!["*.shop.example.com".into()] }];
        for (namespace, labels, name, admitted) in [
            ("shop", Some(&labels), "a.shop.example.com", true),
            ("shop", Some(&labels), "shop.example.com", false),
            ("shop", Some(&labels), "ashop.example.com", false),
            ("shop", Some(&labels), "evil.example", false),
            ("other", Some(&BTreeMap::new()), "a.shop.example.com", false),
            ("shop", None, "a.shop.example.com", true),
            ("mail", None, "example.com", true),
        ] {
            assert_eq!(admits(&server, namespace, labels, &domain(name)), admitted, "{namespace} {name}");
        }
        server
            .spec
            .allowed_domains
            .push(AllowedDomains { namespace_selector: None, domains: vec!["example.org".into()] });
        assert!(admits(&server, "mail", None, &domain("example.org")));
        assert!(!admits(&server, "mail", None, &domain("example.com")));
    }
}
