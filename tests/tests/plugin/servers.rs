//! Several servers, of which some cannot be asked: what the others say is printed, and each of those is named with what
//! to do.

use paquebot::names::base;
use paquebot_tests::{
    cluster::{Cluster, Namespace},
    operator::Start,
};

use crate::{
    program::{Plugin, user},
    world::{User, five_lines, server_address},
};

/// What is printed is true, and not all.
const PARTIAL: i32 = 3;

/// One that works, one that nobody may run commands in, one whose pod finds no place, one in another namespace.
fn servers(mail: &Namespace<'_>, elsewhere: &Namespace<'_>) {
    mail.apply(&five_lines(mail, "works.example"));
    mail.apply(
        "{apiVersion: paquebot.dev/v1alpha1, kind: MailServer, metadata: {name: closed}, spec: {hostname: closed.example}}",
    );
    mail.apply(
        "{apiVersion: paquebot.dev/v1alpha1, kind: MailServer, metadata: {name: waiting}, \
         spec: {hostname: waiting.example, pod: {nodeSelector: {place: nowhere}}}}",
    );
    mail.apply(&format!(
        "{{apiVersion: paquebot.dev/v1alpha1, kind: MailDomain, metadata: {{name: hidden.example}}, \
         spec: {{serverRef: {{name: main, namespace: {}}}}}}}",
        elsewhere.name
    ));
}

#[test]
fn who_cannot_be_asked_is_named_and_the_others_answer() {
    let cluster = Cluster::shared();
    let mail = cluster.namespace("servers", true);
    let elsewhere = cluster.namespace("elsewhere", true);
    let plugin = Plugin::new();
    let mut operator = Start::at(&mail, cluster.image()).watching(&[&elsewhere]).run();
    operator.wait_to_lead();
    servers(&mail, &elsewhere);
    let address = server_address(&mail);
    mail.wait("mailserver/closed", "condition=Available");
    let works = format!("{}-0", base("MailServer", "default"));

    // Commands in the one pod only; nothing at all in the other namespace.
    let seen =
        ["--verb=get,list", "--resource=pods,maildomains.paquebot.dev,mailservers.paquebot.dev,mailboxes.paquebot.dev"];
    let run = ["--verb=get,create", "--resource=pods/exec", &format!("--resource-name={works}")];
    let kubeconfig = user(&plugin, &mail, "few-rights", &[&seen, &run]);
    let ask = |words: &[&str]| plugin.run(cluster, &kubeconfig, words);

    let postmaster = User::postmaster(&mail, &address, "works.example");
    postmaster.must_submit(&postmaster.name, &["--h-Message-Id", "<parcel@works.example>"]);
    postmaster.fetch(1);
    let here = ["-n", mail.name.as_str()];
    for (words, answer) in
        [(&["queue", "list"][..], "The queue is empty."), (&["trace", "parcel@works.example"], "stored")]
    {
        let ran = ask(&[words, &here].concat());
        assert_eq!(ran.code, PARTIAL, "{}", ran.text());
        let printed = String::from_utf8_lossy(&ran.output).into_owned();
        assert!(printed.contains(answer) && !printed.contains("MailServer"), "{printed}");
        for told in [
            "3 of 4 MailServers did not answer".to_owned(),
            format!("MailServer {}/closed: you may not", mail.name),
            format!("MailServer {}/waiting: its pod ", mail.name),
            format!("MailServer {}/main: you may not list pods in namespace {0}", elsewhere.name),
        ] {
            assert!(ran.text().contains(&told), "{told}: {}", ran.text());
        }
    }
    // Whoever was not asked may know it: nobody is told that there is no such message.
    let unknown = ask(&["trace", "other@works.example", "-n", &mail.name]);
    assert!(unknown.code == PARTIAL && !unknown.text().contains("no message"), "{}", unknown.text());
    let one = ask(&["queue", "list", "--server", "default", "-n", &mail.name]);
    assert_eq!(one.code, 0, "{}", one.text());
    let closed = ask(&["queue", "list", "--server", "closed", "-n", &mail.name]);
    assert!(closed.code == 1 && closed.text().contains("pods/exec"), "{}", closed.text());

    let all = ask(&["queue", "list", "-A"]);
    assert!(all.code == 1 && all.text().contains("in all namespaces (-n names one"), "{}", all.text());
    let status = ask(&["status", "-n", &mail.name]);
    let hidden = format!("MailServer {}/main  in a namespace that you may not read", elsewhere.name);
    assert!(status.code == 1 && status.text().contains(&hidden), "{}", status.text());
    let stranger = user(&plugin, &mail, "stranger", &[]);
    let nothing = plugin.run(cluster, &stranger, &["status", "-n", &mail.name]);
    assert!(nothing.code == 1 && nothing.text().contains("you may not list"), "{}", nothing.text());
}
