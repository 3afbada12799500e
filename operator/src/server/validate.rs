//! What must hold of a MailServer: the schema's CEL rules once more, and what CEL cannot say.

use std::{collections::BTreeMap, net::IpAddr};

use paquebot_mta_api::address::Domain;

use crate::{api::MailServer, load::schema::Finding};

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
    findings
}

/// What an edit may not do: the schema's transition rules once more.
pub fn change(old: &MailServer, new: &MailServer) -> Vec<Finding> {
    if old.spec.store.postgres.is_some() == new.spec.store.postgres.is_some() {
        return Vec::new();
    }
    let message = "the kind of store cannot be changed, because the mail is in it: make another MailServer and move the mailboxes";
    vec![("spec.store".to_owned(), message.to_owned())]
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
        server::{AllowedDomains, NamespaceSelector, Postgres, Store},
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
