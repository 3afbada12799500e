//! Records of several domains, as people see them, and the directory's entries.

use std::path::Path;

use paquebot_mta_api::{
    address::Address,
    directory::{KeyAlgorithm, Value},
};

use super::*;
use crate::{
    api::{MailDomain, Mailbox},
    dns::{table, zone_text},
    load::{Resources, load_text},
    server,
};

fn loaded(text: &str) -> Resources {
    match load_text(Path::new("test.yaml"), text) {
        Ok(resources) => resources,
        Err(problems) => panic!("{problems:?}"),
    }
}

fn keys() -> Vec<PublicKey> {
    vec![
        PublicKey { selector: "20261123-rsa".into(), algorithm: KeyAlgorithm::Rsa, text: "MIIB".repeat(98) },
        PublicKey {
            selector: "20261123-ed25519".into(),
            algorithm: KeyAlgorithm::Ed25519,
            text: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".into(),
        },
    ]
}

fn shown(text: &str) -> String {
    let resources = loaded(text);
    let domain: &MailDomain = &resources.domains[0].object;
    let facts = server::facts(resources.server(domain).unwrap(), &name(domain).unwrap()).unwrap();
    let records = records(domain, &facts, &keys());
    let notes: String = notes(domain, &facts, &keys()).iter().map(|note| format!("note: {note}\n")).collect();
    format!("{}\n{}\n{notes}", zone_text(&records), table(&records))
}

const SERVER: &str = "
---
apiVersion: paquebot.dev/v1alpha1
kind: MailServer
metadata: {name: default}
spec: ";

fn domain(spec: &str) -> String {
    format!("apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {{name: example.com}}\nspec: {spec}\n")
}

#[test]
fn nothing_known() {
    insta::assert_snapshot!(shown(&domain("{}")));
}

#[test]
fn all_known() {
    let spec = "{spf: {ip4: [198.51.100.0/24], ip6: ['2001:db8:1::/48'], include: [_spf.example.net], all: SoftFail}, dmarc: {policy: Reject, subdomainPolicy: Quarantine, rua: ['mailto:d@example.com', 'mailto:d@reports.example'], ruf: ['mailto:f@sub.example.com'], fo: 'd:s'}}";
    insta::assert_snapshot!(shown(
        &(domain(spec) + SERVER + "{egress: {publicAddresses: [192.0.2.10, '2001:db8::10']}}")
    ));
}

#[test]
fn host_in_another_zone() {
    insta::assert_snapshot!(shown(
        &(domain("{}") + SERVER + "{hostname: mx.notexample.com, egress: {publicAddresses: [192.0.2.10]}}")
    ));
}

#[test]
fn both_examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let resources = crate::load::load(&[folder.join("mail.yaml"), folder.join("shop.yaml")]).unwrap();
    assert_eq!(resources.domains.len(), 2);
    assert_eq!(resources.servers.len(), 1, "the fuller example declares the server that the other one uses");
    assert_eq!(resources.mailboxes.len(), 2);
}

fn said(text: &str) -> Vec<String> {
    let resources = loaded(text);
    let mailboxes: Vec<&Mailbox> = resources.mailboxes.iter().map(|it| &it.object).collect();
    let entries = entries(&resources.domains[0].object, &mailboxes, &[], &|_| None);
    entries
        .iter()
        .map(|entry| match &entry.value {
            Value::Alias(alias) => format!(
                "{} -> {}",
                entry.value.key(),
                alias.to.iter().map(Address::to_string).collect::<Vec<_>>().join(" ")
            ),
            Value::Domain(domain) => {
                format!("{} catch-all {:?}", entry.value.key(), domain.catch_all.as_ref().map(Address::to_string))
            }
            other => other.key(),
        })
        .collect()
}

#[test]
fn somebody_always_gets_mail_for_postmaster_and_abuse() {
    let mailbox = |address: &str| {
        format!(
            "---\napiVersion: paquebot.dev/v1alpha1\nkind: Mailbox\nmetadata: {{name: x}}\nspec: {{address: {address}}}\n"
        )
    };
    for (text, wanted) in [
        (
            domain("{}"),
            vec![
                "domain/example.com catch-all None",
                "alias/abuse@example.com -> postmaster@example.com",
                "mailbox/postmaster@example.com",
            ],
        ),
        (
            domain("{}") + &mailbox("Postmaster@example.com"),
            vec![
                "domain/example.com catch-all None",
                "alias/abuse@example.com -> postmaster@example.com",
                "mailbox/postmaster@example.com",
            ],
        ),
        (
            domain(
                "{aliases: [{name: Postmaster, to: [ops@example.net]}, {name: abuse, to: [ops@example.net]}], catchAll: ops@example.net}",
            ),
            vec![
                "domain/example.com catch-all Some(\"ops@example.net\")",
                "alias/postmaster@example.com -> ops@example.net",
                "alias/abuse@example.com -> ops@example.net",
            ],
        ),
    ] {
        assert_eq!(said(&text), wanted);
    }
}

#[test]
fn addresses_that_log_in() {
    let resources = loaded(&domain("{}"));
    let addresses = mailbox_addresses(&resources.domains[0].object, &[]);
    assert_eq!(addresses.iter().map(Address::to_string).collect::<Vec<_>>(), ["postmaster@example.com"]);
}
