//! The operator as pods, with the rights of `deploy/operator.yaml` and no more.

use std::time::Instant;

use paquebot_tests::{
    cluster::{Cluster, Namespace, wait_for, wait_until},
    operator::{define, rights},
    repository,
};

use crate::world::{User, five_lines, mailbox, publish_and_wait, server_address, took};

const HOME: &str = "paquebot-system";
const USER: &str = "system:serviceaccount:paquebot-system:paquebot-operator";
/// The image's name in the file.
const IMAGE: &str = "localhost/paquebot:dev";

#[test]
fn two_pods_with_the_least_rights_do_it_all() {
    // It watches all namespaces: on a node of its own it meets no other operator.
    let cluster = Cluster::own();
    define(&cluster);
    let audit = cluster.audit();
    let text = std::fs::read_to_string(repository().join("deploy/operator.yaml")).unwrap();
    assert_eq!(text.matches(&format!("image: {IMAGE}\n")).count(), 2);
    let applied = Instant::now();
    cluster.apply(&text.replace(IMAGE, cluster.image()));
    let rollout = ["--namespace", HOME, "rollout", "status", "deployment/paquebot-operator", "--timeout=90s"];
    let ran = cluster.kubectl(&rollout, "");
    assert_eq!(ran.code, 0, "{}\n{}", ran.text(), logs(&cluster));
    took("deploy/operator.yaml applied to both pods ready", applied);

    let mail = cluster.namespace("pods", true);
    mail.apply(&five_lines(&mail, "pods.example"));
    let server = server_address(&mail);
    publish_and_wait(&mail, "pods.example");
    let user = User::postmaster(&mail, &server, "pods.example");
    user.must_submit(&user.name, &[]);
    user.fetch(1);

    webhook_refuses(&cluster, &mail);
    next_one_leads(&cluster, &mail);

    let refused = rights::denied(audit.requests(), USER, false);
    assert!(refused.is_empty(), "{refused:#?}\n{}", logs(&cluster));
    assert!(audit.requests().iter().any(|it| it.user == USER && it.writes()), "the log shows the operator's writes");
}

fn logs(cluster: &Cluster) -> String {
    let words =
        ["--namespace", HOME, "logs", "--selector=app.kubernetes.io/component=operator", "--tail=-1", "--prefix"];
    cluster.kubectl(&words, "").text()
}

/// The API server finds the webhook by its Service: an address that is taken is refused at once.
fn webhook_refuses(cluster: &Cluster, mail: &Namespace<'_>) {
    mail.apply(&mailbox("alice", "alice@pods.example"));
    mail.wait("mailbox/alice", "condition=Ready");
    wait_until("the webhook is registered", || {
        cluster.kubectl(&["get", "validatingwebhookconfiguration", "paquebot"], "").code == 0
    });
    let again = mailbox("alice-again", "alice@pods.example");
    wait_until("the webhook refuses", || {
        let ran = mail.kubectl(&["apply", "--server-side", "--dry-run=server", "--filename", "-"], &again);
        let refused = ran.code != 0;
        assert!(!refused || ran.text().contains("the Mailbox alice has this address"), "{}", ran.text());
        refused
    });
}

/// The leader's pod is killed: the other one leads, and works.
fn next_one_leads(cluster: &Cluster, mail: &Namespace<'_>) {
    let leader = || {
        let path = "--output=jsonpath={.spec.holderIdentity}";
        let holder = cluster.must(&["--namespace", HOME, "get", "lease", "paquebot-operator", path], "");
        let pod = holder.rsplit_once('-').map(|(pod, _)| pod.to_owned());
        pod.filter(|it| !it.is_empty())
    };
    let before = wait_for("a leader", leader);
    let killed = Instant::now();
    let pod = format!("pod/{before}");
    cluster.must(&["--namespace", HOME, "delete", &pod, "--grace-period=0", "--force", "--wait=false"], "");
    wait_for("another leader", || leader().filter(|it| *it != before));
    took("leader's pod killed to the next one leading", killed);
    mail.apply(&mailbox("bob", "bob@pods.example"));
    mail.wait("mailbox/bob", "condition=Ready");
}
