//! Mail servers by YAML, the zones that follow, and what a user's programs outside the cluster do.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use paquebot::names::base;
use paquebot_tests::{
    cluster::{Cluster, Namespace, PATIENCE, Place, wait_for, wait_within},
    operator::NEXT_LOOK,
    tool::Ran,
};
use serde_json::Value;

/// Where the world finds it.
const SMTPS: u16 = 465;
const POP3S: u16 = 995;
/// For each of curl's and swaks' conversations.
const TALK_SECONDS: &str = "60";

/// The smallest MailDomain: five lines.
pub fn five_lines(namespace: &Namespace<'_>, domain: &str) -> String {
    let lines = include_str!("../../../examples/mail.yaml");
    let lines = lines.split("---").next().unwrap();
    lines.replace("namespace: mail", &format!("namespace: {}", namespace.name)).replace("example.com", domain)
}

/// A Mailbox.
pub fn mailbox(name: &str, address: &str) -> String {
    format!(
        "{{apiVersion: paquebot.dev/v1alpha1, kind: Mailbox, metadata: {{name: {name}}}, spec: {{address: {address}}}}}"
    )
}

/// Waits until the server that these domains share is ready; gives its address.
pub fn server_address(namespace: &Namespace<'_>) -> String {
    namespace.wait("mailserver/default", "condition=Available");
    wait_for("an address", || namespace.field("mailserver/default", "{.status.addresses[0]}"))
}

/// The records that are to be published, out of the ConfigMap, as soon as both keys are among them and, where the
/// server's host is in this domain, its address.
pub fn zone(namespace: &Namespace<'_>, domain: &str) -> String {
    let map = format!("configmap/{}-zone", base("MailDomain", domain));
    let host = format!("mail.{domain}.");
    let complete =
        |text: &String| text.matches("DKIM1").count() == 2 && (text.contains(" A ") || !text.contains(&host));
    wait_for("the zone", || namespace.field(&map, "{.data.zone}").filter(complete))
}

/// Publishes a domain's records at all name servers, and waits until it is ready.
pub fn publish_and_wait(namespace: &Namespace<'_>, domain: &str) {
    namespace.cluster.publish(domain, &zone(namespace, domain));
    namespace.wait_within(&format!("maildomain/{domain}"), "condition=Ready", NEXT_LOOK);
}

/// The pod of the namespace's server, as JSON; it is there.
pub fn pod(namespace: &Namespace<'_>) -> Value {
    let text = namespace.must(&["get", "pods", "--selector=app.kubernetes.io/component=mta", "--output=json"], "");
    let mut list: Value = serde_json::from_str(&text).unwrap();
    let pods = list["items"].as_array_mut().unwrap();
    assert_eq!(pods.len(), 1, "{text}");
    pods.remove(0)
}

/// What tells one run of the pod's process from another.
pub fn run_of(pod: &Value) -> (String, String, Value) {
    let container = &pod["status"]["containerStatuses"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&pod["metadata"]["uid"]), text(&container["containerID"]), container["restartCount"].clone())
}

/// A value of a Secret.
pub fn secret(namespace: &Namespace<'_>, name: &str, key: &str) -> Option<String> {
    let path = format!("{{.data.{}}}", key.replace('.', "\\."));
    let text = namespace.field(&format!("secret/{name}"), &path)?;
    Some(String::from_utf8(STANDARD.decode(text).unwrap()).unwrap())
}

/// How long something took, for people.
pub fn took(what: &str, since: Instant) {
    println!("measured: {what}: {:.1} s", since.elapsed().as_secs_f64());
}

/// Somebody with a mailbox, at a machine outside of the cluster.
pub struct User<'a> {
    cluster: &'a Cluster,
    /// The server's address.
    pub server: String,
    /// The mailbox, which is the login.
    pub name: String,
    /// Its password.
    pub password: String,
}

