//! What an operator of the tests may: what `deploy/operator.yaml` gives, and no more.
//!
//! A right that the file lacks shows: what the API server denied is in its audit log, and ends the test.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::Start;
use crate::{
    cluster::{Cluster, audit::Request},
    repository,
};

/// The file's ClusterRole and Role, and its namespace's Role, by one name.
const FILE: &str = "deploy/operator.yaml";
/// The ClusterRole as the tests name it, so that an installed operator's is left alone.
const ROLE: &str = "paquebot-test-operator";

/// Makes the ServiceAccount and binds it to them: everywhere, or by Roles in its namespaces only.
pub(super) fn permit(start: &Start<'_>, account: &str) {
    let (home, cluster) = (start.home, start.home.cluster);
    home.must(&["create", "serviceaccount", account], "");
    let mut everywhere = document("ClusterRole");
    everywhere["metadata"]["name"] = json!(ROLE);
    cluster.apply(&everywhere.to_string());
    let mut at_home = document("Role");
    at_home["metadata"]["namespace"] = json!(home.name);
    home.apply(&at_home.to_string());

    let subject = format!("--serviceaccount={}:{account}", home.name);
    let bind = |namespace: &str, name: &str, role: &str| {
        cluster.must(&["create", "rolebinding", name, "--namespace", namespace, role, &subject], "");
    };
    let name = at_home["metadata"]["name"].as_str().unwrap();
    bind(&home.name, &format!("{account}-home"), &format!("--role={name}"));
    let role = format!("--clusterrole={ROLE}");
    if start.roles_only {
        // A namespace may be named twice.
        let namespaces: BTreeSet<&String> = start.settings.watch_namespaces.iter().chain([&home.name]).collect();
        namespaces.into_iter().for_each(|namespace| bind(namespace, account, &role));
    } else {
        cluster.must(&["create", "clusterrolebinding", &binding(&home.name, account), &role, &subject], "");
    }
}

/// Takes back what goes with no namespace.
pub(super) fn take_back(cluster: &Cluster, home: &str, account: &str) {
    let binding = binding(home, account);
    cluster.kubectl(&["delete", "clusterrolebinding", &binding, "--ignore-not-found", "--wait=false"], "");
}

/// The requests of a user that no rule allowed; with Roles only it tries to read what is of no namespace.
///
/// An API server that has just started denies for a moment what it allows later: it answers before it has read the
/// rules. What was allowed at any time is no right that lacks.
pub fn denied(requests: Vec<Request>, user: &str, roles_only: bool) -> Vec<Request> {
    // A right to create is not given by name, and a request that is denied unread has none.
    let name = |it: &Request| if it.verb == "create" { String::new() } else { it.name.clone() };
    let what = |it: &Request| [it.verb.clone(), it.resource.clone(), it.namespace.clone(), name(it)];
    let requests: Vec<Request> = requests.into_iter().filter(|it| it.user == user).collect();
    let allowed: BTreeSet<[String; 4]> = requests.iter().filter(|it| !it.denied).map(what).collect();
    let expected = |it: &Request| roles_only && it.namespace.is_empty();
    requests.into_iter().filter(|it| it.denied && !expected(it) && !allowed.contains(&what(it))).collect()
}

fn binding(home: &str, account: &str) -> String {
    format!("{home}-{account}")
}

fn document(kind: &str) -> Value {
    let text = fs::read_to_string(repository().join(FILE)).unwrap();
    let found = text.split("\n---\n").find(|it| it.contains(&format!("\nkind: {kind}\n")));
    serde_yaml::from_str(found.unwrap_or_else(|| panic!("{FILE} holds no {kind}"))).unwrap()
}
