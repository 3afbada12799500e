//! An operator that may see less than the one before it: what the servers have stays, and what people delete goes.

use paquebot_tests::{
    cluster::{Cluster, wait_for, wait_until},
    operator::Start,
};

use crate::world::{User, mailbox};

const DOMAIN: &str = "knows.example";

#[test]
fn a_leader_that_knows_less_takes_nothing_away() {
    let cluster = Cluster::shared();
    let (home, tenant) = (cluster.namespace("knows", true), cluster.namespace("tenant", true));
    let mut first = Start::at(&home, cluster.image()).watching(&[&tenant]).run();
    first.wait_to_lead();
    // Whether it admits the tenant depends on labels of its namespace.
    let selector = format!("{{matchLabels: {{kubernetes.io/metadata.name: {}}}}}", tenant.name);
    home.apply(&format!(
        "{{apiVersion: paquebot.dev/v1alpha1, kind: MailServer, metadata: {{name: main}}, spec: {{hostname: mail.{DOMAIN}, \
         allowedDomains: [{{namespaceSelector: {selector}, domains: ['*']}}]}}}}"
    ));
    let domain = |metadata: &str| {
        let reference = format!("{{name: main, namespace: {}}}", home.name);
        format!(
            "{{apiVersion: paquebot.dev/v1alpha1, kind: MailDomain, metadata: {metadata}, spec: {{serverRef: {reference}}}}}"
        )
    };
    tenant.apply(&domain(&format!("{{name: {DOMAIN}}}")));
    home.apply(&domain("{name: going.example, finalizers: [example.com/holds]}"));
    for name in ["alice", "bob"] {
        tenant.apply(&mailbox(name, &format!("{name}@{DOMAIN}")));
    }
    let server = wait_for("an address", || home.field("mailserver/main", "{.status.addresses[0]}"));
    let [alice, bob] = ["alice", "bob"].map(|name| User::of_mailbox(&tenant, &server, name));
    for user in [&alice, &bob] {
        wait_until(&format!("{} can log in", user.name), || user.can_log_in());
    }
    // What a status says is true when it says so.
    tenant.apply(&mailbox("carol", &format!("carol@{DOMAIN}")));
    tenant.wait("mailbox/carol", "condition=Programmed");
    assert!(User::of_mailbox(&tenant, &server, "carol").can_log_in());

    // Whoever comes second is told by what the directory says.
    home.apply(&domain(&format!("{{name: {DOMAIN}}}")));
    let accepted = |reason| format!("jsonpath={{.status.conditions[?(@.type==\"Accepted\")].reason}}={reason}");
    home.wait(&format!("maildomain/{DOMAIN}"), &accepted("HeldByAnother"));
    home.must(&["delete", "maildomain", DOMAIN], "");
    assert_eq!(first.process.end(), Some(0));
    // Held by somebody's finalizer, it keeps nothing else back.
    home.must(&["delete", "maildomain", "going.example", "--wait=false"], "");

    let mut start = Start::at(&home, cluster.image()).watching(&[&tenant]);
    start.roles_only = true;
    let mut second = start.run();
    second.wait_to_lead();
    tenant.wait(&format!("maildomain/{DOMAIN}"), &accepted("NamespaceUnknown"));
    // An address that nobody can read any more is a mistake, and takes no mailbox away.
    let wrong = r#"{"spec":{"address":"carol@-x.example"}}"#;
    let carol = User::of_mailbox(&tenant, &server, "carol");
    tenant.must(&["patch", "mailbox", "carol", "--type=merge", "--patch", wrong], "");
    tenant.wait("mailbox/carol", &accepted("InvalidSpec"));
    // That the directory was compared shows in that this one goes.
    tenant.must(&["delete", "mailbox", "bob"], "");
    wait_until("bob cannot log in any more", || !bob.can_log_in());
    assert!(alice.can_log_in() && carol.can_log_in());
    alice.must_submit(&alice.name, &["--header", "Subject: still here"]);
    assert!(String::from_utf8(alice.fetch(1)).unwrap().contains("Subject: still here"));
    home.must(
        &["patch", "maildomain", "going.example", "--type=merge", "--patch", r#"{"metadata":{"finalizers":[]}}"#],
        "",
    );
}
