//! Records that nobody publishes by hand: a MailDomain becomes a DNSEndpoint, external-dns carries it to the name
//! servers, and the operator finds it there. What external-dns then makes of changes depends on its provider.

use std::{net::IpAddr, path::Path};

use paquebot::settings::ZoneGrant;
use paquebot_tests::{
    addons::external_dns,
    cluster::{Cluster, Namespace, Process, wait_until},
    operator::{NEXT_LOOK, Operator, Start},
};

use crate::servers::{
    BIND, BIND_ZONE, POWER, POWER_API, POWER_KEY, POWER_ZONE, answers, bind, names, power, remove, said,
};

/// From where mail leaves, as the platform team says it.
const EGRESS: &str = "192.0.2.10";
/// The same after a change.
const OTHER_EGRESS: &str = "192.0.2.20";

#[test]
fn power_dns_follows_to_the_end() {
    let cluster = Cluster::own();
    let _stopped = cluster.stop(&["ns3"]);
    let folder = tempfile::tempdir().unwrap();
    let _power = power(&cluster, folder.path());
    let (api, key) = (format!("--pdns-server={POWER_API}"), format!("--pdns-api-key={POWER_KEY}"));
    let _external_dns = publisher(&cluster, POWER_ZONE, &["--provider=pdns", &api, &key], folder.path());
    let mail = cluster.namespace("power", true);
    let _operator = operator(&mail, POWER_ZONE);
    let empty = names(&cluster, POWER, POWER_ZONE);
    declare(&mail, POWER_ZONE);
    mail.wait_within(&format!("maildomain/{POWER_ZONE}"), "condition=Ready", NEXT_LOOK);
    is_published(&cluster, POWER, POWER_ZONE);

    // Mail leaves from elsewhere: the one SPF record is another.
    let spf = |address: &str| vec![format!("\"v=spf1 ip4:{address} -all\"")];
    assert_eq!(answers(&cluster, POWER, POWER_ZONE, "TXT"), spf(EGRESS));
    leaves_from(&mail, OTHER_EGRESS);
    wait_until("the other SPF record", || answers(&cluster, POWER, POWER_ZONE, "TXT") == spf(OTHER_EGRESS));
    mail.wait_within(&format!("maildomain/{POWER_ZONE}"), "condition=Ready", NEXT_LOOK);

    // The domain goes, and all of its records with it.
    mail.must(&["delete", "maildomain", POWER_ZONE], "");
    wait_until("nothing is left", || names(&cluster, POWER, POWER_ZONE) == empty);
}

/// external-dns' provider rfc2136 does not see MX and SRV records, and cannot take a TXT record away: its removal has
/// no quotes. So what was published stays, and the status says what a person has to do.
#[test]
fn bind_is_published_to_and_what_stays_there_is_said() {
    let cluster = Cluster::own();
    let _stopped = cluster.stop(&["ns2"]);
    let folder = tempfile::tempdir().unwrap();
    let _bind = bind(&cluster, folder.path());
    let (host, zone) = (format!("--rfc2136-host={BIND}"), format!("--rfc2136-zone={BIND_ZONE}"));
    let flags = ["--provider=rfc2136", &host, &zone, "--rfc2136-port=53", "--rfc2136-insecure", "--rfc2136-axfr"];
    let _external_dns = publisher(&cluster, BIND_ZONE, &flags, folder.path());
    let mail = cluster.namespace("bind", true);
    let _operator = operator(&mail, BIND_ZONE);
    declare(&mail, BIND_ZONE);
    let object = format!("maildomain/{BIND_ZONE}");
    mail.wait_within(&object, "condition=Ready", NEXT_LOOK);
    is_published(&cluster, BIND, BIND_ZONE);

    // Two SPF records are none (RFC 7208 4.5).
    leaves_from(&mail, OTHER_EGRESS);
    said(&mail, &object, "DNSVerified", &["2 SPF records", "Leave only", OTHER_EGRESS]);
    for name in [BIND_ZONE.to_owned(), format!("mail.{BIND_ZONE}")] {
        assert_eq!(answers(&cluster, BIND, &name, "TXT").len(), 2);
        remove(&cluster, BIND, BIND_ZONE, &name, "TXT", &format!("\"v=spf1 ip4:{EGRESS} -all\""));
    }
    mail.wait_within(&object, "condition=Ready", NEXT_LOOK);
}

fn operator<'a>(home: &'a Namespace<'a>, zone: &str) -> Operator<'a> {
    let mut start = Start::at(home, home.cluster.image());
    start.settings.dns.zones = vec![ZoneGrant { zone: zone.parse().unwrap(), namespaces: vec![home.name.clone()] }];
    let mut operator = start.run();
    operator.wait_to_lead();
    operator
}

/// external-dns for one zone, as our documentation tells people to start it.
fn publisher(cluster: &Cluster, zone: &str, provider: &[&str], folder: &Path) -> Process {
    let filter = format!("--domain-filter={zone}");
    let types = ["A", "AAAA", "MX", "TXT", "SRV"].map(|it| format!("--managed-record-types={it}"));
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let owner = ["--registry=txt", "--txt-owner-id=tests", "--txt-prefix=owner.%{record_type}."];
    external_dns(cluster, &[&owner[..], &[&filter], &types, provider].concat(), &folder.join("external-dns.log"))
}

fn declare(namespace: &Namespace<'_>, domain: &str) {
    leaves_from(namespace, EGRESS);
    namespace.apply(&format!(
        "{{apiVersion: paquebot.dev/v1alpha1, kind: MailDomain, metadata: {{name: {domain}}}, \
         spec: {{dns: {{dnsEndpoint: {{}}}}}}}}"
    ));
}

fn leaves_from(namespace: &Namespace<'_>, address: &str) {
    let address: IpAddr = address.parse().unwrap();
    namespace.apply(&format!(
        "{{apiVersion: paquebot.dev/v1alpha1, kind: MailServer, metadata: {{name: default}}, \
         spec: {{egress: {{publicAddresses: [{address}]}}}}}}"
    ));
}

/// One look of our own at what the operator calls Ready: the types that external-dns is seldom used for.
fn is_published(cluster: &Cluster, server: &str, zone: &str) {
    let host = format!("mail.{zone}.");
    assert_eq!(answers(cluster, server, zone, "MX"), [format!("10 {host}")]);
    assert_eq!(answers(cluster, server, &format!("_submissions._tcp.{zone}"), "SRV"), [format!("0 1 465 {host}")]);
    let below: Vec<String> =
        names(cluster, server, zone).into_iter().filter(|it| it.contains("-rsa._domainkey")).collect();
    let key = below.iter().find(|it| !it.starts_with("owner.")).unwrap();
    let text = answers(cluster, server, key, "TXT").concat();
    // More than one character-string holds.
    assert!(text.len() > 400 && text.matches("\" \"").count() == 1 && text.starts_with("\"v=DKIM1;"), "{text}");
}
