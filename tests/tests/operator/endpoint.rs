//! DNSEndpoints for external-dns: only for zones that were granted to the namespace, and only where the kind is known.

use paquebot::settings::ZoneGrant;
use paquebot_tests::cluster::wait_until;
use serde_json::{Value, json};

use super::world::{World, content, find, text};

const KIND: &str = "dnsendpoints.externaldns.k8s.io";
const DOMAIN: &str = "{dkim: {keys: [{algorithm: Ed25519}]}, dns: {dnsEndpoint: {txtFormat: Quoted}}}";

/// A definition of the kind; gone when dropped.
struct Definition<'a>(&'a World<'a>);

impl<'a> Definition<'a> {
    fn make(world: &'a World<'a>) -> Self {
        world.apply(json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {
                "name": KIND,
                "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/external-dns/pull/2007"}
            },
            "spec": {
                "group": "externaldns.k8s.io", "scope": "Namespaced",
                "names": {"plural": "dnsendpoints", "singular": "dnsendpoint", "kind": "DNSEndpoint"},
                "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "properties": {
                        "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
                    }
                }}}]
            }
        }));
        world.wait("CustomResourceDefinition", KIND, "it is served", |it| {
            (find(it, "Established")?["status"] == "True").then_some(())
        });
        Self(world)
    }
}

impl Drop for Definition<'_> {
    fn drop(&mut self) {
        self.0.delete("CustomResourceDefinition", KIND);
    }
}

fn said(world: &World<'_>, domain: &str, words: &str) {
    world.wait("MailDomain", domain, words, |it| {
        text(&find(it, "DNSVerified")?, "/message").contains(words).then_some(())
    });
}

#[test]
fn endpoints_are_written_where_the_zone_is_granted() {
    let (world, squatter) = (World::without_pods("endpoint"), World::without_pods("squatter"));
    let mut start = world.operator().watching(&[&squatter.space]);
    start.settings.defaults.egress_addresses = vec!["192.0.2.10".parse().unwrap()];
    let grant =
        |zone: &str, namespace: &str| ZoneGrant { zone: zone.parse().unwrap(), namespaces: vec![namespace.to_owned()] };
    start.settings.dns.zones = vec![grant("granted.example", &world.space.name), grant("another.example", "another")];
    let mut operator = start.run();
    operator.wait_to_lead();
    // Whoever was first elsewhere, and may not publish it, keeps nobody back.
    squatter.declare("MailDomain", "granted.example", DOMAIN);
    squatter.reason("MailDomain", "granted.example", "Accepted", "Accepted");
    for domain in ["granted.example", "sub.granted.example", "another.example", "none.example"] {
        world.declare("MailDomain", domain, DOMAIN);
        world.reason("MailDomain", domain, "Accepted", "Accepted");
    }
    said(&world, "another.example", "does not grant another.example to the namespace");
    said(&world, "none.example", "does not grant none.example to the namespace");
    said(&world, "granted.example", "install external-dns");

    // The kind comes later: nobody has to touch the domains.
    let _definition = Definition::make(&world);
    let name = |domain: &str| paquebot::names::base("MailDomain", domain);
    for domain in ["granted.example", "sub.granted.example"] {
        let endpoint = world.wait("DNSEndpoint", &name(domain), "it is written", |it| Some(it.clone()));
        let endpoints = endpoint["spec"]["endpoints"].as_array().unwrap().clone();
        let within = |it: &Value| text(it, "/dnsName").ends_with(domain);
        assert!(!endpoints.is_empty() && endpoints.iter().all(within), "{endpoints:?}");
        assert!(endpoints.iter().any(|it| it["recordType"] == "MX" && it["dnsName"] == domain), "{endpoints:?}");
        assert_eq!(endpoint["metadata"]["ownerReferences"][0]["kind"], "MailDomain");
    }
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    assert_eq!(world.list("DNSEndpoint", "").len(), 2);
    wait_until("the note is gone", || {
        let object = world.get("MailDomain", "granted.example").unwrap();
        find(&object, "DNSVerified").is_some_and(|it| !text(&it, "/message").contains("external-dns"))
    });

    // Edited and deleted by hand.
    let name = name("granted.example");
    let before = world.get("DNSEndpoint", &name).unwrap();
    world.patch("DNSEndpoint", &name, &json!({"spec": {"endpoints": []}})).unwrap();
    world.wait("DNSEndpoint", &name, "it is put right", |it| (content(it) == content(&before)).then_some(()));
    world.delete("DNSEndpoint", &name);
    world.wait("DNSEndpoint", &name, "it comes back", |it| (it["spec"] == before["spec"]).then_some(()));

    // Its server goes: the world goes on as it was told, in case it comes again.
    world.declare("MailServer", "main", "{hostname: mail.far.example}");
    world.declare("MailDomain", "far.granted.example", &DOMAIN.replacen('{', "{serverRef: {name: main}, ", 1));
    let far = paquebot::names::base("MailDomain", "far.granted.example");
    world.wait("DNSEndpoint", &far, "it is written", |_| Some(()));
    world.delete("MailServer", "main");
    world.reason("MailDomain", "far.granted.example", "Accepted", "ServerNotFound");
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    assert!(world.get("DNSEndpoint", &far).is_some());
    world.declare("MailServer", "main", "{hostname: mail.far.example}");
    world.reason("MailDomain", "far.granted.example", "Accepted", "Accepted");

    // Not asked for any more.
    world.patch("MailDomain", "granted.example", &json!({"spec": {"dns": {"dnsEndpoint": null}}})).unwrap();
    world.gone("DNSEndpoint", &name);
}
