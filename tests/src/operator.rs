//! The operator as a process, with a real API server: `paquebot operator` in the node's network, as a ServiceAccount of
//! its own, so that the audit log tells operators apart.
//!
//! It is confined to the namespaces that it is given, so that tests share a cluster side by side, and to the rights
//! that `deploy/operator.yaml` gives (`operator/rights.rs`).

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use paquebot::{dns::verify::schedule::RETRY_MAX, settings::Settings};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    cluster::{Cluster, Namespace, PATIENCE, Place, Process, audit::Audit, wait_until},
    program, repository, tool,
};

pub mod rights;

/// By when it has looked at name servers again, however often it found nothing there before.
pub const NEXT_LOOK: Duration = Duration::from_secs(RETRY_MAX.as_secs() * 6 / 5 + PATIENCE.as_secs());
/// The port of its metrics, at a loopback address of its own.
const METRICS_PORT: u16 = 9090;

/// What may differ between operators.
pub struct Start<'a> {
    /// The operator's own namespace: lease, authority, ServiceAccount.
    pub home: &'a Namespace<'a>,
    /// What it is told; it watches `home` where nothing else is set.
    pub settings: Settings,
    /// It runs as this user of the system, so that it can be cut off: `Cluster::cut_from_api`.
    pub user: Option<u32>,
    /// It sees its namespaces only, by Roles: no StorageClasses, no labels of namespaces.
    pub roles_only: bool,
}

impl<'a> Start<'a> {
    /// In this namespace, for this namespace; its pods run this image.
    pub fn at(home: &'a Namespace<'a>, image: &str) -> Self {
        let mut settings = Settings::of_image(image);
        settings.namespace.clone_from(&home.name);
        settings.watch_namespaces = vec![home.name.clone()];
        let number = Uuid::new_v4().as_u128();
        let octet = |shift: u32| u8::try_from(number >> shift & 0xff).unwrap_or(1).clamp(1, 254);
        settings.metrics = Some(([127, octet(0), octet(8), octet(16)], METRICS_PORT).into());
        Self { home, settings, user: None, roles_only: false }
    }

    /// It watches these as well.
    #[must_use]
    pub fn watching(mut self, others: &[&Namespace<'_>]) -> Self {
        self.settings.watch_namespaces.extend(others.iter().map(|it| it.name.clone()));
        self
    }

    /// Starts it.
    pub fn run(self) -> Operator<'a> {
        let cluster = self.home.cluster;
        define(cluster);
        let name = format!("operator-{}", &Uuid::new_v4().simple().to_string()[..8]);
        // Where the cluster is the user's own, there is no audit log to read.
        let audit = cluster.is_ours().then(|| cluster.audit());
        rights::permit(&self, &name);
        let folder = tempfile::tempdir().unwrap();
        // Another user reads it too.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let config = folder.path().join("operator.yaml");
        fs::write(&config, serde_yaml::to_string(&self.settings).unwrap()).unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        fs::write(&kubeconfig, self.kubeconfig(&name)).unwrap();
        // `env` and `setpriv` leave no process between.
        let mut words = vec![format!("KUBECONFIG={}", kubeconfig.display())];
        if let Some(user) = self.user {
            words.extend(["setpriv".to_owned(), format!("--reuid={user}"), "--clear-groups".to_owned()]);
        }
        words.extend([program("paquebot").display().to_string(), "operator".to_owned()]);
        words.extend(["--config".to_owned(), config.display().to_string()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let log = folder.path().join("log");
        let process = cluster.spawn(Place::Node, "env", &words, &[("RUST_LOG", "info,paquebot=debug")], &log);
        let (home, roles_only) = (self.home.name.clone(), self.roles_only);
        Operator { name, cluster, settings: self.settings, home, process, folder, audit, roles_only }
    }

    /// The cluster's, with another user.
    fn kubeconfig(&self, name: &str) -> String {
        let token = self.home.must(&["create", "token", name], "");
        let text = fs::read_to_string(self.home.cluster.kubeconfig()).unwrap();
        let mut config: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        for user in config["users"].as_array_mut().unwrap() {
            user["user"] = serde_json::json!({"token": token.trim()});
        }
        serde_yaml::to_string(&config).unwrap()
    }
}

/// Makes the cluster know our kinds, as they are now.
pub fn define(cluster: &Cluster) {
    let folder = repository().join("crds").display().to_string();
    cluster.must(&["apply", "--server-side", "--force-conflicts", "--filename", &folder], "");
    let patience = format!("--timeout={}s", PATIENCE.as_secs());
    cluster.must(&["wait", "--for=condition=Established", "--filename", &folder, &patience], "");
}

/// An operator that runs; killed when dropped.
pub struct Operator<'a> {
    /// Its ServiceAccount.
    pub name: String,
    /// Its settings.
    pub settings: Settings,
    /// It itself.
    pub process: Process,
    home: String,
    cluster: &'a Cluster,
    folder: TempDir,
    audit: Option<Audit>,
    roles_only: bool,
}

impl Operator<'_> {
    /// From now on it lacks rights, and its test wants that.
    pub fn lacks_rights(&mut self) {
        self.audit = None;
    }

    /// As the audit log knows it.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.home, self.name)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Its settings' file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("operator.yaml")
    }

    /// Sends it a signal: `KILL`, `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, signal: &str) {
        tool::must("kill", &[&format!("-{signal}"), &self.pid().to_string()], b"");
    }

    /// What it answers over HTTP, `/metrics`, `/healthz`, `/readyz`, with 200.
    pub fn get(&self, path: &str) -> Option<String> {
        let address = self.settings.metrics?;
        let url = format!("http://{address}{path}");
        let words = ["--silent", "--fail", "--max-time", "2", &url];
        let ran = self.cluster.exec(Place::Node, "curl", &words, b"");
        (ran.code == 0).then(|| ran.text())
    }

    /// Whether it leads.
    pub fn leads(&self) -> bool {
        self.get("/metrics").is_some_and(|text| text.lines().any(|line| line == "paquebot_operator_leader 1"))
    }

    /// Waits until it leads.
    pub fn wait_to_lead(&mut self) {
        let pid = self.pid();
        wait_until(&format!("operator {pid} leads"), || self.leads() || !self.process.runs());
        assert!(self.process.runs(), "the operator ended:\n{}", self.process.log());
    }

    /// Waits until nothing is in its queue for a moment but what waits for its time: no reconcile ends for so long.
    pub fn wait_to_settle(&self, quiet: Duration) {
        let (mut before, mut since) = (String::new(), Instant::now());
        wait_until("the operator settles", || {
            let Some(now) = self.get("/metrics") else {
                since = Instant::now();
                return false;
            };
            let now: String = now.lines().filter(|line| line.contains("reconciles_total")).collect();
            if now != before {
                (before, since) = (now, Instant::now());
            }
            since.elapsed() >= quiet
        });
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        // A stopped process does not hear SIGTERM.
        let _ = self.process.child.kill();
        rights::take_back(self.cluster, &self.home, &self.name);
        if std::thread::panicking() {
            return;
        }
        let requests = self.audit.as_ref().map(Audit::requests).unwrap_or_default();
        let denied = rights::denied(requests, &self.user(), self.roles_only);
        assert!(denied.is_empty(), "deploy/operator.yaml gives no right to: {denied:#?}");
    }
}
