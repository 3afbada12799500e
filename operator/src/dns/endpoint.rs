//! Records as the spec of a `DNSEndpoint` (`externaldns.k8s.io/v1alpha1`), from which external-dns publishes them.

use paquebot_mta_api::address::Domain;
use serde_json::{Value, json};

use super::{Data, Record, txt_pieces, zone::quoted};
use crate::api::domain::TxtFormat;

/// The spec: records of one name and type are one endpoint, in the records' order. What lies outside of the domain is
/// left out: nothing is published in a zone of others.
pub fn endpoint(domain: &Domain, records: &[Record], format: TxtFormat) -> Value {
    let mut endpoints: Vec<(&Record, Vec<String>)> = Vec::new();
    for record in records.iter().filter(|it| !it.elsewhere && is_within(&it.name, domain)) {
        let target = target(&record.data, format);
        let same = |it: &Record| it.name == record.name && it.data.kind() == record.data.kind();
        match endpoints.iter_mut().find(|(first, _)| same(first)) {
            Some((_, targets)) => targets.push(target),
            None => endpoints.push((record, vec![target])),
        }
    }
    let endpoints: Vec<Value> = endpoints
        .into_iter()
        .map(|(record, targets)| {
            json!({
                "dnsName": record.name,
                "recordType": record.data.kind(),
                "recordTTL": record.ttl_seconds,
                "targets": targets,
            })
        })
        .collect();
    json!({ "endpoints": endpoints })
}

fn is_within(name: &str, domain: &Domain) -> bool {
    name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn target(data: &Data, format: TxtFormat) -> String {
    match (data, format) {
        (Data::Txt(text), TxtFormat::Quoted) => txt_pieces(text).into_iter().map(quoted).collect::<Vec<_>>().join(" "),
        // Its schema wants the last dot here, and only here.
        (Data::Srv { .. }, _) => format!("{}.", data.plain()),
        _ => data.plain(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, data: Data) -> Record {
        Record { id: "x".into(), name: name.into(), ttl_seconds: 3600, data, elsewhere: false }
    }

    fn spec(format: TxtFormat) -> String {
        let host: Domain = "mail.example.com".parse().unwrap();
        let foreign = Record {
            elsewhere: true,
            ..record("example.com._report._dmarc.example.net", Data::Txt("v=DMARC1".into()))
        };
        let records = [
            record("example.com", Data::Mx { preference: 10, host: host.clone() }),
            record("mail.example.com", Data::A("192.0.2.10".parse().unwrap())),
            record("mail.example.com", Data::A("192.0.2.11".parse().unwrap())),
            record("mail.example.com", Data::Aaaa("2001:db8::10".parse().unwrap())),
            record("example.com", Data::Txt("v=spf1 ip4:192.0.2.10 -all".into())),
            record("a._domainkey.example.com", Data::Txt(format!("v=DKIM1; p={}", "A".repeat(300)))),
            record("q.example.com", Data::Txt("a\"b\\c".into())),
            record("_submissions._tcp.example.com", Data::Srv { priority: 0, weight: 1, port: 465, target: host }),
            foreign,
            record("notexample.com", Data::Txt("of others".into())),
        ];
        serde_yaml::to_string(&endpoint(&"example.com".parse().unwrap(), &records, format)).unwrap()
    }

    #[test]
    fn quoted_texts() {
        insta::assert_snapshot!(spec(TxtFormat::Quoted));
    }

    #[test]
    fn plain_texts() {
        insta::assert_snapshot!(spec(TxtFormat::Plain));
    }
}
