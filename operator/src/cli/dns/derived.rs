//! The records of a domain whose operator writes no zone ConfigMap: from its DNSEndpoint, else worked out anew from what
//! the user may read. Which records there are, the domain's status says; what cannot be known is named, never guessed.

use std::net::IpAddr;

use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::Value;

use super::super::cluster::Cluster;
use crate::{
    api::{
        MailDomain, MailServer,
        domain::{KeyState, KeyStatus, RecordStatus},
    },
    controllers::{apply::within, world::DNS_ENDPOINT},
    dns::{Data, Record},
    domain::{self, PublicKey, claims::server_of, dkim},
    names::base,
    server::{self, Facts},
};

/// Seconds that resolvers may keep a record, where nothing says otherwise.
const TTL_SECONDS: u32 = 3600;

/// What is known.
pub struct Derived {
    /// The records.
    pub records: Vec<Record>,
    /// Those that cannot be shown, by type and id.
    pub unknown: Vec<String>,
}

/// What is known of a domain's records, and which are not.
pub async fn derived(cluster: &Cluster, domain: &MailDomain) -> Derived {
    let statuses = domain.status.as_ref().map(|it| it.records.as_slice()).unwrap_or_default();
    let mut known = match domain.spec.dns.dns_endpoint.is_some() {
        true => of_endpoint(cluster, domain).await,
        false => Vec::new(),
    };
    if known.is_empty() {
        let (namespace, name) = server_of(domain);
        // Where it may not be read, what follows from the domain alone is left.
        let server = cluster.get::<MailServer>(&namespace, &name).await.ok().flatten();
        known = worked_out(domain, server.as_ref(), statuses);
    } else {
        // It has no records of others' zones, and an id of its own for each.
        return Derived { records: known, unknown: Vec::new() };
    }
    let unknown = statuses.iter().filter(|it| !known.iter().any(|record| record.id == it.id));
    let unknown = unknown.map(|it| format!("{} {}", it.kind, it.id)).collect();
    Derived { records: known, unknown }
}

async fn of_endpoint(cluster: &Cluster, domain: &MailDomain) -> Vec<Record> {
    let (group, version, kind, _) = DNS_ENDPOINT;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let namespace = domain.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), &namespace, &resource);
    let name = base("MailDomain", &domain.name_any());
    let found = within(String::new(), api.get_opt(&name)).await.ok().flatten();
    found.map(|it| of_endpoint_spec(it.data.get("spec").unwrap_or(&Value::Null))).unwrap_or_default()
}

/// The records of a DNSEndpoint, which the operator wrote.
fn of_endpoint_spec(spec: &Value) -> Vec<Record> {
    let endpoints = spec.get("endpoints").and_then(Value::as_array);
    let mut records = Vec::new();
    for endpoint in endpoints.into_iter().flatten() {
        let text = |field: &str| endpoint.get(field).and_then(Value::as_str).unwrap_or_default();
        let (name, kind) = (text("dnsName"), text("recordType"));
        let ttl = endpoint.get("recordTTL").and_then(Value::as_u64).and_then(|it| it.try_into().ok());
        let targets = endpoint.get("targets").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for (number, target) in targets.enumerate() {
            let Some(data) = data(kind, target) else { continue };
            let id = format!("{kind}/{name}/{number}");
            let ttl_seconds = ttl.unwrap_or(TTL_SECONDS);
            records.push(Record { id, name: name.to_owned(), ttl_seconds, data, elsewhere: false });
        }
    }
    records
}

/// A target as it is written there.
fn data(kind: &str, target: &str) -> Option<Data> {
    let words: Vec<&str> = target.split(' ').collect();
    let host = |text: &str| text.trim_end_matches('.').parse().ok();
    Some(match (kind, words.as_slice()) {
        ("A", _) => Data::A(target.parse().ok()?),
        ("AAAA", _) => Data::Aaaa(target.parse().ok()?),
        ("MX", [preference, name]) => Data::Mx { preference: preference.parse().ok()?, host: host(name)? },
        ("SRV", [priority, weight, port, name]) => Data::Srv {
            priority: priority.parse().ok()?,
            weight: weight.parse().ok()?,
            port: port.parse().ok()?,
            target: host(name)?,
        },
        ("TXT", _) => Data::Txt(unquoted(target)),
        _ => return None,
    })
}

