//! What must be admitted: the smallest objects, the fullest, the examples; and what is stored is what our types read.

use std::path::Path;

use paquebot::{
    api::{MailDomain, MailDomainSpec, MailServer, MailServerSpec, Mailbox},
    load::load_text,
};
use serde_json::{Value, json};

use super::{specs::object, world::World};

/// Specs with everything in them, and some at the edge of what is allowed.
const GOOD: &[(&str, &str, &str)] = &[
    ("MailDomain", "a.example", "{}"),
    ("MailDomain", "xn--bcher-kva.example", "{spf: {}, dmarc: {}, dns: {}, dkim: {}, serverRef: {}}"),
    (
        "MailDomain",
        "b.example",
        "{serverRef: {name: main, namespace: mail}, dkim: {keys: [{algorithm: RSA, bits: 4096}, {algorithm: Ed25519}], rotationPeriod: 24h, imported: [{selector: s1, secretRef: {name: old, key: tls.key}}]}, spf: {ip4: [192.0.2.0/24, 192.0.2.1], ip6: ['2001:db8::/32', '::1'], include: [_spf.google.com], all: SoftFail}, dmarc: {policy: Quarantine, subdomainPolicy: Reject, rua: ['mailto:d@b.example'], ruf: ['mailto:f@c.example'], fo: 'd:s'}, dns: {zoneFile: {}, dnsEndpoint: {txtFormat: Plain}, verification: {mode: Disabled, resolvers: [192.0.2.53, '2001:db8::53', '192.0.2.53:5353', '[2001:db8::53]:5353']}}, aliases: [{name: info, to: [alice@b.example, x@example.net]}], catchAll: info@b.example, senders: [{serviceAccount: {namespace: shop, name: web}, from: [orders@B.example]}], deletionPolicy: Delete}",
    ),
    ("MailDomain", "c.example", "{dkim: {keys: []}}"),
    (
        "MailDomain",
        "d.example",
        "{spf: {include: [a.net, b.net, c.net, d.net, e.net, f.net, g.net, h.net, i.net, j.net]}}",
    ),
    ("MailServer", "small", "{}"),
    ("MailServer", "numbers", "{store: {sqlite: {volume: {size: 10737418240}}}}"),
    (
        "MailServer",
        "full",
        "{hostname: mail.example.com, replicas: 3, store: {postgres: {urlSecretRef: {name: mail-db, key: url}}}, tls: {issuerRef: {name: le, kind: ClusterIssuer}}, service: {type: NodePort, proxyProtocol: {trustedCIDRs: [198.51.100.0/24, '2001:db8::/32']}, annotations: {a: b}}, egress: {publicAddresses: [192.0.2.10, '2001:db8::10']}, allowedDomains: [{namespaceSelector: {matchLabels: {team: shop}}, domains: ['*.shop.example.com', example.com, '*']}]}",
    ),
    ("MailServer", "off", "{replicas: 0, tls: {selfSigned: {}}}"),
    ("Mailbox", "alice", "{address: alice@example.com}"),
    (
        "Mailbox",
        "bob",
        "{address: 'Bob.Müller@example.com', quota: 1.5Gi, passwordSecretRef: {name: bob, key: password}}",
    ),
    ("Mailbox", "carol", "{address: carol@example.com, quota: 1048576}"),
];

/// What is stored, read by the type of its kind: the watch of a kind stops at one object that cannot be read.
fn typed(stored: &Value) -> Result<(), String> {
    let read = match stored["kind"].as_str() {
        Some("MailDomain") => serde_json::from_value::<MailDomain>(stored.clone()).map(drop),
        Some("MailServer") => serde_json::from_value::<MailServer>(stored.clone()).map(drop),
        _ => serde_json::from_value::<Mailbox>(stored.clone()).map(drop),
    };
    read.map_err(|fault| fault.to_string())
}

#[tokio::test]
async fn good_specs_are_admitted_and_read() {
    let world = World::new().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file());
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for document in text.split("\n---").filter(|it| it.contains("paquebot.dev/v1alpha1")) {
            let mut object: Value = serde_yaml::from_str(document).unwrap();
            object["metadata"].as_object_mut().unwrap().remove("namespace");
            // Dry: two examples declare one name.
            typed(&world.create(&object, true).await.unwrap()).unwrap();
        }
    }
    for (kind, name, spec) in GOOD {
        let stored = world.create(&object(kind, name, spec), false).await;
        let stored = stored.unwrap_or_else(|said| panic!("{kind} {name}: {said}"));
        typed(&stored).unwrap_or_else(|fault| panic!("{kind} {name}: {fault}"));
    }
    world.end().await;
}

/// What the API server fills in is what our types fill in, and what local mode does.
#[tokio::test]
async fn defaults_are_the_same_everywhere() {
    let world = World::new().await;
    let mut smallest = object("MailDomain", "example.com", "{}");
    smallest.as_object_mut().unwrap().remove("spec");
    let stored = world.create(&smallest, false).await.unwrap();
    let domain: MailDomain = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(domain.spec, MailDomainSpec::default());
    assert_eq!(stored["spec"], serde_json::to_value(MailDomainSpec::default()).unwrap());
    let text = serde_yaml::to_string(&smallest).unwrap();
    let loaded = load_text(Path::new("mail.yaml"), &text).unwrap();
    assert_eq!(loaded.domains[0].object.spec, domain.spec);
    let mut smallest = object("MailServer", "default", "{}");
    smallest.as_object_mut().unwrap().remove("spec");
    let stored = world.create(&smallest, false).await.unwrap();
    let server: MailServer = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(server.spec, MailServerSpec::default());
    assert_eq!(stored["spec"], serde_json::to_value(MailServerSpec::default()).unwrap());
    // Parts of a spec get the defaults of the rest.
    let parts =
        json!({"dmarc": {"rua": ["mailto:d@example.com"]}, "dns": {"dnsEndpoint": {}}, "spf": {"ip4": ["192.0.2.1"]}});
    let object = object("MailDomain", "parts.example", &parts.to_string());
    let stored = world.create(&object, true).await.unwrap();
    let ours: MailDomainSpec = serde_json::from_value(parts).unwrap();
    let theirs: MailDomainSpec = serde_json::from_value(stored["spec"].clone()).unwrap();
    assert_eq!(theirs, ours);
    world.end().await;
}
