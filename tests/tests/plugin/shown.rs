//! One server: what is there, what is to be published, a message's journey.

use paquebot::names::base;
use paquebot_tests::{
    cluster::{Cluster, Namespace, node::RESOLVER, wait_for},
    operator::Start,
};
use serde_json::Value;

use crate::{
    program::{Plugin, expect, user},
    world::{User, five_lines, publish_and_wait, server_address, zone},
};

#[test]
fn the_plugin_shows_what_is_there_and_traces_a_message() {
    let cluster = Cluster::shared();
    let mail = cluster.namespace("plugin", true);
    let plugin = Plugin::new();
    let here = ["-n", mail.name.as_str()];
    let run = |code, words: &[&str]| expect(&plugin, &mail, code, &[words, &here].concat());

    let mut start = Start::at(&mail, cluster.image());
    // The address of the node itself, from which pods' mail leaves: without it the server is, rightly, not ready.
    start.settings.defaults.egress_addresses = vec![RESOLVER.parse().unwrap()];
    let mut operator = start.run();
    operator.wait_to_lead();
    let begin = run(0, &["status"]);
    assert!(begin.contains("kind: MailDomain"), "{begin}");

    mail.apply(&five_lines(&mail, "plugin.example"));
    let server = server_address(&mail);
    // Nothing is published yet: the first record to mend is named, and what should be there is printed.
    let wanted = zone(&mail, "plugin.example");
    let unpublished = run(1, &["status"]);
    assert!(unpublished.contains("MailDomain plugin.example") && unpublished.contains("\nNext:"), "{unpublished}");
    assert_eq!(run(0, &["dns", "plugin.example"]), wanted);
    let table = run(0, &["dns", "plugin.example", "--form", "table"]);
    assert!(table.starts_with("NAME") && table.contains("v=DMARC1"), "{table}");
    run(2, &["dns", "other.example"]);

    publish_and_wait(&mail, "plugin.example");
    let checked = wait_for("the check is good", || {
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let ran = plugin.run(cluster, &kubeconfig, &[&["dns", "check", "plugin.example"][..], &here].concat());
        (ran.code == 0).then(|| ran.text())
    });
    assert!(checked.contains("Verified") && !checked.contains("Missing"), "{checked}");
    let ready = wait_for("all is ready", || {
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let ran = plugin.run(cluster, &kubeconfig, &[&["status"][..], &here].concat());
        (ran.code == 0).then(|| ran.text())
    });
    assert!(ready.contains(&server) && ready.contains("All is ready."), "{ready}");
    let tree: Value = serde_json::from_str(&run(0, &["status", "-o", "json"])).unwrap();
    assert_eq!(tree["servers"][0]["domains"][0]["name"], "plugin.example", "{tree}");

    traced(&plugin, &mail, &User::postmaster(&mail, &server, "plugin.example"));
    without_zone(&plugin, &mail, &wanted);

    drop(operator);
    let old = wait_for("nobody leads", || {
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let ran = plugin.run(cluster, &kubeconfig, &[&["status"][..], &here].concat());
        ran.text().starts_with("✗ no operator leads since ").then(|| (ran.code, ran.text()))
    });
    assert!(old.0 == 1 && old.1.contains(&format!("kubectl -n {} get pods", mail.name)), "{old:?}");
    // What is edited now is told apart from what is ready.
    mail.must(
        &[
            "patch",
            "maildomain/plugin.example",
            "--type=merge",
            "-p",
            r#"{"spec": {"catchAll": "postmaster@plugin.example"}}"#,
        ],
        "",
    );
    let edited = run(1, &["status"]);
    assert!(edited.contains("Outdated") && edited.contains("✗ MailDomain plugin.example"), "{edited}");
}

/// The operator writes no zone: what is known is shown, what is not is named.
fn without_zone(plugin: &Plugin, mail: &Namespace<'_>, zone: &str) {
    let patch = |value: &str| {
        let patch = format!(r#"{{"spec": {{"dns": {{"zoneFile": {value}}}}}}}"#);
        mail.must(&["patch", "maildomain/plugin.example", "--type=merge", "-p", &patch], "");
    };
    patch("null");
    let map = format!("configmap/{}-zone", base("MailDomain", "plugin.example"));
    mail.must(&["wait", &map, "--for=delete", "--timeout=90s"], "");
    let words = ["dns", "plugin.example", "-n", mail.name.as_str()];
    let kubeconfig = mail.cluster.kubeconfig().display().to_string();
    let ran = plugin.run(mail.cluster, &kubeconfig, &words);
    let printed = String::from_utf8_lossy(&ran.output).into_owned();
    // From where mail leaves stands in the operator's settings only.
    assert!(
        ran.code == 3 && ran.text().contains("TXT spf, TXT spf/host: set spec.dns.zoneFile to {}"),
        "{}",
        ran.text()
    );
    let lines = zone.lines().filter(|it| !it.contains("v=spf1")).map(|it| it.split_whitespace().collect::<String>());
    let shown: Vec<String> = printed.lines().map(|it| it.split_whitespace().collect()).collect();
    assert_eq!(shown, lines.collect::<Vec<_>>(), "{printed}");
    patch("{}");
    mail.must(&["wait", &map, "--for=create", "--timeout=90s"], "");
    assert_eq!(expect(plugin, mail, 0, &words), zone);
}

fn traced(plugin: &Plugin, mail: &Namespace<'_>, postmaster: &User<'_>) {
    let here = ["-n", mail.name.as_str()];
    let run = |code, words: &[&str]| expect(plugin, mail, code, &[words, &here].concat());
    postmaster.must_submit(&postmaster.name, &["--h-Message-Id", "<parcel@plugin.example>"]);
    postmaster.fetch(1);
    let journey = run(0, &["trace", "<parcel@plugin.example>"]);
    for step in ["submitted", "signed", "queued", "stored"] {
        assert!(journey.contains(step), "{step}: {journey}");
    }
    let events: Value = serde_json::from_str(&run(0, &["trace", "parcel@plugin.example", "-o", "json"])).unwrap();
    assert_eq!(events[0]["messageId"], "parcel@plugin.example", "{events}");
    run(1, &["trace", "nobody-knows@plugin.example"]);
    assert!(run(0, &["queue", "list"]).contains("The queue is empty."));
    run(1, &["queue", "list", "--server", "absent"]);

    // Access is pods/exec: who may not run commands may not read the journey.
    let seen = ["--verb=get,list", "--resource=pods,maildomains.paquebot.dev"];
    let kubeconfig = user(plugin, mail, "viewer", &[&seen]);
    let refused = plugin.run(mail.cluster, &kubeconfig, &["trace", "parcel@plugin.example", "-n", &mail.name]);
    assert_eq!(refused.code, 1, "{}", refused.text());
    assert!(refused.text().contains("pods/exec"), "{}", refused.text());
}