impl<'a> User<'a> {
    /// The postmaster that a MailDomain brings.
    pub fn postmaster(namespace: &'a Namespace<'a>, server: &str, domain: &str) -> Self {
        let name = format!("{}-postmaster", base("MailDomain", domain));
        let password = wait_for("the postmaster's password", || secret(namespace, &name, "password"));
        Self::with_password(namespace.cluster, server, &format!("postmaster@{domain}"), &password)
    }

    /// Somebody whose Mailbox is ready, with a password that was made.
    pub fn of_mailbox(namespace: &'a Namespace<'a>, server: &str, name: &str) -> Self {
        let object = format!("mailbox/{name}");
        let secret_name = wait_for("a Secret", || namespace.field(&object, "{.status.secretName}"));
        let password = wait_for("a password", || secret(namespace, &secret_name, "password"));
        let address = namespace.field(&object, "{.spec.address}").unwrap();
        Self::with_password(namespace.cluster, server, &address, &password)
    }

    /// With this password.
    pub fn with_password(cluster: &'a Cluster, server: &str, name: &str, password: &str) -> Self {
        let (server, name, password) = (server.to_owned(), name.to_owned(), password.to_owned());
        Self { cluster, server, name, password }
    }

    /// Hands in a message by swaks, with these arguments more.
    pub fn submit(&self, to: &str, arguments: &[&str]) -> Ran {
        let server = format!("{}:{SMTPS}", self.server);
        let login = ["--auth", "PLAIN", "--auth-user", &self.name, "--auth-password", &self.password];
        let always = ["--server", &server, "--tlsc", "--helo", "client.example.net", "--timeout", TALK_SECONDS];
        let envelope = ["--from", self.name.as_str(), "--to", to];
        let all = [&always[..], &login, &envelope, arguments].concat();
        self.cluster.exec(Place::Client, "swaks", &all, b"")
    }

    /// The same, and it must be accepted.
    pub fn must_submit(&self, to: &str, arguments: &[&str]) {
        let ran = self.submit(to, arguments);
        assert_eq!(ran.code, 0, "swaks: {}", ran.text());
    }

    /// A POP3 request by curl: `path` is a message's number or nothing.
    pub fn pop3(&self, path: &str) -> Ran {
        let user = format!("{}:{}", self.name, self.password);
        let url = format!("pop3s://{}:{POP3S}/{path}", self.server);
        let words = ["--silent", "--show-error", "--insecure", "--max-time", TALK_SECONDS, "--user", &user, &url];
        self.cluster.exec(Place::Client, "curl", &words, b"")
    }

    /// Whether its password opens its mailbox.
    pub fn can_log_in(&self) -> bool {
        self.pop3("").code == 0
    }

    /// Message `number`, once there are as many.
    pub fn fetch(&self, number: usize) -> Vec<u8> {
        self.fetch_within(PATIENCE, number)
    }

    /// The same of one that may take its time.
    pub fn fetch_within(&self, patience: Duration, number: usize) -> Vec<u8> {
        wait_within(patience, &format!("message {number} of {}", self.name), || {
            let ran = self.pop3(&number.to_string());
            (ran.code == 0).then_some(ran.output)
        })
    }

    /// A program that talks Python's way, with this user's server, name and password before its arguments.
    pub fn python(&self, script: &str) -> Vec<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e").join(script);
        assert!(script.exists(), "{}", script.display());
        vec![script.display().to_string(), self.server.clone(), self.name.clone(), self.password.clone()]
    }
}

/// Waits until a condition of an object, which follows from a look at the name servers, has all of these words.
pub fn wait_message(namespace: &Namespace<'_>, object: &str, condition: &str, words: &[&str]) -> String {
    let path = format!("{{.status.conditions[?(@.type==\"{condition}\")].message}}");
    let mut last = String::new();
    wait_within(NEXT_LOOK, &format!("{object} {condition}: {words:?}"), || {
        last = namespace.field(object, &path).unwrap_or_default();
        words.iter().all(|word| last.contains(word)).then_some(())
    });
    last
}
