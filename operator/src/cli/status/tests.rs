//! The tree as people read it: all well, several faults, nothing there.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;

fn server(name: &str, status: Value) -> MailServer {
    serde_json::from_value(json!({
        "apiVersion": "paquebot.dev/v1alpha1", "kind": "MailServer",
        "metadata": {"name": name, "namespace": "mail"}, "spec": {}, "status": status,
    }))
    .unwrap()
}

fn domain(name: &str, server: &str, status: Value) -> MailDomain {
    serde_json::from_value(json!({
        "apiVersion": "paquebot.dev/v1alpha1", "kind": "MailDomain",
        "metadata": {"name": name, "namespace": "mail"}, "spec": {"serverRef": {"name": server}}, "status": status,
    }))
    .unwrap()
}

fn mailbox(name: &str, address: &str, status: Value) -> Mailbox {
    serde_json::from_value(json!({
        "apiVersion": "paquebot.dev/v1alpha1", "kind": "Mailbox",
        "metadata": {"name": name, "namespace": "mail"}, "spec": {"address": address}, "status": status,
    }))
    .unwrap()
}

fn tree(servers: Vec<MailServer>, domains: Vec<MailDomain>, mailboxes: Vec<Mailbox>, pods: Vec<Pod>) -> tree::Tree {
    tree::tree(&tree::Read { servers, domains, mailboxes, pods, ..tree::Read::default() })
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-25T12:00:00Z"})
}

fn pod(server: &MailServer, ready: &str, restarts: i32) -> Pod {
    let base = crate::server::build::names(server).base;
    serde_json::from_value(json!({
        "metadata": {"name": format!("{base}-0"), "namespace": "mail", "labels": {"app.kubernetes.io/instance": base}},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "mta", "image": "paquebot:1", "imageID": "", "ready": true, "restartCount": restarts}],
        },
    }))
    .unwrap()
}

#[test]
fn all_is_ready() {
    let ready = json!([condition("Ready", "True", "Ready", "fine")]);
    let main =
        server("main", json!({"conditions": ready, "hostname": "mail.example.com", "addresses": ["192.0.2.10"]}));
    let key = json!({"selector": "20261125-rsa", "algorithm": "RSA", "state": "Active", "secretName": "example-com-1-20261125-rsa"});
    let record = json!({"id": "spf", "type": "TXT", "state": "Verified"});
    let example = domain("example.com", "main", json!({"conditions": ready, "keys": [key], "records": [record]}));
    let alice = mailbox("alice", "alice@example.com", json!({"conditions": ready, "secretName": "alice"}));
    let pods = vec![pod(&main, "True", 0)];
    let tree = tree(vec![main], vec![example], vec![alice], pods);
    assert!(tree.next.is_empty());
    insta::assert_snapshot!(text::text(&tree, &text::Look::default()));
}

#[test]
fn several_faults() {
    let main = server(
        "main",
        json!({"conditions": [
            condition("Accepted", "True", "Accepted", "the spec is valid"),
            condition("Available", "False", "PodCrashes", "the pod main-1-0 does not stay up, it ended with status 1: kubectl logs --previous main-1-0 says why"),
            condition("Ready", "False", "PodCrashes", "the same"),
        ]}),
    );
    let record = json!({"id": "dmarc", "type": "TXT", "state": "Missing", "reason": "TXT at _dmarc.example.com is missing at ns2.example.net: add v=DMARC1; p=none"});
    let example = domain(
        "example.com",
        "main",
        json!({"conditions": [
        condition("Accepted", "True", "Accepted", "example.com is valid and permitted"),
        condition("DNSVerified", "False", "RecordMissing", "TXT at _dmarc.example.com is missing at ns2.example.net: add v=DMARC1; p=none"),
        condition("Ready", "False", "RecordMissing", "the same"),
    ], "records": [record]}),
    );
    let lost = domain(
        "example.org",
        "nowhere",
        json!({"conditions": [
            condition("Accepted", "False", "ServerNotFound", "there is no MailServer mail/nowhere: make it"),
        ]}),
    );
    let alice = mailbox("alice", "alice@example.com", json!({"conditions": []}));
    let bob = mailbox(
        "bob",
        "bob@example.net",
        json!({"conditions": [condition("Accepted", "False", "DomainNotFound", "there is no MailDomain example.net here")]}),
    );
    let pods = vec![pod(&main, "False", 7)];
    let tree = tree(vec![main], vec![example, lost], vec![alice, bob], pods);
    insta::assert_snapshot!(text::text(&tree, &text::Look::default()));
    let one = tree.clone().only("example.org");
    assert_eq!((one.servers.len(), one.next.len(), one.mailboxes.len()), (1, 1, 0));
    assert_eq!(tree.only("alice").servers[0].domains.len(), 1);
}

#[test]
fn nothing_there() {
    insta::assert_snapshot!(text::text(&tree::tree(&tree::Read::default()), &text::Look::default()));
}

#[test]
fn a_server_that_the_operator_may_not_make_is_not_for_people_to_make() {
    for (reason, told) in [
        ("ObjectRefused", "MailDomain mail/example.com: the quota is full"),
        ("ServerNotFound", "MailServer mail/default: there is none, and domains refer to it: make it"),
    ] {
        let status = json!({"conditions": [condition("Accepted", "False", reason, "the quota is full")]});
        let tree = tree(vec![], vec![domain("example.com", "default", status)], vec![], vec![]);
        assert_eq!(tree.next, [told]);
    }
}