/// A text in one piece: strings lose their quotes (RFC 1035 §5.1), plain text stays as it is.
fn unquoted(target: &str) -> String {
    if !target.starts_with('"') {
        return target.to_owned();
    }
    let (mut text, mut inside, mut chars) = (String::new(), false, target.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => inside = !inside,
            '\\' => text.extend(chars.next()),
            c if inside => text.push(c),
            _ => {}
        }
    }
    text
}

/// The public keys that are published, as the status has them: their Secrets hold the private ones, and are not read.
fn public_keys(domain: &MailDomain) -> Vec<PublicKey> {
    let all = domain.status.iter().flat_map(|it| &it.keys);
    let key = |it: &KeyStatus| match it.state {
        KeyState::Published | KeyState::Active | KeyState::Retiring => Some(PublicKey {
            selector: it.selector.clone(),
            algorithm: it.algorithm.into(),
            text: it.public_key.clone()?,
        }),
        KeyState::Generated | KeyState::Revoked => None,
    };
    all.filter_map(key).collect()
}

/// The records that follow, in the status' order, each that it names and no other.
fn worked_out(domain: &MailDomain, server: Option<&MailServer>, statuses: &[RecordStatus]) -> Vec<Record> {
    let facts = server.and_then(|it| facts(domain, it));
    let sends_from = facts.as_ref().is_some_and(|it| !it.egress.is_empty());
    let keys = public_keys(domain);
    let mut known = match (facts, domain::name(domain)) {
        (Some(it), _) => domain::records(domain, &it, &keys),
        (None, Some(name)) => keys.iter().map(|it| dkim(&name, it)).collect(),
        (None, None) => Vec::new(),
    };
    // The addresses may stand in the operator's settings: half an SPF record is worse than none.
    known.retain(|it| sends_from || !it.id.starts_with("spf"));
    let name = domain.name_any();
    let text = |id: &str, name: String, text: &str| Record {
        id: id.to_owned(),
        name,
        ttl_seconds: TTL_SECONDS,
        data: Data::Txt(text.to_owned()),
        elsewhere: false,
    };
    let one = |status: &RecordStatus| {
        let found = known.iter().find(|it| it.id == status.id).cloned();
        let selector = status.id.strip_prefix("dkim/");
        let key = || {
            let value = status.value.as_ref()?;
            Some(text(&status.id, format!("{}._domainkey.{name}", selector?), value))
        };
        let spf = || Some(text("spf", name.clone(), status.value.as_ref().filter(|_| status.id == "spf")?));
        found.or_else(key).or_else(spf)
    };
    statuses.iter().filter_map(one).collect()
}

