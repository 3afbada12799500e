//! One of three name servers answers something wrong: the condition names what and where, and holds once it is mended.

use paquebot_tests::{
    cluster::{Cluster, NAME_SERVERS},
    operator::{NEXT_LOOK, Start},
};

use crate::world::{server_address, wait_message, zone};

/// From where mail leaves, as SPF says it.
const SENDS_FROM: &str = "192.0.2.10";

/// A domain for each fault: what becomes of its zone at the second server, and the words that name it.
type Fault = (&'static str, fn(&str) -> String, &'static [&'static str]);

const FAULTS: [Fault; 4] = [
    ("nokey.example", |zone| without(zone, "k=ed25519"), &["_domainkey.nokey.example", "missing"]),
    ("twospf.example", |zone| format!("{zone}twospf.example. 1 IN TXT \"v=spf1 +all\"\n"), &["SPF"]),
    (
        "othermx.example",
        |zone| format!("{}othermx.example. 1 IN MX 10 mx.elsewhere.example.\n", without(zone, " MX ")),
        &["MX at othermx.example", "mx.elsewhere.example"],
    ),
    (
        "otherkey.example",
        |zone| {
            let line = zone.lines().find(|line| line.contains("k=ed25519")).unwrap();
            let name = line.split_whitespace().next().unwrap();
            let key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
            format!("{}{name} 1 IN TXT \"{key}\"\n", without(zone, "k=ed25519"))
        },
        &["_domainkey.otherkey.example", "another key"],
    ),
];

fn without(zone: &str, what: &str) -> String {
    zone.lines().filter(|line| !line.contains(what)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn wrong_records_at_one_name_server_are_named_and_mended() {
    let cluster = Cluster::shared();
    let mail = cluster.namespace("dns", true);
    let mut start = Start::at(&mail, cluster.image());
    // Without an address from which mail leaves there is no SPF record to be wrong.
    start.settings.defaults.egress_addresses = vec![SENDS_FROM.parse().unwrap()];
    let mut operator = start.run();
    operator.wait_to_lead();
    for (domain, ..) in FAULTS {
        mail.apply(&format!("{{apiVersion: paquebot.dev/v1alpha1, kind: MailDomain, metadata: {{name: {domain}}}}}"));
    }
    server_address(&mail);
    let zones = FAULTS.map(|(domain, ..)| zone(&mail, domain));
    for ((domain, wrong, _), right) in FAULTS.iter().zip(&zones) {
        let broken = wrong(right);
        assert_ne!(broken, *right, "{domain}");
        // The wrong one first: no look may find all as it should be.
        cluster.publish_at(2, domain, &broken);
        cluster.publish_at(1, domain, right);
        cluster.publish_at(3, domain, right);
    }
    for (domain, _, words) in FAULTS {
        let object = format!("maildomain/{domain}");
        let words = [words, &[NAME_SERVERS[1]]].concat();
        println!("{domain}: {}", wait_message(&mail, &object, "DNSVerified", &words));
        let state = "{.status.conditions[?(@.type==\"Ready\")].status}";
        assert_eq!(mail.field(&object, state).as_deref(), Some("False"));
    }
    for ((domain, ..), right) in FAULTS.iter().zip(&zones) {
        cluster.publish_at(2, domain, right);
    }
    for (domain, ..) in FAULTS {
        mail.wait_within(&format!("maildomain/{domain}"), "condition=DNSVerified", NEXT_LOOK);
        mail.wait_within(&format!("maildomain/{domain}"), "condition=Ready", NEXT_LOOK);
    }
}
