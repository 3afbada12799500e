//! MailServers: the namespace's shared one, and what is not to be had yet.

use paquebot_tests::operator::Start;
use serde_json::json;

use super::world::{OURS, World, conditions};

const DOMAIN: &str = "{dkim: {keys: [{algorithm: Ed25519}]}, dns: {verification: {mode: Disabled}}}";

#[test]
fn the_shared_server_is_made_once_and_outlives_its_domains() {
    let world = World::without_pods("shared");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    world.declare("MailDomain", "one.example", DOMAIN);
    world.declare("MailDomain", "two.example", DOMAIN);
    for domain in ["one.example", "two.example"] {
        world.reason("MailDomain", domain, "Accepted", "Accepted");
        let status = world.get("MailDomain", domain).unwrap()["status"]["server"].clone();
        assert_eq!(status, format!("{}/default", world.space.name));
    }
    let servers = world.list("MailServer", "");
    let [server] = &servers[..] else { panic!("{servers:?}") };
    assert_eq!(server["metadata"]["ownerReferences"], serde_json::Value::Null);
    let host =
        world.wait("MailServer", "default", "its host", |it| it["status"]["hostname"].as_str().map(str::to_owned));
    assert!(["mail.one.example", "mail.two.example"].contains(&host.as_str()), "{host}");

    world.delete("MailDomain", "one.example");
    world.delete("MailDomain", "two.example");
    world.gone("MailDomain", "two.example");
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    assert_eq!(world.list("MailServer", "").len(), 1);
    // Nobody's edit of it is undone, and a deleted one is made again only when it is needed.
    world.patch("MailServer", "default", &json!({"spec": {"hostname": "mail.example.net"}})).unwrap();
    world.delete("MailServer", "default");
    world.gone("MailServer", "default");
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    assert!(world.get("MailServer", "default").is_none());
    world.declare("MailDomain", "three.example", DOMAIN);
    world.reason("MailDomain", "three.example", "Accepted", "Accepted");
    let host =
        world.wait("MailServer", "default", "its host", |it| it["status"]["hostname"].as_str().map(str::to_owned));
    assert_eq!(host, "mail.three.example");
}

#[test]
fn postgres_is_refused_by_name_until_it_comes() {
    let world = World::without_pods("postgres");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    let spec = "{hostname: mail.pg.example, replicas: 3, store: {postgres: {urlSecretRef: {name: db, key: url}}}}";
    world.declare("MailServer", "main", spec);
    let said = world.reason("MailServer", "main", "Accepted", "StoreNotSupported");
    assert!(said.contains("sqlite"), "{said}");
    world.reason("MailServer", "main", "Stalled", "StoreNotSupported");
    operator.wait_to_settle(std::time::Duration::from_millis(500));
    let labels = format!("{OURS},app.kubernetes.io/instance={}", paquebot::names::base("MailServer", "main"));
    for kind in ["StatefulSet", "Service", "ConfigMap", "Secret"] {
        assert_eq!(world.list(kind, &labels), Vec::<serde_json::Value>::new(), "{kind}");
    }
}

#[test]
fn with_roles_only_it_does_its_work_in_its_namespaces() {
    let (home, tenant) = (World::without_pods("roles"), World::without_pods("tenant"));
    let mut start: Start<'_> = home.operator().watching(&[&tenant.space]);
    start.roles_only = true;
    let mut operator = start.run();
    operator.wait_to_lead();
    tenant.declare("MailDomain", "roles.example", DOMAIN);
    tenant.declare("Mailbox", "alice", "{address: alice@roles.example}");
    tenant.reason("MailDomain", "roles.example", "Accepted", "Accepted");
    tenant.reason("Mailbox", "alice", "Accepted", "Accepted");
    tenant.reason("MailServer", "default", "TLSReady", "SelfSigned");
    // Labels of namespaces cannot be seen: a selector lets nobody in, and takes nothing away.
    home.declare(
        "MailServer",
        "main",
        "{hostname: mail.roles.example, allowedDomains: [{namespaceSelector: {matchLabels: {team: shop}}, domains: ['*']}]}",
    );
    tenant.patch("Namespace", &tenant.space.name, &json!({"metadata": {"labels": {"team": "shop"}}})).unwrap();
    let spec = format!("{{serverRef: {{name: main, namespace: {}}}}}", home.space.name);
    tenant.declare("MailDomain", "shop.example", &spec);
    tenant.reason("MailDomain", "shop.example", "Accepted", "NamespaceUnknown");
    assert!(tenant.keys("shop.example").is_empty(), "no keys for a name that is not its own");
    let all = conditions(&tenant.get("MailServer", "default").unwrap());
    assert!(all.contains("Accepted=True:Accepted"), "{all}");
    assert!(operator.process.runs());
}