/// What the world sees of the server, as its status says; from where its mail leaves, as its spec says.
fn facts(domain: &MailDomain, server: &MailServer) -> Option<Facts> {
    let status = server.status.as_ref()?;
    let facts = server::facts(server, &domain::name(domain)?)?;
    let hostname: paquebot_mta_api::address::Domain = status.hostname.as_ref()?.parse().ok()?;
    let mx = facts.mx.iter().map(|(preference, _)| (*preference, hostname.clone())).collect();
    let addresses: Vec<IpAddr> = status.addresses.iter().filter_map(|it| it.parse().ok()).collect();
    Some(Facts { hostname, mx, addresses, ..facts })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{api::domain::TxtFormat, dns};

    fn domain(ids: &[(&str, Option<&str>)]) -> MailDomain {
        let status =
            |(id, value): &(&str, Option<&str>)| json!({"id": id, "type": "TXT", "state": "Missing", "value": value});
        serde_json::from_value(json!({
            "apiVersion": "paquebot.dev/v1alpha1", "kind": "MailDomain",
            "metadata": {"name": "example.com", "namespace": "mail"}, "spec": {},
            "status": {"records": ids.iter().map(status).collect::<Vec<_>>()},
        }))
        .unwrap()
    }

    fn server(egress: &[&str]) -> MailServer {
        serde_json::from_value(json!({
            "apiVersion": "paquebot.dev/v1alpha1", "kind": "MailServer",
            "metadata": {"name": "default", "namespace": "mail"}, "spec": {"egress": {"publicAddresses": egress}},
            "status": {"hostname": "mail.example.com", "addresses": ["198.51.100.1"]},
        }))
        .unwrap()
    }

    fn shown(domain: &MailDomain, server: Option<&MailServer>) -> Vec<String> {
        let statuses = &domain.status.as_ref().unwrap().records;
        worked_out(domain, server, statuses).iter().map(|it| format!("{} {}", it.name, it.data.plain())).collect()
    }

    #[test]
    fn what_can_be_known_is_worked_out_and_nothing_is_guessed() {
        let ids = [
            ("mx/mail.example.com", None),
            ("host/198.51.100.1", None),
            ("spf", None),
            ("dkim/a", None),
            ("dkim/b", None),
        ];
        let server = server(&["192.0.2.10"]);
        let mut all = domain(&ids);
        let keys = |state: &str| {
            serde_json::from_value(json!([
                {"selector": "a", "algorithm": "RSA", "state": state, "publicKey": "x", "secretName": "never-read"},
                {"selector": "b", "algorithm": "Ed25519", "state": "Active"},
            ]))
            .unwrap()
        };
        let mx_and_host = ["example.com 10 mail.example.com", "mail.example.com 198.51.100.1"];
        let spf = "example.com v=spf1 ip4:192.0.2.10 -all";
        let key = "a._domainkey.example.com v=DKIM1; k=rsa; h=sha256; p=x";
        for state in ["Published", "Active", "Retiring"] {
            all.status.as_mut().unwrap().keys = keys(state);
            assert_eq!(shown(&all, Some(&server)), [&mx_and_host[..], &[spf, key]].concat());
            assert_eq!(shown(&all, None), [key], "the server may not be read");
        }
        all.status.as_mut().unwrap().keys = keys("Generated");
        let unknown = self::server(&[]);
        assert_eq!(shown(&all, Some(&unknown)), mx_and_host);
        assert_eq!(shown(&all, None), Vec::<String>::new());
        // The status has the values of some that fail.
        let failing = domain(&[("spf", Some("v=spf1 -all")), ("dkim/a", Some("v=DKIM1; k=rsa; h=sha256; p=x"))]);
        assert_eq!(shown(&failing, None), ["example.com v=spf1 -all", key]);
    }

    #[test]
    fn a_dnsendpoint_is_read_back_as_it_was_written() {
        let host: paquebot_mta_api::address::Domain = "mail.example.com".parse().unwrap();
        let record = |name: &str, data: Data| Record {
            id: "x".into(),
            name: name.into(),
            ttl_seconds: 60,
            data,
            elsewhere: false,
        };
        let records = [
            record("example.com", Data::Mx { preference: 10, host: host.clone() }),
            record("mail.example.com", Data::A("192.0.2.10".parse().unwrap())),
            record("mail.example.com", Data::A("192.0.2.11".parse().unwrap())),
            record("mail.example.com", Data::Aaaa("2001:db8::10".parse().unwrap())),
            record("a._domainkey.example.com", Data::Txt(format!("v=DKIM1; p={}", "A".repeat(300)))),
            record("q.example.com", Data::Txt("a\"b\\c d".into())),
            record("_pop3s._tcp.example.com", Data::Srv { priority: 0, weight: 1, port: 995, target: host }),
        ];
        for format in [TxtFormat::Quoted, TxtFormat::Plain] {
            let spec = dns::endpoint(&"example.com".parse().unwrap(), &records, format);
            let read: Vec<Record> =
                of_endpoint_spec(&spec).into_iter().map(|it| Record { id: "x".into(), ..it }).collect();
            assert_eq!(read, records);
        }
        for strange in
            [json!(null), json!({"endpoints": 1}), json!({"endpoints": [{"recordType": "MX", "targets": ["x"]}]})]
        {
            assert_eq!(of_endpoint_spec(&strange), []);
        }
    }
}
