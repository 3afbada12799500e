//! Secrets that change are taken up by the running pod: the certificate for mail, a password.

use std::time::Instant;

use paquebot_tests::{
    cluster::{Cluster, Namespace, PATIENCE, Place, wait_until, wait_within},
    operator::Start,
};
use rcgen::{CertificateParams, KeyPair};

use crate::world::{User, five_lines, pod, run_of, server_address, took};

const HOST: &str = "mail.secrets.example";

#[test]
fn a_new_certificate_and_a_new_password_are_taken_up_without_a_restart() {
    let cluster = Cluster::shared();
    let mail = cluster.namespace("secrets", true);
    let mut operator = Start::at(&mail, cluster.image()).run();
    operator.wait_to_lead();
    let first = certificate(&mail);
    password(&mail, "the first password");
    mail.apply(
        "{apiVersion: paquebot.dev/v1alpha1, kind: MailServer, metadata: {name: default}, \
         spec: {tls: {secretRef: {name: mail-tls}}}}",
    );
    mail.apply(&five_lines(&mail, "secrets.example"));
    mail.apply(
        "{apiVersion: paquebot.dev/v1alpha1, kind: Mailbox, metadata: {name: alice}, \
         spec: {address: alice@secrets.example, passwordSecretRef: {name: alice, key: secret}}}",
    );
    let server = server_address(&mail);
    mail.wait("mailbox/alice", "condition=Ready");
    let before = run_of(&pod(&mail));
    wait_until("the first certificate is served", || served(cluster, &server).contains(&first));

    let user = |password| User::with_password(cluster, &server, "alice@secrets.example", password);
    let (old, new) = (user("the first password"), user("another password"));
    assert!(old.can_log_in() && !new.can_log_in());
    let changed = Instant::now();
    password(&mail, "another password");
    wait_until("the old password is none any more", || !old.can_log_in());
    assert!(new.can_log_in(), "{}", new.pop3("").text());
    took("password changed in its Secret to the first login", changed);

    let changed = Instant::now();
    let second = certificate(&mail);
    assert_ne!(first, second);
    // The kubelet looks at Secrets once a minute or so.
    wait_within(2 * PATIENCE, "the second certificate is served", || {
        served(cluster, &server).contains(&second).then_some(())
    });
    took("certificate replaced in its Secret to its first handshake", changed);
    assert_eq!(run_of(&pod(&mail)), before, "the pod was restarted");
}

/// Puts a new certificate into the Secret; gives it as text in one line.
fn certificate(namespace: &Namespace<'_>) -> String {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([HOST.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let data = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "mail-tls"},
        "stringData": {"tls.crt": certificate, "tls.key": key.serialize_pem()},
    });
    namespace.apply(&data.to_string());
    one_line(&certificate)
}

fn one_line(pem: &str) -> String {
    let lines = pem.lines().map(str::trim).skip_while(|line| !line.contains("BEGIN CERTIFICATE")).skip(1);
    lines.take_while(|line| !line.contains("END CERTIFICATE")).collect()
}

fn password(namespace: &Namespace<'_>, password: &str) {
    let data = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "alice"}, "stringData": {"secret": password},
    });
    namespace.apply(&data.to_string());
}

/// The certificate that a client is shown.
fn served(cluster: &Cluster, server: &str) -> String {
    let target = format!("{server}:465");
    let words = ["10", "openssl", "s_client", "-connect", &target, "-servername", HOST];
    one_line(&cluster.exec(Place::Client, "timeout", &words, b"").text())
}
