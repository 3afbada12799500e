//! The certificate for mail by cert-manager: what is said while it cannot come, the issuer's own one is served, and a
//! new one where the Secret was lost.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use paquebot::names::base;
use paquebot_tests::{
    addons::cert_manager,
    cluster::{Cluster, Namespace, PATIENCE, Place, wait_for, wait_until},
    operator::Start,
};

use crate::servers::said;

const HOST: &str = "mail.certified.example";
/// An issuer that signs with its own key.
const AUTHORITY: &str = "
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: root}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: authority}
spec: {isCA: true, commonName: of the tests, secretName: authority, issuerRef: {kind: Issuer, name: root}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: inhouse}
spec: {ca: {secretName: authority}}
";

#[test]
fn the_issuers_certificate_is_served_and_comes_back() {
    let cluster = Cluster::own();
    let folder = tempfile::tempdir().unwrap();
    let mail = cluster.namespace("certified", true);
    let mut operator = Start::at(&mail, cluster.image()).run();
    operator.wait_to_lead();
    mail.apply(
        "{apiVersion: paquebot.dev/v1alpha1, kind: MailServer, metadata: {name: default}, \
         spec: {tls: {issuerRef: {name: inhouse}}, egress: {publicAddresses: [192.0.2.10]}}}",
    );
    mail.apply("{apiVersion: paquebot.dev/v1alpha1, kind: MailDomain, metadata: {name: certified.example}}");
    said(&mail, "mailserver/default", "TLSReady", &["cert-manager is not in the cluster", "install it"]);

    // cert-manager comes, the issuer does not yet: nobody touches the MailServer.
    let _cert_manager = cert_manager(&cluster, &folder.path().join("log"));
    said(&mail, "mailserver/default", "TLSReady", &["see that the Issuer inhouse is there and ready"]);
    mail.apply(AUTHORITY);
    // The kubelet looks for what a pod waits for after pauses of up to two minutes.
    mail.wait_within("mailserver/default", "condition=Ready", 2 * PATIENCE);
    let secret = format!("{}-tls", base("MailServer", "default"));
    let server = wait_for("an address", || mail.field("mailserver/default", "{.status.addresses[0]}"));
    let authority = folder.path().join("authority.pem");
    fs::write(&authority, value(&mail, "authority", "tls.crt").unwrap()).unwrap();
    let first = wait_for("the first certificate is served", || served(&cluster, &server, &authority));
    assert_eq!(Some(&first), leaf(&mail, &secret).as_ref());

    // Lost: cert-manager makes another, and the pod takes it up.
    let before = mail.field("pods", "{.items[*].metadata.uid}");
    mail.must(&["delete", "secret", &secret], "");
    let second = wait_for("another certificate", || leaf(&mail, &secret).filter(|it| *it != first));
    let began = std::time::Instant::now();
    // The kubelet looks at Secrets once a minute or so.
    while served(&cluster, &server, &authority).as_ref() != Some(&second) {
        assert!(began.elapsed() < 2 * PATIENCE, "the new certificate is not served");
        paquebot_tests::pause();
    }
    assert_eq!(mail.field("pods", "{.items[*].metadata.uid}"), before, "the pod was replaced");
    wait_until("all is well", || {
        mail.field("mailserver/default", "{.status.conditions[?(@.type==\"Ready\")].status}").as_deref() == Some("True")
    });
}

/// A value of a Secret.
fn value(namespace: &Namespace<'_>, secret: &str, key: &str) -> Option<String> {
    let path = format!("{{.data.{}}}", key.replace('.', "\\."));
    let text = namespace.field(&format!("secret/{secret}"), &path)?;
    Some(String::from_utf8(STANDARD.decode(text).unwrap()).unwrap())
}

/// The first certificate of a Secret, in one line.
fn leaf(namespace: &Namespace<'_>, secret: &str) -> Option<String> {
    Some(one_line(&value(namespace, secret, "tls.crt")?))
}

fn one_line(pem: &str) -> String {
    let lines = pem.lines().map(str::trim).skip_while(|line| !line.contains("BEGIN CERTIFICATE")).skip(1);
    lines.take_while(|line| !line.contains("END CERTIFICATE")).collect()
}

/// The certificate that a client is shown, if this authority signed it for the host.
fn served(cluster: &Cluster, server: &str, authority: &Path) -> Option<String> {
    let (target, file) = (format!("{server}:465"), authority.display().to_string());
    let words = ["10", "openssl", "s_client", "-connect", &target, "-servername", HOST, "-CAfile", &file];
    let checks = ["-verify_return_error", "-verify_hostname", HOST];
    let ran = cluster.exec(Place::Client, "timeout", &[&words[..], &checks].concat(), b"");
    (ran.code == 0).then(|| one_line(&ran.text())).filter(|it| !it.is_empty())
}
