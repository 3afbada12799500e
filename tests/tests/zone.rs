//! The zone file that `paquebot dns` prints is accepted by BIND's `named-checkzone` (Debian: bind9-utils).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's helpers fail as tests do")]

use std::{path::Path, process::Command, sync::OnceLock};

use paquebot::{
    api::domain::{Algorithm, DkimKey},
    dns,
    domain::{self, PublicKey},
    load, server,
};

/// What the zone's owner has beside the mail records.
const APEX: &str = "$TTL 3600\n@ IN SOA ns hostmaster 1 7200 3600 1209600 3600\n@ IN NS ns\nns IN A 192.0.2.53\n";

fn check(zone: &str, text: &str) -> (bool, String) {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("zone");
    std::fs::write(&file, text).unwrap();
    let output = Command::new("named-checkzone")
        .args(["-i", "local", "-k", "fail", zone])
        .arg(&file)
        .output()
        .expect("named-checkzone is missing: apt-get install bind9-utils");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The zone of each domain of this YAML, with keys of 4096 bits, is one that BIND takes.
fn bind_takes(path: &Path) -> usize {
    let resources = load::load(&[path.to_owned()]).unwrap();
    for it in &resources.domains {
        let name = domain::name(&it.object).unwrap();
        let facts = server::facts(resources.server(&it.object).unwrap(), &name).unwrap();
        let records = dns::config_map_data(&domain::records(&it.object, &facts, keys()))["zone"].clone();
        let (accepted, said) = check(name.as_str(), &format!("{APEX}{records}"));
        assert!(accepted && !said.contains("ignoring"), "{name}: {said}\n{records}");
    }
    resources.domains.len()
}

fn keys() -> &'static [PublicKey] {
    static KEYS: OnceLock<Vec<PublicKey>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = |algorithm, bits, selector| domain::keys::generate(selector, &DkimKey { algorithm, bits }).unwrap();
        let keys = [key(Algorithm::Rsa, Some(4096), "20261123-rsa"), key(Algorithm::Ed25519, None, "20261123-ed25519")];
        keys.iter().map(domain::keys::KeyPair::public_key).collect()
    })
}

#[test]
fn every_example_is_a_zone_that_bind_takes() {
    assert!(bind_takes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")) >= 2);
}

#[test]
fn bind_takes_every_kind_of_domain() {
    let server = "{egress: {publicAddresses: [192.0.2.10, 192.0.2.11, '2001:db8::10']}}";
    let long = format!("{0}.{0}.{0}.example", "x".repeat(55));
    for (name, spec, server) in [
        ("example.com", "{}", "{}"),
        ("example.com", "{}", server),
        (
            "example.com",
            "{spf: {ip4: [198.51.100.0/24], ip6: ['2001:db8:1::/48'], include: [_spf.example.net], all: SoftFail}, dmarc: {policy: Reject, subdomainPolicy: Quarantine, rua: ['mailto:d@example.com', 'mailto:d@reports.example'], ruf: ['mailto:f@sub.example.com'], fo: 'd:s'}}",
            server,
        ),
        ("example.com", "{dmarc: {rua: ['mailto:a+b=c%d@example.com', \"mailto:o'neil@reports.example\"]}}", server),
        ("example.com", "{}", "{hostname: mx.notexample.com, egress: {publicAddresses: [192.0.2.10]}}"),
        ("mail.example.com", "{}", "{hostname: mail.example.com, egress: {publicAddresses: [192.0.2.10]}}"),
        ("xn--mnchen-3ya.example", "{}", server),
        (&long, "{}", server),
    ] {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("mail.yaml");
        let head = "apiVersion: paquebot.dev/v1alpha1\nkind";
        let yaml = format!(
            "{head}: MailDomain\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n{head}: MailServer\nmetadata: {{name: default}}\nspec: {server}\n"
        );
        std::fs::write(&file, yaml).unwrap();
        assert_eq!(bind_takes(&file), 1);
    }
}

/// The check itself can fail: a text over 255 octets in one piece is refused.
#[test]
fn bind_refuses_what_is_wrong() {
    let (accepted, _) = check("example.com", &format!("{APEX}@ IN TXT \"{}\"\n", "x".repeat(256)));
    assert!(!accepted);
}

/// Octets that are not printable come out of BIND as they went in.
#[test]
fn bind_reads_escapes() {
    let text = "a\n\"\\; \u{0}\u{7f}é".repeat(40);
    let record = dns::Record {
        id: "x".into(),
        name: "a.example.com".into(),
        ttl_seconds: 60,
        data: dns::Data::Txt(text.clone()),
        elsewhere: false,
    };
    let zone = dns::zone_text(&[record]);
    let written = zone.split_once("TXT").unwrap().1.trim();
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("zone");
    std::fs::write(&file, format!("{APEX}{zone}")).unwrap();
    let output = Command::new("named-checkzone").args(["-D", "-i", "none", "example.com"]).arg(&file).output();
    let output = output.expect("named-checkzone is missing: apt-get install bind9-utils");
    let dump = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(dump.contains(written), "{dump}\n{written}");
}
