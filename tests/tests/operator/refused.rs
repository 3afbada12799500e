//! What the API server refuses is said where people look, with what to do, and goes on when it is let.

use paquebot_tests::cluster::wait_until;
use serde_json::{Value, json};

use super::world::{World, find, text};

const HOST: &str = "{hostname: mail.refused.example}";
const DOMAIN: &str = "{serverRef: {name: main}, dkim: {keys: [{algorithm: Ed25519}]}, \
    dns: {zoneFile: {}, verification: {mode: Disabled}}}";

fn quota(hard: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": hard}})
}

fn not_stalled(world: &World<'_>, kind: &str, name: &str) {
    let found = world.get(kind, name).and_then(|it| find(&it, "Stalled"));
    assert_eq!(found, None, "{kind} {name}: a quota can be raised");
}

#[test]
fn what_a_quota_refuses_is_said_and_heals() {
    let world = World::without_pods("refused");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    for own in ["paquebot-authority", "paquebot-password-digest"] {
        world.wait("Secret", own, "it is there", |_| Some(()));
    }
    world.apply(quota(&json!({"count/secrets": "0", "count/configmaps": "0"})));
    world.wait("ResourceQuota", "few", "it counts", |it| it["status"]["hard"]["count/secrets"].as_str().map(|_| ()));
    world.declare("MailServer", "main", HOST);
    world.declare("MailDomain", "refused.example", DOMAIN);
    world.declare("Mailbox", "alice", "{address: alice@refused.example}");

    for (kind, name, condition) in [
        ("MailServer", "main", "Accepted"),
        ("MailDomain", "refused.example", "Programmed"),
        ("Mailbox", "alice", "Programmed"),
    ] {
        let said = world.reason(kind, name, condition, "ObjectRefused");
        let secret = format!("Secret {}/", world.space.name);
        for words in [secret.as_str(), "exceeded quota: few", "raise that ResourceQuota"] {
            assert!(said.contains(words), "{kind}: {said}");
        }
        world.reason(kind, name, "Ready", "ObjectRefused");
        not_stalled(&world, kind, name);
    }
    assert!(world.keys("refused.example").is_empty());

    // Secrets are let in; what is refused next is said next.
    world.patch("ResourceQuota", "few", &json!({"spec": {"hard": {"count/secrets": null}}})).unwrap();
    let said = world.reason("MailDomain", "refused.example", "DNSVerified", "ObjectRefused");
    assert!(said.contains("ConfigMap") && said.contains("exceeded quota"), "{said}");
    world.reason("MailDomain", "refused.example", "Programmed", "NotWritten");
    world.reason("Mailbox", "alice", "Programmed", "NotWritten");
    // Its status named the Secret before.
    world.wait("MailServer", "main", "its ConfigMap is named", |it| {
        let accepted = find(it, "Accepted")?;
        (accepted["reason"] == "ObjectRefused" && text(&accepted, "/message").contains("ConfigMap")).then_some(())
    });

    world.delete("ResourceQuota", "few");
    world.reason("MailServer", "main", "Accepted", "Accepted");
    world.reason("MailDomain", "refused.example", "DNSVerified", "VerificationDisabled");
    world.zone("refused.example", "_domainkey");
}

/// A key that is refused keeps nothing else back: the keys that are there sign, mailboxes come.
#[test]
fn with_a_key_that_signs_the_domain_goes_on() {
    let world = World::without_pods("goes-on");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    world.declare("MailServer", "main", HOST);
    world.declare("MailDomain", "goes-on.example", DOMAIN);
    world.zone("goes-on.example", "_domainkey");
    world.reason("MailServer", "main", "TLSReady", "SelfSigned");
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    let keys = world.keys("goes-on.example");
    world.apply(quota(&json!({"count/secrets": "0"})));
    world.wait("ResourceQuota", "few", "it counts", |it| it["status"]["hard"]["count/secrets"].as_str().map(|_| ()));
    let more = json!({"spec": {"dkim": {"keys": [{"algorithm": "Ed25519"}, {"algorithm": "RSA", "bits": 2048}]},
                               "dmarc": {"policy": "Reject"}}});
    world.patch("MailDomain", "goes-on.example", &more).unwrap();
    world.reason("MailDomain", "goes-on.example", "Programmed", "ObjectRefused");
    world.zone("goes-on.example", "p=reject");
    let status = world.get("MailDomain", "goes-on.example").unwrap()["status"].clone();
    assert_eq!(status["keys"].as_array().map(Vec::len), Some(1), "no key is said to be there that is not: {status}");
    assert_eq!(world.keys("goes-on.example"), keys);
    world.delete("ResourceQuota", "few");
    world.reason("MailDomain", "goes-on.example", "Programmed", "NotWritten");
    wait_until("the other key is there", || world.keys("goes-on.example").len() == 2);
}

