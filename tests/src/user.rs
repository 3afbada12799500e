//! What a user's programs do with a running system: swaks and curl hand mail in, curl fetches it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    pause,
    system::{System, port},
    tool::{self, Ran},
};

/// A message comes in this time, or the test fails.
const ARRIVAL_SECONDS_MAX: Duration = Duration::from_secs(60);
/// For each of curl's conversations.
const CURL_SECONDS_MAX: &str = "60";

impl System {
    /// swaks with these arguments against a port.
    pub fn swaks(&self, port: u16, arguments: &[&str]) -> Ran {
        let server = format!("{}:{port}", self.address);
        let always = ["--server", &server, "--helo", "client.example.com"];
        tool::run("swaks", &[&always[..], arguments].concat(), b"")
    }

    /// Hands a message in over TLS, logged in as `from`; it must be accepted.
    pub fn submit(&self, from: &str, to: &[&str], arguments: &[&str]) {
        let (password, to) = (self.password(from), to.join(","));
        let login = ["--tlsc", "--auth", "PLAIN", "--auth-user", from, "--auth-password", &password];
        let envelope = ["--from", from, "--to", &to];
        let ran = self.swaks(port::SUBMISSIONS, &[&login[..], &envelope, arguments].concat());
        assert_eq!(ran.code, 0, "swaks: {}", ran.text());
    }

    /// The same by curl, which sends a file as it is and asks for SMTPUTF8 where an address needs it.
    pub fn submit_file(&self, from: &str, to: &[&str], message: &Path) -> Ran {
        let user = format!("{from}:{}", self.password(from));
        let url = format!("smtps://{}:{}/client.example.com", self.address, port::SUBMISSIONS);
        let message = message.to_string_lossy();
        let mut all = vec!["--user", &user, "--url", &url, "--upload-file", &message, "--mail-from", from];
        all.extend(to.iter().flat_map(|to| ["--mail-rcpt", to]));
        curl(&all)
    }

    /// A POP3 request over TLS by curl: `path` is a message's number or nothing.
    pub fn pop3(&self, mailbox: &str, path: &str, arguments: &[&str]) -> Ran {
        let user = format!("{mailbox}:{}", self.password(mailbox));
        let url = format!("pop3s://{}:{}/{path}", self.address, port::POP3S);
        curl(&[&["--user", &user, "--url", &url], arguments].concat())
    }

    /// Message `number` of a mailbox, once there are as many.
    pub fn fetch_octets(&self, mailbox: &str, number: usize) -> Vec<u8> {
        let began = Instant::now();
        loop {
            let ran = self.pop3(mailbox, &number.to_string(), &[]);
            if ran.code == 0 {
                return ran.output;
            }
            let late = began.elapsed() > ARRIVAL_SECONDS_MAX;
            assert!(!late, "message {number} of {mailbox} never came: {}{}", ran.text(), self.queue());
            pause();
        }
    }

    /// The same as text.
    pub fn fetch(&self, mailbox: &str, number: usize) -> String {
        String::from_utf8_lossy(&self.fetch_octets(mailbox, number)).into_owned()
    }

    /// What waits in the queue, as people see it.
    pub fn queue(&self) -> String {
        self.paquebot(&["queue", "list"])
    }
}

fn curl(arguments: &[&str]) -> Ran {
    // The certificate is self-signed: tests of the certificate itself use openssl.
    let always = ["--silent", "--show-error", "--insecure", "--max-time", CURL_SECONDS_MAX];
    tool::run("curl", &[&always[..], arguments].concat(), b"")
}
