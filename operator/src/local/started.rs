//! What `paquebot up` says when it serves: ports, mailboxes, records, certificate, and what local mode leaves out.
//! Pure. Never a password: only where they are.

use std::{fmt::Write, net::SocketAddr, path::PathBuf};

use paquebot_mta_api::config::Protocol;
use serde::Serialize;

use super::apply::Prepared;
use crate::{
    dns::{self, Record},
    server::PORTS_STANDARD,
};

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The server's name.
    pub hostname: String,
    /// The domains it carries.
    pub domains: Vec<String>,
    /// Where it listens.
    pub listeners: Vec<Listening>,
    /// `/metrics`, `/healthz`, `/readyz`.
    pub metrics: Option<SocketAddr>,
    /// Who can log in.
    pub mailboxes: Vec<String>,
    /// Where the generated passwords are.
    pub passwords: PathBuf,
    /// The certificate's file.
    pub certificate: PathBuf,
    /// SHA-256 of the certificate.
    pub fingerprint: String,
    /// To publish.
    pub records: Vec<Record>,
    /// What local mode leaves out.
    pub left_out: Vec<String>,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listening {
    /// What is spoken.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
    /// The port that it stands for.
    pub instead_of: u16,
}

impl Started {
    /// What follows from what was applied.
    pub fn new(prepared: &Prepared, passwords: PathBuf) -> Self {
        let config = &prepared.config;
        let listening = |it: &paquebot_mta_api::config::Listener| Listening {
            protocol: it.protocol,
            address: it.address,
            instead_of: PORTS_STANDARD.iter().find(|(known, _)| *known == it.protocol).map_or(0, |(_, port)| *port),
        };
        let mut mailboxes: Vec<String> = prepared.addresses.iter().map(ToString::to_string).collect();
        mailboxes.sort();
        Self {
            hostname: config.hostname.to_string(),
            domains: prepared.records.iter().map(|(domain, _)| domain.to_string()).collect(),
            listeners: config.listeners.iter().map(listening).collect(),
            metrics: config.metrics,
            mailboxes,
            passwords,
            certificate: prepared.certificate.certificate.clone(),
            fingerprint: prepared.certificate.fingerprint.clone(),
            records: prepared.records.iter().flat_map(|(_, records)| records.clone()).collect(),
            left_out: prepared.left_out.clone(),
        }
    }

    /// As people read it.
    pub fn text(&self) -> String {
        let mut text = format!("{} serves {}\n\n", self.hostname, self.domains.join(", "));
        for it in &self.listeners {
            let (name, how) = spoken(it.protocol);
            let _ = writeln!(text, "  {name:<12} {:<22} {how} (instead of port {})", it.address, it.instead_of);
        }
        if let Some(metrics) = self.metrics {
            let _ = writeln!(text, "  {:<12} {:<22} /metrics, /healthz, /readyz", "Metrics", metrics);
        }
        let _ = writeln!(text, "\nMailboxes, which log in with their address:");
        for mailbox in &self.mailboxes {
            let _ = writeln!(text, "  {mailbox}");
        }
        let _ = writeln!(text, "  Generated passwords: {}", self.passwords.display());
        let _ = writeln!(text, "\nCertificate, self-signed: {}", self.certificate.display());
        let _ = writeln!(text, "  SHA-256 {}", self.fingerprint);
        let _ = writeln!(text, "\nRecords to publish (`paquebot dns` prints them as a zone file):");
        for line in dns::table(&self.records).lines() {
            let _ = writeln!(text, "  {line}");
        }
        if !self.left_out.is_empty() {
            let _ = writeln!(text, "\nLeft out on one machine:");
        }
        for what in &self.left_out {
            let _ = writeln!(text, "  {what}");
        }
        let _ = writeln!(text, "\nEdits of the YAML take effect at once. Ctrl-C ends: open sessions finish first.");
        text
    }
}

fn spoken(protocol: Protocol) -> (&'static str, &'static str) {
    match protocol {
        Protocol::Smtp => ("SMTP", "mail from other servers, STARTTLS"),
        Protocol::Submission => ("Submission", "mail from users, STARTTLS and login"),
        Protocol::Submissions => ("Submissions", "mail from users, TLS and login"),
        Protocol::Pop3 => ("POP3", "reading, STLS and login"),
        Protocol::Pop3s => ("POP3S", "reading, TLS and login"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::settings::Ports;

    #[test]
    fn as_people_read_it() {
        let listeners = Ports::default().listeners("127.0.0.1".parse().unwrap());
        let started = Started {
            hostname: "mail.example.com".into(),
            domains: vec!["example.com".into(), "example.net".into()],
            listeners: listeners
                .iter()
                .map(|it| Listening { protocol: it.protocol, address: it.address, instead_of: 25 })
                .collect(),
            metrics: Some("127.0.0.1:2080".parse().unwrap()),
            mailboxes: vec!["alice@example.com".into(), "postmaster@example.com".into()],
            passwords: "paquebot-data/passwords".into(),
            certificate: "paquebot-data/tls/certificate.pem".into(),
            fingerprint: "AB:CD".into(),
            records: vec![Record {
                id: "mx".into(),
                name: "example.com".into(),
                ttl_seconds: 3600,
                data: dns::Data::Mx { preference: 10, host: "mail.example.com".parse().unwrap() },
                elsewhere: false,
            }],
            left_out: vec!["MailServer main: replicas: 3: one process here".into()],
        };
        insta::assert_snapshot!(started.text());
    }
}
