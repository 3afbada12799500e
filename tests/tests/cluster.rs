//! The tests' own ground holds: the real Kubernetes node that `tests/src/cluster.rs` starts, piece by piece.

use std::path::Path;

use paquebot_tests::{
    cluster::{
        Cluster, NAME_SERVERS, Namespace, Place,
        node::{CLIENTS, RESOLVER, Who},
        wait_for, wait_until,
    },
    repository, tool,
};

/// A web server that says who asked.
fn web_server(namespace: &Namespace<'_>, name: &str) {
    let image = namespace.cluster.hello_image();
    namespace.apply(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
  - name: hello
    image: {image}
    args: [serve]
    readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}, periodSeconds: 1}}
    securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {{app: {name}}}
  ports: [{{port: 80, targetPort: 8080}}]
"
    ));
    namespace.wait(&format!("pod/{name}"), "condition=Ready");
}

fn get(cluster: &Cluster, place: Place, address: &str) -> Option<String> {
    let ran = cluster.exec(place, &cluster.hello(), &["get", &format!("http://{address}/")], b"");
    (ran.code == 0).then(|| ran.text())
}

fn resolves(cluster: &Cluster, place: Place, kind: &str, name: &str) -> String {
    cluster.exec(place, &cluster.hello(), &["lookup", kind, name], b"").text()
}

#[test]
fn a_pod_is_served_through_a_load_balancer_to_a_client_outside() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("outside", true);
    web_server(&namespace, "web");
    let address = wait_for("an address", || namespace.field("service/web", "{.status.loadBalancer.ingress[0].ip}"));
    assert!(address.starts_with("198.51.100."), "{address}");
    let answer = wait_for("an answer", || get(cluster, Place::Client, &address));
    assert!(answer.contains(&format!("from {}", CLIENTS[0])), "{answer}");

    // The same by its name, from the node.
    let name = format!("web.{}.svc.cluster.local", namespace.name);
    assert!(wait_for("an answer", || get(cluster, Place::Node, &name)).contains("hello from web"));
}

#[test]
fn a_policy_is_enforced() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("policy", true);
    web_server(&namespace, "web");
    let address = wait_for("an address", || namespace.field("service/web", "{.status.loadBalancer.ingress[0].ip}"));
    wait_for("an answer", || get(cluster, Place::Client, &address));
    namespace.apply(
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: none}, \
         spec: {podSelector: {}, policyTypes: [Ingress]}}",
    );
    wait_until("no answer", || get(cluster, Place::Client, &address).is_none());
    namespace.must(&["delete", "networkpolicy", "none"], "");
    wait_for("an answer again", || get(cluster, Place::Client, &address));
}

#[test]
fn the_three_name_servers_can_differ() {
    let cluster = Cluster::shared();
    let zone = format!("zone-{}.example", std::process::id());
    cluster.publish(&zone, "@ MX 10 one\none A 192.0.2.1");
    assert_eq!(resolves(cluster, Place::Client, "MX", &zone), format!("10 one.{zone}.\n"));
    cluster.publish_at(3, &zone, "@ MX 20 three");
    for (server, host) in NAME_SERVERS.into_iter().chain([RESOLVER]).zip(["one", "one", "three", "one"]) {
        let seen = cluster.exec(Place::Node, &cluster.hello(), &["lookup", "MX", &zone, server], b"").text();
        assert!(seen.contains(&format!("{host}.{zone}.")), "{server}: {seen}");
    }
    cluster.unpublish(&zone);
    assert!(resolves(cluster, Place::Node, "MX", &zone).contains("no such host"));
}

