//! TLS as OpenSSL sees it: versions, the certificate, and its renewal while the server runs.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use paquebot_tests::{
    pause,
    system::{System, port},
    tool::{self, Conversation, Ran},
};

const MAIL: &str = "
apiVersion: paquebot.dev/v1alpha1
kind: MailDomain
metadata: {name: example.com}
spec: {dkim: {keys: [{algorithm: Ed25519}]}}
";
const HOSTNAME: &str = "mail.example.com";
/// Each port, and how TLS begins there.
const PORTS: [(u16, &[&str]); 5] = [
    (port::SMTP, &["-starttls", "smtp"]),
    (port::SUBMISSION, &["-starttls", "smtp"]),
    (port::SUBMISSIONS, &[]),
    (port::POP3, &["-starttls", "pop3"]),
    (port::POP3S, &[]),
];
/// OpenSSL offers TLS 1.1 with this only (it signs with SHA-1).
const OLD_TLS: [&str; 3] = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
const RENEWAL_SECONDS_MAX: Duration = Duration::from_secs(60);

fn handshake(system: &System, port: u16, arguments: &[&str]) -> Ran {
    let server = system.at(port).to_string();
    let always = ["60", "openssl", "s_client", "-brief", "-connect", &server];
    tool::run("timeout", &[&always[..], arguments].concat(), b"")
}

/// Whether the server shows this certificate, and it is good for the host's name.
fn shows(system: &System, port: u16, starttls: &[&str], certificate: &Path) -> Ran {
    let certificate = certificate.to_string_lossy();
    let trust = ["-CAfile", &certificate, "-verify_return_error", "-verify_hostname", HOSTNAME];
    handshake(system, port, &[starttls, &trust].concat())
}

#[test]
fn versions_from_1_2_on_at_each_port() {
    let system = System::start(MAIL, "");
    let own = system.data().join("tls/certificate.pem");
    for (port, starttls) in PORTS {
        for (version, says) in [("-tls1_2", "Protocol version: TLSv1.2"), ("-tls1_3", "Protocol version: TLSv1.3")] {
            let ran = handshake(&system, port, &[starttls, &[version]].concat());
            assert!(ran.text().contains(says), "{port}: {}", ran.text());
        }
        let ran = handshake(&system, port, &[starttls, &OLD_TLS].concat());
        assert_ne!(ran.code, 0, "{port}: {}", ran.text());
        // RFC 8996 §5: an alert that came in, so the server refuses, not OpenSSL itself.
        assert!(ran.text().contains("SSL alert number"), "{port}: {}", ran.text());

        let ran = shows(&system, port, starttls, &own);
        assert_eq!(ran.code, 0, "{port}: {}", ran.text());
    }
}

fn certificate(folder: &Path, name: &str) -> (Vec<u8>, Vec<u8>) {
    let (key, chain) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pem")));
    let (subject, names) = (format!("/CN={HOSTNAME}"), format!("subjectAltName=DNS:{HOSTNAME}"));
    let made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject, "-addext", &names];
    let files = ["-keyout", &key.to_string_lossy(), "-out", &chain.to_string_lossy()];
    tool::must("openssl", &[&made[..], &files].concat(), b"");
    (fs::read(chain).unwrap(), fs::read(key).unwrap())
}

#[test]
fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
    let system = System::start(MAIL, "");
    let folder = tempfile::tempdir().unwrap();
    let files = system.data().join("tls");
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < RENEWAL_SECONDS_MAX, "never: {what}");
            pause();
        }
    };
    let server = system.at(port::SUBMISSIONS).to_string();
    let mut open = Conversation::tls(&server, &[]);
    assert!(open.line().starts_with("220"));

    let (chain, key) = certificate(folder.path(), "new");
    fs::write(files.join("certificate.pem"), &chain).unwrap();
    fs::write(files.join("key.pem"), &key).unwrap();
    let new = folder.path().join("new.pem");
    for (port, starttls) in PORTS {
        until("the new certificate", &|| shows(&system, port, starttls, &new).code == 0);
    }
    assert!(open.say("NOOP").starts_with("250"), "an open session goes on");

    // Another key: half of a renewal.
    let (_, other) = certificate(folder.path(), "other");
    fs::write(files.join("key.pem"), &other).unwrap();
    until("a log line", &|| system.log().contains("key.pem cannot be served"));
    let ran = shows(&system, port::SUBMISSIONS, &[], &new);
    assert_eq!(ran.code, 0, "{}", ran.text());
}
