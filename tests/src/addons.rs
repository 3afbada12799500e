//! cert-manager and external-dns as processes in the node's network: what users have beside Paquebot, out of the
//! published modules (`tests/cluster/addons`). Their kinds are the whole cluster's: for a node of the test's own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    cluster::{Cluster, PATIENCE, Place, Process},
    repository,
};

/// Where the program and the definitions lie; the first time on a machine they are built.
fn built() -> PathBuf {
    let script = repository().join("tests/cluster/cached.sh");
    let printed = Command::new(&script).arg("addons").stderr(Stdio::inherit()).output().unwrap();
    assert!(printed.status.success(), "{} addons failed", script.display());
    PathBuf::from(String::from_utf8(printed.stdout).unwrap().trim())
}

/// Makes the cluster know cert-manager's kinds and starts it.
pub fn cert_manager(cluster: &Cluster, log: &Path) -> Process {
    let kinds = ["certificaterequests", "certificates", "clusterissuers", "issuers"];
    define(cluster, &kinds.map(|kind| format!("cert-manager.io_{kind}")));
    run(cluster, &["cert-manager"], log)
}

/// Makes the cluster know DNSEndpoints and starts external-dns for them, with these flags of its own more.
pub fn external_dns(cluster: &Cluster, flags: &[&str], log: &Path) -> Process {
    define(cluster, &["dnsendpoints.externaldns.k8s.io".to_owned()]);
    let always = ["external-dns", "--source=crd", "--policy=sync", "--interval=1s"];
    run(cluster, &[&always[..], flags].concat(), log)
}

fn define(cluster: &Cluster, files: &[String]) {
    let folder = built().join("crds");
    let paths: Vec<String> =
        files.iter().map(|it| format!("--filename={}", folder.join(format!("{it}.yaml")).display())).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    cluster.must(&[&["apply", "--server-side"][..], &paths].concat(), "");
    let patience = format!("--timeout={}s", PATIENCE.as_secs());
    cluster.must(&[&["wait", "--for=condition=Established", &patience][..], &paths].concat(), "");
}

fn run(cluster: &Cluster, words: &[&str], log: &Path) -> Process {
    cluster.spawn(Place::Node, &built().join("addons").display().to_string(), words, &[], log)
}
