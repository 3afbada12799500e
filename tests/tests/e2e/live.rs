//! While mail flows: a domain and a mailbox come, the pod goes and comes again.

use std::time::{Duration, Instant};

use paquebot_tests::{
    cluster::{Cluster, PATIENCE, wait_for, wait_until},
    operator::Start,
};

use crate::{
    flow::{Flow, arrived},
    world::{User, five_lines, mailbox, pod, publish_and_wait, run_of, server_address, took},
};

/// Messages before, between and after the events.
const SOME: usize = 10;

#[test]
fn a_domain_and_a_mailbox_come_while_mail_flows() {
    let cluster = Cluster::shared();
    let mail = cluster.namespace("live", true);
    let mut operator = Start::at(&mail, cluster.image()).run();
    operator.wait_to_lead();
    mail.apply(&five_lines(&mail, "live.example"));
    let server = server_address(&mail);
    let postmaster = User::postmaster(&mail, &server, "live.example");
    wait_until("the postmaster can log in", || postmaster.can_log_in());
    let before = run_of(&pod(&mail));
    let mut flow = Flow::start(cluster, &postmaster, &postmaster.name, PATIENCE);
    flow.wait_more(SOME);

    let applied = Instant::now();
    mail.apply(&mailbox("bob", "bob@live.example"));
    mail.wait("mailbox/bob", "condition=Ready");
    let bob = User::of_mailbox(&mail, &server, "bob");
    assert!(bob.can_log_in(), "a Mailbox that is Ready takes its password");
    took("Mailbox applied to its first login", applied);

    let applied = Instant::now();
    mail.apply(&five_lines(&mail, "second.example"));
    mail.wait("maildomain/second.example", "condition=Programmed");
    let second = User::postmaster(&mail, &server, "second.example");
    wait_until("its postmaster can log in", || second.can_log_in());
    took("second MailDomain applied to its postmaster's first login", applied);
    bob.must_submit(&second.name, &["--header", "Subject: welcome"]);
    second.must_submit(&bob.name, &["--header", "Subject: thanks"]);
    assert!(String::from_utf8(second.fetch(1)).unwrap().contains("Subject: welcome"));
    assert!(String::from_utf8(bob.fetch(1)).unwrap().contains("Subject: thanks"));

    flow.wait_more(SOME);
    let accepted = flow.end();
    assert_eq!(flow.failed(), Vec::<String>::new(), "submissions failed");
    assert_eq!(run_of(&pod(&mail)), before, "the pod was restarted");
    all_came(cluster, &postmaster, &accepted.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_pod_that_is_deleted_under_load_loses_nothing() {
    let cluster = Cluster::shared();
    let mail = cluster.namespace("killed", true);
    let mut operator = Start::at(&mail, cluster.image()).run();
    operator.wait_to_lead();
    mail.apply(&five_lines(&mail, "killed.example"));
    let server = server_address(&mail);
    publish_and_wait(&mail, "killed.example");
    let postmaster = User::postmaster(&mail, &server, "killed.example");
    let claim = mail.must(&["get", "persistentvolumeclaims", "--output=jsonpath={.items[*].metadata.uid}"], "");
    let mut flow = Flow::start(cluster, &postmaster, &postmaster.name, Duration::from_secs(10));

    // In order, with its drain; then at once, as when a node dies.
    for how in [&["--grace-period=30"][..], &["--grace-period=0", "--force"]] {
        flow.wait_more(SOME);
        let (old, began) = (pod(&mail), Instant::now());
        let name = format!("pod/{}", old["metadata"]["name"].as_str().unwrap());
        mail.must(&[&["delete", &name, "--wait=false"], how].concat(), "");
        let uid = old["metadata"]["uid"].as_str().map(str::to_owned);
        wait_for("another pod", || mail.field(&name, "{.metadata.uid}").filter(|it| Some(it) != uid.as_ref()));
        mail.wait(&name, "condition=Ready");
        took(&format!("pod deleted ({how:?}) to the next one Ready"), began);
    }
    flow.wait_more(SOME);
    let accepted = flow.end();
    println!("accepted {} messages; {} attempts failed and were made again", accepted.len(), flow.failed().len());
    let after = mail.must(&["get", "persistentvolumeclaims", "--output=jsonpath={.items[*].metadata.uid}"], "");
    assert_eq!(after, claim, "another volume");
    all_came(cluster, &postmaster, &accepted.into_iter().collect::<Vec<_>>());
}

/// Every message that was accepted is in the mailbox, at least once.
fn all_came(cluster: &Cluster, user: &User<'_>, accepted: &[usize]) {
    let mut missing = accepted.to_vec();
    wait_until("all that was accepted is in the mailbox", || {
        let there = arrived(cluster, user).unwrap_or_default();
        missing.retain(|number| !there.contains(number));
        missing.is_empty()
    });
}