#[test]
fn a_server_elsewhere_may_be_hidden_and_is_not_called_missing() {
    let ready = json!({"conditions": [condition("Ready", "True", "Ready", "fine")]});
    let domains = vec![domain("example.com", "main", ready)];
    let hidden = ["mail/main".to_owned()].into();
    let tree = tree::tree(&tree::Read { domains, hidden, ..tree::Read::default() });
    assert_eq!(tree.next, Vec::<String>::new());
    assert!(text::text(&tree, &text::Look::default()).contains("in a namespace that you may not read"));
}

#[test]
fn an_edit_that_was_not_taken_up_is_not_ready() {
    let ready = json!([condition("Ready", "True", "Ready", "fine")]);
    let mut main = server("main", json!({"conditions": ready, "observedGeneration": 1}));
    for (generation, told) in [(1, 0), (2, 1)] {
        main.metadata.generation = Some(generation);
        let tree = tree(vec![main.clone()], vec![], vec![], vec![]);
        assert_eq!(tree.next.len(), told, "{:?}", tree.next);
    }
}

#[test]
fn a_domain_that_waits_for_its_server_only_is_not_told_of_again() {
    let broken = json!({"conditions": [condition("Available", "False", "NoPod", "there is no pod: wait")]});
    let waits = json!({"conditions": [condition("Ready", "False", "NoPod", "there is no pod: wait")]});
    let tree = tree(vec![server("main", broken)], vec![domain("example.com", "main", waits)], vec![], vec![]);
    assert_eq!(tree.next, ["MailServer mail/main: there is no pod: wait"]);
}

#[test]
fn where_no_operator_leads_all_that_is_said_is_old() {
    let since = "no operator leads since 2026-11-25 12:00:04 UTC: what is said of all else is as old as that; kubectl";
    let operator = leader::Operator { leads: Some(false), message: Some(since.into()), ..Default::default() };
    let ready = json!([condition("Ready", "True", "Ready", "fine")]);
    let servers = vec![server("main", json!({"conditions": ready}))];
    let tree = tree::tree(&tree::Read { servers, operator, ..tree::Read::default() });
    assert_eq!(tree.next, [since]);
    let told = text::text(&tree, &text::Look::default());
    assert!(told.starts_with(&format!("✗ {since}")) && !told.contains("All is ready"), "{told}");
    assert_eq!(tree.only("main").next.len(), 1);
}

#[test]
fn on_a_terminal_long_lines_are_broken_and_records_that_lack_the_same_told_once() {
    let reason = |name: &str| {
        format!(
            "no zone holds {name} (its top-level domain does not exist): register the domain, or have it delegated to your name servers"
        )
    };
    let record = |id: &str, name: &str| json!({"id": id, "type": "TXT", "state": "NoZone", "reason": reason(name)});
    let mut records: Vec<Value> = vec![record("spf", "example.com"), record("dmarc", "_dmarc.example.com")];
    records.push(json!({"id": "report/example.net", "type": "TXT", "state": "Missing", "reason": "TXT at example.com._report._dmarc.example.net is missing at ns1.example.net: ask its owner to add v=DMARC1"}));
    let message = format!("2 of 2 records to mend, first: {}", reason("example.com"));
    let conditions = json!([
        condition("DNSVerified", "False", "ZoneNotFound", &message),
        condition("Ready", "False", "ZoneNotFound", &message),
    ]);
    let ready = json!({"conditions": [condition("Ready", "True", "Ready", "fine")]});
    let domains = vec![domain("example.com", "main", json!({"conditions": conditions, "records": records}))];
    let tree = tree(vec![server("main", ready)], domains, vec![], vec![]);
    let look = text::Look { columns: Some(80), ..text::Look::default() };
    let told = text::text(&tree, &look);
    assert!(told.lines().all(|it| it.chars().count() <= 80), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn nothing_of_a_resource_writes_to_the_terminal() {
    let evil = "a\u{1b}[2J\u{9b}31m\u{202e}\r\n@x.example";
    let conditions = json!([condition("Ready", "False", evil, evil)]);
    let main = server("main", json!({"conditions": conditions, "hostname": evil, "addresses": [evil]}));
    let status =
        json!({"conditions": conditions, "records": [{"id": evil, "type": evil, "state": evil, "reason": evil}]});
    let pods = vec![pod(&main, evil, 1)];
    let tree = tree(vec![main], vec![domain("x.example", "main", status)], vec![mailbox("m", evil, Value::Null)], pods);
    for columns in [None, Some(80)] {
        let told = text::text(&tree, &text::Look { columns, namespace: Some(evil), colour: false });
        assert!(!told.replace('\n', "").chars().any(|c| c.is_control() || c == '\u{202e}'), "{told:?}");
    }
}

#[test]
fn of_many_domains_those_to_mend_are_shown() {
    let wait = json!([
        condition("DNSVerified", "Unknown", "Waiting", "not asked yet"),
        condition("Ready", "False", "Waiting", "")
    ]);
    let wrong = json!([
        condition("DNSVerified", "False", "RecordMissing", "add it"),
        condition("Ready", "False", "RecordMissing", "")
    ]);
    let mut domains: Vec<MailDomain> =
        (0..300).map(|it| domain(&format!("d{it:03}.example"), "main", json!({"conditions": wait}))).collect();
    domains.push(domain("z.example", "main", json!({"conditions": wrong})));
    let ready = json!({"conditions": [condition("Ready", "True", "Ready", "fine")]});
    let tree = tree(vec![server("main", ready)], domains, vec![], vec![]);
    assert_eq!(tree.next[0], "MailDomain mail/z.example: add it");
    let told = text::text(&tree, &text::Look::default());
    assert!(told.contains("✗ MailDomain z.example") && told.lines().count() < 400, "{told}");
    assert!(told.contains("and 201 more domains, 201 of them not ready: name one"), "{told}");
}
