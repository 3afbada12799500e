//! Who has a domain name, and who has an address.

use paquebot_tests::cluster::wait_until;
use serde_json::json;

use super::world::World;

const HOST: &str = "{hostname: mail.claims.example, allowedDomains: [{namespaceSelector: {matchLabels: {team: shop}}, \
    domains: [shop.example, '*.shop.example']}]}";

fn domain(home: &World<'_>) -> String {
    format!(
        "{{serverRef: {{name: main, namespace: {}}}, dkim: {{keys: [{{algorithm: Ed25519}}]}}, \
         dns: {{verification: {{mode: Disabled}}}}}}",
        home.space.name
    )
}

fn label(world: &World<'_>, team: Option<&str>) {
    world.patch("Namespace", &world.space.name, &json!({"metadata": {"labels": {"team": team}}})).unwrap();
}

/// Creation times have seconds: what is made next is younger.
fn a_second_passes(world: &World<'_>, kind: &str, name: &str) {
    let made = world.get(kind, name).unwrap()["metadata"]["creationTimestamp"].clone();
    wait_until("another second", || {
        let probe = format!("clock-{}", uuid::Uuid::new_v4().simple());
        world.secret(&probe, &[]);
        let now = world.get("Secret", &probe).unwrap()["metadata"]["creationTimestamp"].clone();
        world.delete("Secret", &probe);
        now != made
    });
}

#[test]
fn a_name_belongs_to_one_and_labels_admit() {
    let home = World::without_pods("home");
    let (one, other) = (World::without_pods("one"), World::without_pods("other"));
    let mut operator = home.operator().watching(&[&one.space, &other.space]).run();
    operator.wait_to_lead();
    home.declare("MailServer", "main", HOST);
    let spec = domain(&home);

    // A namespace without the label is not let in: not with a name of the list, and not with any other.
    for name in ["shop.example", "gmail.com"] {
        one.declare("MailDomain", name, &spec);
        let said = one.reason("MailDomain", name, "Accepted", "NotAllowed");
        assert!(said.contains("spec.allowedDomains") && said.contains(&one.space.name), "{said}");
        assert!(one.keys(name).is_empty(), "no keys for a name that is not its own");
    }
    label(&one, Some("shop"));
    one.reason("MailDomain", "shop.example", "Accepted", "Accepted");
    one.reason("MailDomain", "gmail.com", "Accepted", "NotAllowed");

    // The second claimant is told who has it, as far as that is known before any directory was asked; nothing of the
    // first's is told or moved.
    label(&other, Some("shop"));
    a_second_passes(&one, "MailDomain", "shop.example");
    other.declare("MailDomain", "shop.example", &spec);
    let said = other.reason("MailDomain", "shop.example", "Accepted", "HolderUnknown");
    assert!(said.contains(&format!("{}/shop.example", one.space.name)), "{said}");
    assert!(other.keys("shop.example").is_empty(), "no keys for a name that is another's");
    one.reason("MailDomain", "shop.example", "Accepted", "Accepted");

    // The label goes: so does the claim, and the next in line has the name. It comes back, and what was given stays,
    // also before any directory has it, and whoever is older.
    label(&one, None);
    one.reason("MailDomain", "shop.example", "Accepted", "NotAllowed");
    other.reason("MailDomain", "shop.example", "Accepted", "Accepted");
    label(&one, Some("shop"));
    one.reason("MailDomain", "shop.example", "Accepted", "HolderUnknown");
    other.reason("MailDomain", "shop.example", "Accepted", "Accepted");
    for world in [&other, &one, &other] {
        let again = json!({"metadata": {"annotations": {"example.com/touched": world.space.name}}});
        world.patch("MailDomain", "shop.example", &again).unwrap();
        operator.wait_to_settle(std::time::Duration::from_secs(1));
    }
    one.reason("MailDomain", "shop.example", "Accepted", "HolderUnknown");
    other.reason("MailDomain", "shop.example", "Accepted", "Accepted");

    one.delete("MailDomain", "shop.example");
    other.reason("MailDomain", "shop.example", "Accepted", "Accepted");
    other.reason("MailDomain", "shop.example", "Programmed", "NotWritten");
    assert!(super::world::find(&other.get("MailDomain", "shop.example").unwrap(), "Stalled").is_none());

    // The server goes and comes.
    home.delete("MailServer", "main");
    let said = other.reason("MailDomain", "shop.example", "Accepted", "ServerNotFound");
    assert!(said.contains(&format!("{}/main", home.space.name)), "{said}");
    home.declare("MailServer", "main", HOST);
    other.reason("MailDomain", "shop.example", "Accepted", "Accepted");

    // Its owner takes the namespaces off the list.
    home.patch("MailServer", "main", &json!({"spec": {"allowedDomains": null}})).unwrap();
    other.reason("MailDomain", "shop.example", "Accepted", "NotAllowed");
}

