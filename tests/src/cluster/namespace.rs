//! A namespace that goes with its test.

use std::time::Duration;

use uuid::Uuid;

use super::{Cluster, PATIENCE};
use crate::tool::Ran;

/// A namespace; deleted, with all in it, when dropped.
#[derive(Debug)]
pub struct Namespace<'a> {
    /// Its name: `test-`, what the test called it, and what makes it the only one.
    pub name: String,
    /// Where it is.
    pub cluster: &'a Cluster,
}

impl Cluster {
    /// Makes a namespace. With `restricted` it enforces the Pod Security level of that name.
    pub fn namespace(&self, called: &str, restricted: bool) -> Namespace<'_> {
        let unique = Uuid::new_v4().simple().to_string();
        let name = format!("test-{called}-{}", unique.get(..8).unwrap_or(&unique));
        let level = if restricted { "restricted" } else { "privileged" };
        self.apply(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, \
             labels: {{pod-security.kubernetes.io/enforce: {level}}}}}}}"
        ));
        let namespace = Namespace { name, cluster: self };
        // Pods are refused until there is one.
        let patience = format!("--timeout={}s", PATIENCE.as_secs());
        namespace.must(&["wait", "--for=create", "serviceaccount/default", &patience], "");
        namespace
    }
}

impl Namespace<'_> {
    /// kubectl in this namespace.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Ran {
        self.cluster.kubectl(&[&["--namespace", self.name.as_str()], arguments].concat(), input)
    }

    /// The same, and it must succeed; gives its standard output.
    pub fn must(&self, arguments: &[&str], input: &str) -> String {
        self.cluster.must(&[&["--namespace", self.name.as_str()], arguments].concat(), input)
    }

    /// Applies YAML on the server's side.
    pub fn apply(&self, yaml: &str) -> String {
        self.must(&["apply", "--server-side", "--filename", "-"], yaml)
    }

    /// A field of an object by its JSONPath, as `{.status.phase}`; none where object or field is not there.
    pub fn field(&self, object: &str, path: &str) -> Option<String> {
        let ran = self.kubectl(&["get", object, "--output", &format!("jsonpath={path}")], "");
        let text = String::from_utf8_lossy(&ran.output).into_owned();
        (ran.code == 0 && !text.is_empty()).then_some(text)
    }

    /// Waits as `kubectl wait --for=...` does, also for objects that are not there yet: `condition=Ready`,
    /// `jsonpath={.status.phase}=Running`, `delete`.
    pub fn wait(&self, object: &str, condition: &str) {
        self.wait_within(object, condition, PATIENCE);
    }

    /// The same of what takes its time also on a fast machine.
    pub fn wait_within(&self, object: &str, condition: &str, patience: Duration) {
        let patience = format!("--timeout={}s", patience.as_secs());
        if condition != "delete" {
            self.must(&["wait", object, "--for=create", &patience], "");
        }
        let ran = self.kubectl(&["wait", object, &format!("--for={condition}"), &patience], "");
        assert_eq!(ran.code, 0, "{object} {condition}: {}\n{}", ran.text(), self.state());
    }

    /// What is there, for a person.
    pub fn state(&self) -> String {
        let objects = self.kubectl(&["get", "pods,services,persistentvolumeclaims", "--output", "wide"], "");
        let events = self.kubectl(&["get", "events", "--sort-by=.lastTimestamp"], "");
        format!("{}\n{}", objects.text(), events.text())
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- namespace {}:\n{}", self.name, self.state());
        }
        let ran = self.cluster.kubectl(&["delete", "namespace", &self.name, "--wait=false"], "");
        if ran.code != 0 {
            eprintln!("namespace {} is not deleted: {}", self.name, ran.text());
        }
    }
}
