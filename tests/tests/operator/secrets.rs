//! Secrets that are referred to before they are there, and what is said meanwhile.

use paquebot::{
    api::{
        MailDomain,
        domain::{Algorithm, DkimKey},
    },
    domain::{key_secret, keys},
};
use paquebot_tests::cluster::wait_until;
use serde_json::json;

use super::world::{World, text};

/// A private key as it lies in the Secret of an import.
pub fn key(selector: &str) -> String {
    let pair = keys::generate(selector, &DkimKey { algorithm: Algorithm::Ed25519, bits: None }).unwrap();
    let secret = key_secret::build(&MailDomain::new("x.example", Default::default()), &pair, None);
    String::from_utf8(secret.data.unwrap()[key_secret::PRIVATE].0.clone()).unwrap()
}

const DOMAIN: &str = "{serverRef: {name: main}, dns: {zoneFile: {}, verification: {mode: Disabled}}, \
    dkim: {keys: [{algorithm: Ed25519}], imported: [{selector: old, secretRef: {name: old, key: tls.key}}]}}";

#[test]
fn what_comes_later_heals() {
    let world = World::without_pods("later");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    world.declare("MailServer", "main", "{hostname: mail.later.example, tls: {secretRef: {name: mail-tls}}}");
    world.declare("MailDomain", "later.example", DOMAIN);
    let spec = "{address: alice@later.example, passwordSecretRef: {name: alice, key: password}}";
    world.declare("Mailbox", "alice", spec);

    // Each is named, with what to make.
    let said = world.reason("MailServer", "main", "TLSReady", "SecretMissing");
    assert!(said.contains("mail-tls"), "{said}");
    let said = world.reason("MailDomain", "later.example", "Programmed", "ImportedSecretMissing");
    assert!(said.contains("old"), "{said}");
    let said = world.reason("Mailbox", "alice", "Programmed", "PasswordSecretMissing");
    assert!(said.contains("there is no Secret alice: make it"), "{said}");

    // Wrong at first, then right.
    world.secret("old", &[("other", "x")]);
    world.reason("MailDomain", "later.example", "Programmed", "ImportedKeyMissing");
    world.secret("alice", &[("word", "x")]);
    world.reason("Mailbox", "alice", "Programmed", "PasswordKeyMissing");
    world.secret("mail-tls", &[("tls.crt", "no certificate"), ("tls.key", "no key")]);
    world.wait("MailServer", "main", "the certificate cannot be read", |it| {
        let tls = super::world::find(it, "TLSReady")?;
        (tls["status"] == "False" && tls["reason"] != "SecretMissing").then_some(())
    });

    let private = key("old");
    world.patch("Secret", "old", &json!({"stringData": {"tls.key": private}})).unwrap();
    world.reason("MailDomain", "later.example", "Programmed", "NotWritten");
    world.zone("later.example", "old._domainkey");
    world.patch("Secret", "alice", &json!({"stringData": {"password": "secret"}})).unwrap();
    world.reason("Mailbox", "alice", "Programmed", "NotWritten");
    let pair = rcgen::generate_simple_self_signed(vec!["mail.later.example".to_owned()]).unwrap();
    let files = json!({"tls.crt": pair.cert.pem(), "tls.key": pair.signing_key.serialize_pem()});
    world.patch("Secret", "mail-tls", &json!({"stringData": files})).unwrap();
    world.wait("MailServer", "main", "TLSReady", |it| {
        (super::world::find(it, "TLSReady")?["status"] == "True").then_some(())
    });

    // No private key has reached what people see.
    let secret_line = private.lines().nth(1).unwrap();
    let events = world.space.must(&["get", "events", "--output", "yaml"], "");
    let status = world.get("MailDomain", "later.example").unwrap().to_string();
    for text in [operator.process.log(), events, status] {
        assert!(!text.contains(secret_line) && !text.contains("PRIVATE"), "a key is seen");
    }

    // And gone again.
    world.delete("Secret", "alice");
    world.reason("Mailbox", "alice", "Programmed", "PasswordSecretMissing");
    world.delete("Secret", "old");
    world.reason("MailDomain", "later.example", "Programmed", "ImportedSecretMissing");
}

#[test]
fn a_deleted_password_is_replaced_and_an_edited_one_is_taken() {
    let world = World::without_pods("password");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    world.declare("MailDomain", "password.example", "{dns: {verification: {mode: Disabled}}}");
    world.declare("Mailbox", "alice", "{address: alice@password.example}");
    world.reason("Mailbox", "alice", "Accepted", "Accepted");
    let name = text(&world.get("Mailbox", "alice").unwrap(), "/status/secretName");
    let before = world.wait("Secret", &name, "it is made", |it| Some(it.clone()));
    world.delete("Secret", &name);
    let after = world.wait("Secret", &name, "another", |it| {
        (it["metadata"]["uid"] != before["metadata"]["uid"]).then(|| it.clone())
    });
    assert_ne!(after["data"]["password"], before["data"]["password"], "a new one, not a copy");

    // A person's own choice stays.
    world.patch("Secret", &name, &json!({"stringData": {"password": "my own choice"}})).unwrap();
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    let edited = world.get("Secret", &name).unwrap();
    assert_eq!(edited["data"]["password"], "bXkgb3duIGNob2ljZQ==");
    world.reason("Mailbox", "alice", "Programmed", "NotWritten");

    // Emptied: said, and mended by deleting it.
    world.patch("Secret", &name, &json!({"data": {"password": ""}})).unwrap();
    world.reason("Mailbox", "alice", "Programmed", "PasswordInvalid");
    world.delete("Secret", &name);
    world.reason("Mailbox", "alice", "Programmed", "NotWritten");

    // Without its labels it is the mailbox's all the same.
    world.patch("Secret", &name, &json!({"metadata": {"labels": null}})).unwrap();
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    world.patch("Secret", &name, &json!({"data": {"password": ""}})).unwrap();
    world.reason("Mailbox", "alice", "Programmed", "PasswordInvalid");
    world.delete("Secret", &name);
    world.reason("Mailbox", "alice", "Programmed", "NotWritten");
    world.wait("Secret", &name, "it has labels again", |it| it["metadata"]["labels"].as_object().map(|_| ()));
    wait_until("the postmaster has a password too", || {
        let owned = world.list("Secret", "app.kubernetes.io/component=password");
        owned.iter().any(|it| text(it, "/metadata/name").ends_with("-postmaster"))
    });
}