/// An operator that may not see namespaces comes after one that may: it takes nothing away that it cannot judge.
#[test]
fn a_namespace_that_is_not_known_takes_nothing_away() {
    let (home, tenant) = (World::without_pods("known"), World::without_pods("unknown"));
    let mut first = home.operator().watching(&[&tenant.space]).run();
    first.wait_to_lead();
    // Its host name follows from the domain.
    home.declare("MailServer", "main", &HOST.replace("hostname: mail.claims.example, ", ""));
    label(&tenant, Some("shop"));
    tenant.declare("MailDomain", "shop.example", &domain(&home).replace("dns: {", "dns: {zoneFile: {}, "));
    tenant.declare("Mailbox", "alice", "{address: alice@shop.example}");
    tenant.zone("shop.example", "_domainkey");
    tenant.reason("Mailbox", "alice", "Accepted", "Accepted");
    first.wait_to_settle(std::time::Duration::from_secs(1));
    let (keys, owned) = (tenant.keys("shop.example"), tenant.owned());
    let said = tenant.get("MailDomain", "shop.example").unwrap()["status"]["keys"].clone();
    assert_eq!(first.process.end(), Some(0));

    let mut start = home.operator().watching(&[&tenant.space]);
    start.roles_only = true;
    let mut second = start.run();
    second.wait_to_lead();
    let message = tenant.reason("MailDomain", "shop.example", "Accepted", "NamespaceUnknown");
    assert!(message.contains("list and watch namespaces") && message.contains(&tenant.space.name), "{message}");
    let status = tenant.get("MailDomain", "shop.example").unwrap();
    assert_eq!(super::world::find(&status, "Accepted").unwrap()["status"], "Unknown");
    assert_eq!(super::world::find(&status, "Stalled"), None);
    tenant.reason("Mailbox", "alice", "Accepted", "Accepted");
    second.wait_to_settle(std::time::Duration::from_secs(1));
    assert_eq!(tenant.get("MailDomain", "shop.example").unwrap()["status"]["keys"], said);
    assert_eq!(tenant.keys("shop.example"), keys);
    for (key, object) in &owned {
        let now = tenant.owned();
        assert_eq!(now.get(key).map(super::world::content), Some(super::world::content(object)), "{key:?}");
    }
    let host = home.get("MailServer", "main").unwrap()["status"]["hostname"].clone();
    assert_eq!(host, "mail.shop.example", "the host name stays");
    assert_eq!(second.process.end(), Some(0));

    let mut third = home.operator().watching(&[&tenant.space]).run();
    third.wait_to_lead();
    tenant.reason("MailDomain", "shop.example", "Accepted", "Accepted");
}

#[test]
fn an_address_belongs_to_one() {
    let (world, elsewhere) = (World::without_pods("address"), World::without_pods("elsewhere"));
    let mut operator = world.operator().watching(&[&elsewhere.space]).run();
    operator.wait_to_lead();
    let spec = "{dkim: {keys: [{algorithm: Ed25519}]}, dns: {verification: {mode: Disabled}}, \
                aliases: [{name: info, to: [alice@address.example]}]}";
    world.declare("Mailbox", "early", "{address: early@address.example}");
    let said = world.reason("Mailbox", "early", "Accepted", "DomainNotFound");
    assert!(said.contains("address.example"), "{said}");
    world.declare("MailDomain", "address.example", spec);
    world.reason("Mailbox", "early", "Accepted", "Accepted");

    // Another namespace's domain is not found, and nothing is said of it.
    elsewhere.declare("Mailbox", "spy", "{address: alice@address.example}");
    let said = elsewhere.reason("Mailbox", "spy", "Accepted", "DomainNotFound");
    assert!(!said.contains(&world.space.name), "{said}");

    world.declare("Mailbox", "alice", "{address: alice@address.example}");
    world.reason("Mailbox", "alice", "Accepted", "Accepted");
    world.declare("Mailbox", "again", "{address: Alice@address.example}");
    let said = world.reason("Mailbox", "again", "Accepted", "HeldByAnother");
    assert!(said.contains("Mailbox alice"), "{said}");
    world.delete("Mailbox", "alice");
    world.reason("Mailbox", "again", "Accepted", "Accepted");

    world.declare("Mailbox", "info", "{address: info@address.example}");
    let said = world.reason("Mailbox", "info", "Accepted", "IsAlias");
    assert!(said.contains("alias info"), "{said}");
    world.patch("MailDomain", "address.example", &json!({"spec": {"aliases": null}})).unwrap();
    world.reason("Mailbox", "info", "Accepted", "Accepted");

    // The postmaster that was made yields to one that is declared, and comes back.
    world.declare("Mailbox", "postmaster", "{address: postmaster@address.example}");
    world.reason("Mailbox", "postmaster", "Accepted", "Accepted");
    world.delete("Mailbox", "postmaster");

    world.delete("MailDomain", "address.example");
    world.reason("Mailbox", "again", "Accepted", "DomainNotFound");
    world.declare("MailDomain", "address.example", "{dns: {verification: {mode: Disabled}}}");
    world.reason("Mailbox", "again", "Accepted", "Accepted");
}
