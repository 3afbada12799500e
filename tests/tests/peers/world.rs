//! The mail system that the peers meet: a domain, two mailboxes, and an instance of Postfix beside it.

use std::path::Path;

use paquebot_tests::{
    dns::Dns,
    postfix,
    system::{System, own_address},
    tool,
};

/// What runs.
pub const MAIL: &str = "
apiVersion: paquebot.dev/v1alpha1
kind: MailDomain
metadata: {name: example.com}
spec: {aliases: [{name: info, to: [bob@example.com]}]}
---
apiVersion: paquebot.dev/v1alpha1
kind: Mailbox
metadata: {name: alice}
spec: {address: alice@example.com}
---
apiVersion: paquebot.dev/v1alpha1
kind: Mailbox
metadata: {name: bob}
spec: {address: bob@example.com}
";

pub const ALICE: &str = "alice@example.com";
pub const BOB: &str = "bob@example.com";

/// A system by itself.
pub fn start() -> (Dns, System) {
    let dns = Dns::start(&[("example.com", "@ 60 IN TXT \"v=spf1 -all\"\n")]);
    let system = System::start(MAIL, &format!("resolvers: [\"{}\"]\n", dns.address()));
    (dns, system)
}

/// What follows a message's header.
pub fn body(message: &[u8]) -> &[u8] {
    let end = message.windows(4).position(|octets| octets == b"\r\n\r\n").expect("a header");
    &message[end + 4..]
}

/// A certificate for Postfix, so that both speak TLS.
pub fn certificate(folder: &Path) -> String {
    let (key, chain) = (folder.join("key.pem"), folder.join("chain.pem"));
    let (key, chain) = (key.to_string_lossy().into_owned(), chain.to_string_lossy().into_owned());
    let subject = "/CN=mx.postfix.example";
    tool::must(
        "openssl",
        &[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", subject, "-keyout", &key, "-out",
            &chain,
        ],
        b"",
    );
    format!("smtpd_tls_chain_files = {key}, {chain}\nsmtpd_tls_security_level = may\nsmtp_tls_security_level = may\n")
}

/// A Paquebot whose mail for postfix.example goes to an instance of Postfix at this address.
pub fn beside_postfix(postfix: std::net::IpAddr) -> (Dns, System) {
    let zone = format!("@ 60 IN MX 10 mx\nmx 60 IN A {postfix}\n@ 60 IN TXT \"v=spf1 ip4:{postfix} -all\"\n");
    let dns = Dns::start(&[("postfix.example", &zone)]);
    let own = own_address();
    let targets = "allowedTargets: [127.0.0.0/8], retry: {firstMs: 200}";
    let delivery = format!("delivery: {{port: {}, sourceAddress: {own}, {targets}}}", postfix::PORT);
    let system = System::start_at(own, MAIL, &format!("resolvers: [\"{}\"]\n{delivery}\n", dns.address()));
    (dns, system)
}

/// Debian's Python, which sees Debian's packages, with a bound.
pub fn python(program: &str, arguments: &[&str], input: &[u8]) {
    let always = ["120", "/usr/bin/python3", "-c", program];
    tool::must("timeout", &[&always[..], arguments].concat(), input);
}