/// All that the operator needs in a namespace, but to make the shared MailServer.
fn rights(namespace: &str) -> [Value; 2] {
    let version = "rbac.authorization.k8s.io/v1";
    let meta = json!({"name": "limited", "namespace": namespace});
    let all =
        |groups: &[&str], resources: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": ["*"]});
    let role = json!({"apiVersion": version, "kind": "Role", "metadata": meta, "rules": [
        all(&["", "apps", "policy", "networking.k8s.io", "coordination.k8s.io", "events.k8s.io"], &["*"]),
        all(&["paquebot.dev"], &["maildomains", "mailboxes", "maildomains/status", "mailboxes/status", "mailservers/status"]),
        {"apiGroups": ["paquebot.dev"], "resources": ["mailservers"], "verbs": ["get", "list", "watch"]},
    ]});
    let binding = json!({"apiVersion": version, "kind": "RoleBinding", "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited"},
        "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": format!("system:serviceaccounts:{namespace}")}]});
    [role, binding]
}

#[test]
fn a_right_that_lacks_is_named() {
    let world = World::without_pods("rights");
    let mut start = world.operator();
    start.roles_only = true;
    let mut operator = start.run();
    operator.wait_to_lead();
    for object in rights(&world.space.name) {
        world.space.must(&["apply", "--filename", "-"], &object.to_string());
    }
    operator.lacks_rights();
    world.space.must(&["delete", "rolebinding", &operator.name], "");
    // The API server hears of it by a watch of its own.
    let may = ["auth", "can-i", "create", "mailservers.paquebot.dev", &format!("--as={}", operator.user())];
    wait_until("the right is gone", || world.space.kubectl(&may, "").code != 0);
    world.declare("MailDomain", "rights.example", "{dkim: {keys: [{algorithm: Ed25519}]}}");
    let said = world.reason("MailDomain", "rights.example", "Accepted", "ObjectRefused");
    let server = format!("MailServer {}/default", world.space.name);
    for words in [server.as_str(), "cannot create resource \"mailservers\"", "grant the operator this right"] {
        assert!(said.contains(words), "{said}");
    }
    not_stalled(&world, "MailDomain", "rights.example");
    let account = format!("--serviceaccount={}:{}", world.space.name, operator.name);
    world.space.must(&["create", "rolebinding", "full", "--clusterrole=cluster-admin", &account], "");
    world.reason("MailDomain", "rights.example", "Accepted", "Accepted");
    assert_eq!(text(&world.get("MailServer", "default").unwrap(), "/metadata/name"), "default");
}

/// The postmaster that is made has a Secret like everybody: what is wrong with it is said of the domain.
#[test]
fn a_postmaster_who_cannot_log_in_is_named() {
    let world = World::without_pods("postmaster");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    world.declare("MailServer", "main", HOST);
    world.declare("MailDomain", "postmaster.example", DOMAIN);
    world.reason("MailDomain", "postmaster.example", "Programmed", "NotWritten");
    let secret = format!("{}-postmaster", paquebot::names::base("MailDomain", "postmaster.example"));
    world.patch("Secret", &secret, &json!({"data": {"password": ""}})).unwrap();
    let said = world.reason("MailDomain", "postmaster.example", "Programmed", "PasswordInvalid");
    assert!(said.contains("postmaster@postmaster.example") && said.contains(&secret), "{said}");
    world.delete("Secret", &secret);
    world.reason("MailDomain", "postmaster.example", "Programmed", "NotWritten");

    // Two mailboxes may have their passwords in one Secret, and an address capitals.
    world.secret("both", &[("alice", "one"), ("bob", "")]);
    for (name, address) in [("alice", "Alice@postmaster.example"), ("bob", "bob@postmaster.example")] {
        let spec = format!("{{address: {address}, passwordSecretRef: {{name: both, key: {name}}}}}");
        world.declare("Mailbox", name, &spec);
    }
    world.reason("Mailbox", "alice", "Programmed", "NotWritten");
    world.reason("Mailbox", "bob", "Programmed", "PasswordInvalid");
}
