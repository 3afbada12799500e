//! kubectl with the plugin in its PATH, and users with few rights.

use std::{fs, os::unix::fs::symlink};

use paquebot_tests::{
    cluster::{Cluster, Namespace, Place},
    program,
    tool::Ran,
};
use serde_json::Value;

/// kubectl with the plugin in its PATH.
pub struct Plugin {
    folder: tempfile::TempDir,
}

impl Plugin {
    /// Linked to the program as it was last built.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(program("paquebot"), folder.path().join("kubectl-paquebot")).unwrap();
        Self { folder }
    }

    /// `kubectl paquebot …` with a kubeconfig, in the node's network, where the name servers answer.
    pub fn run(&self, cluster: &Cluster, kubeconfig: &str, arguments: &[&str]) -> Ran {
        // Away from any paquebot-data, which would be asked before the cluster.
        let script = format!(
            "cd {0} && PATH={0}:$PATH KUBECONFIG={kubeconfig} exec {1} kubectl paquebot \"$@\"",
            self.folder.path().display(),
            cluster.program(),
        );
        cluster.exec(Place::Node, "bash", &[&["-c", &script, "bash"], arguments].concat(), b"")
    }
}

/// Runs it as the administrator; it must end with this status. Gives standard output.
pub fn expect(plugin: &Plugin, mail: &Namespace<'_>, code: i32, arguments: &[&str]) -> String {
    let kubeconfig = mail.cluster.kubeconfig().display().to_string();
    let ran = plugin.run(mail.cluster, &kubeconfig, arguments);
    assert_eq!(ran.code, code, "{arguments:?}: {}", ran.text());
    String::from_utf8(ran.output).unwrap()
}

/// The kubeconfig of a new ServiceAccount that has these rules in this namespace, as `kubectl create role` takes them.
pub fn user(plugin: &Plugin, mail: &Namespace<'_>, name: &str, rules: &[&[&str]]) -> String {
    mail.must(&["create", "serviceaccount", name], "");
    let account = format!("--serviceaccount={}:{name}", mail.name);
    for (number, rule) in rules.iter().enumerate() {
        let role = format!("{name}-{number}");
        mail.must(&[&["create", "role", &role], *rule].concat(), "");
        mail.must(&["create", "rolebinding", &role, &format!("--role={role}"), &account], "");
    }
    let token = mail.must(&["create", "token", name], "");
    let text = fs::read_to_string(mail.cluster.kubeconfig()).unwrap();
    let mut config: Value = serde_yaml::from_str(&text).unwrap();
    for user in config["users"].as_array_mut().unwrap() {
        user["user"] = serde_json::json!({"token": token.trim()});
    }
    let path = plugin.folder.path().join(name);
    fs::write(&path, serde_yaml::to_string(&config).unwrap()).unwrap();
    path.display().to_string()
}
