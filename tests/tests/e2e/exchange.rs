//! Two domains on two servers in two namespaces exchange mail, by what their published zones say.

use paquebot_tests::{
    cluster::{Cluster, Namespace, wait_until},
    operator::{NEXT_LOOK, Start},
};

use crate::world::{User, publish_and_wait, server_address};

/// Between two pods of a cluster there is no gateway: the receiver sees the pod's own address. So the domain's owner
/// says that the pods' range sends its mail, as one would with a server that has no address of its own outside.
const PODS: &str = "10.244.0.0/16";

fn domain(namespace: &Namespace<'_>, domain: &str) -> String {
    namespace.apply(&format!(
        "
apiVersion: paquebot.dev/v1alpha1
kind: MailDomain
metadata: {{name: {domain}}}
spec: {{spf: {{ip4: [{PODS}]}}, dmarc: {{policy: Reject}}}}
"
    ));
    let server = server_address(namespace);
    publish_and_wait(namespace, domain);
    server
}

#[test]
fn two_servers_exchange_mail_by_their_published_zones() {
    let cluster = Cluster::shared();
    let (here, there) = (cluster.namespace("here", true), cluster.namespace("there", true));
    let mut operator = Start::at(&here, cluster.image()).watching(&[&there]).run();
    operator.wait_to_lead();
    let (near, far) = std::thread::scope(|both| {
        let far = both.spawn(|| domain(&there, "there.example"));
        (domain(&here, "here.example"), far.join().unwrap())
    });
    assert_ne!(near, far);
    let a = User::postmaster(&here, &near, "here.example");
    let b = User::postmaster(&there, &far, "there.example");

    a.must_submit(&b.name, &["--header", "Subject: from here"]);
    passed(&b, "here.example");
    b.must_submit(&a.name, &["--header", "Subject: from there"]);
    passed(&a, "there.example");

    // A stranger who says that he is one of them is refused, by what the zones say.
    let forged = User::with_password(cluster, &near, &b.name, "");
    let mut ran = None;
    wait_until("the forger has an answer", || {
        let swaks =
            ["--server", &forged.server, "--from", &forged.name, "--to", &a.name, "--helo", "client.example.net"];
        let said = cluster.exec(paquebot_tests::cluster::Place::Client, "swaks", &swaks, b"");
        // Its name servers may be slow at first: only a word for good counts.
        let done = said.text().contains("<** 550") || said.code == 0;
        ran = done.then_some(said);
        done
    });
    let ran = ran.unwrap();
    assert!(ran.code != 0 && ran.text().contains("5.7."), "{}", ran.text());
}

/// The message that came has passed everything.
fn passed(user: &User<'_>, from: &str) {
    // Where a name server is slow, the sender tries again only after some minutes.
    let text = String::from_utf8(user.fetch_within(NEXT_LOOK, 1)).unwrap();
    let head = text.split_once("\r\n\r\n").unwrap().0;
    let results = head.replace("\r\n\t", " ").replace("\r\n ", " ");
    let results = results.lines().find(|line| line.starts_with("Authentication-Results:")).unwrap_or(head).to_owned();
    println!("{results}");
    assert!(results.contains("spf=pass"), "{head}");
    assert_eq!(results.matches("dkim=pass").count(), 2, "{head}");
    assert!(results.contains("dmarc=pass") && results.contains(from), "{head}");
}