#[test]
fn the_audit_log_says_who_wrote_what() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("audit", false);
    let audit = cluster.audit();
    namespace.must(&["create", "configmap", "seen", "--from-literal=key=content-not-logged"], "");
    let seen = wait_for("the request", || {
        audit.requests().into_iter().find(|request| request.namespace == namespace.name && request.name == "seen")
    });
    assert_eq!((seen.user.as_str(), seen.verb.as_str(), seen.code), ("admin", "create", 201));
    assert!(seen.writes() && seen.resource == "configmaps" && seen.agent.starts_with("kubectl"), "{seen:?}");
    assert!(!format!("{:?}", audit.requests()).contains("content-not-logged"));
}

#[test]
fn our_image_runs_as_nobody_with_a_read_only_root() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("image", true);
    namespace.apply(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: version}}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
  - name: version
    image: {}
    args: [--version]
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {{drop: [ALL]}}
",
        cluster.image()
    ));
    namespace.wait("pod/version", "jsonpath={.status.phase}=Succeeded");
    let printed = namespace.must(&["logs", "pod/version"], "");
    assert_eq!(printed.trim(), concat!("paquebot ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_program_runs_in_the_clusters_network_until_it_is_dropped() {
    let cluster = Cluster::shared();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let hello = cluster.hello();
    let mut server = cluster.spawn(Place::Client, &hello, &["serve"], &[("VERSION", "from-outside")], &log);
    let url = format!("{}:8080", CLIENTS[1]);
    let answer = wait_for("an answer", || get(cluster, Place::Node, &url));
    assert!(answer.contains("version from-outside"), "{answer}");
    assert!(server.runs() && server.log().contains("serving"), "{}", server.log());
    drop(server);
    assert_eq!(get(cluster, Place::Node, &url), None);
}

#[test]
fn components_stop_and_a_user_is_cut_off_while_pods_run_on() {
    let cluster = Cluster::own();
    let namespace = cluster.namespace("stop", true);
    web_server(&namespace, "web");
    let pod = namespace.field("pod/web", "{.status.podIP}").unwrap();
    let started = namespace.field("pod/web", "{.status.containerStatuses[0].containerID}");

    let stopped = cluster.stop(&["etcd", "kube-apiserver"]);
    assert_ne!(cluster.kubectl(&["get", "nodes", "--request-timeout=2s"], "").code, 0);
    wait_for("an answer of the pod", || get(&cluster, Place::Node, &format!("{pod}:8080")));
    drop(stopped);
    cluster.must(&["get", "nodes"], "");

    // `nobody` does not reach the API server, but the pod.
    let port = std::fs::read_to_string(cluster.kubeconfig().with_file_name("port")).unwrap();
    let reaches = |address: &str| {
        let script = format!("exec 3<>/dev/tcp/{}", address.replace(':', "/"));
        let arguments = ["--reuid=65534", "--clear-groups", "timeout", "1", "bash", "-c", &script];
        cluster.exec(Place::Node, "setpriv", &arguments, b"").code == 0
    };
    let api = format!("127.0.0.1:{port}");
    wait_until("a connection to the API server", || reaches(&api));
    let cut = cluster.cut_from_api(Who::User(65534));
    assert!(!reaches(&api));
    wait_until("a connection to the pod", || reaches(&format!("{pod}:8080")));
    cluster.must(&["get", "nodes"], "");
    drop(cut);
    wait_until("a connection again", || reaches(&api));
    assert_eq!(namespace.field("pod/web", "{.status.containerStatuses[0].containerID}"), started);
}

/// Load balancers, NetworkPolicies, name servers, components: 43 checks.
#[test]
fn the_nodes_own_checks_pass() {
    let cluster = Cluster::own();
    let script = repository().join("tests/cluster/smoke/network.sh").display().to_string();
    let programs = Path::new(&cluster.program()).with_file_name("").display().to_string();
    let folder = cluster.kubeconfig().with_file_name("").display().to_string();
    let ran = tool::run(&script, &[&programs, &folder], b"");
    assert_eq!(ran.code, 0, "{}", ran.text());
    assert!(!ran.text().contains("FAIL"), "{}", ran.text());
}
