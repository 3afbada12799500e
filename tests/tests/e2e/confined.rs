//! MTA pods face the internet: they hold no API token, run `restricted`, and take admin connections from the operator
//! alone.

use paquebot_tests::{
    cluster::{Cluster, Namespace, wait_until},
    operator::Start,
};

use crate::world::{five_lines, pod, server_address};

const SMTP: u16 = 2025;
const ADMIN: u16 = 8443;

#[test]
fn pods_hold_no_token_and_only_the_operator_reaches_their_admin_port() {
    let cluster = Cluster::shared();
    let (mail, other) = (cluster.namespace("confined", true), cluster.namespace("neighbour", true));
    let mut operator = Start::at(&mail, cluster.image()).run();
    operator.wait_to_lead();
    mail.apply(&five_lines(&mail, "confined.example"));
    server_address(&mail);

    // As the API server has it after all admission; `restricted` is enforced, or the pod would not be.
    let level = "{.metadata.labels.pod-security\\.kubernetes\\.io/enforce}";
    let enforced = mail.field(&format!("namespace/{}", mail.name), level);
    assert_eq!(enforced.as_deref(), Some("restricted"));
    let pod = pod(&mail);
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
    let text = pod["spec"].to_string();
    assert!(!text.contains("serviceAccountToken") && !text.contains("/var/run/secrets"), "{text}");
    assert_eq!(pod["status"]["phase"], "Running");

    let address = pod["status"]["podIP"].as_str().unwrap();
    let labels = "app.kubernetes.io/name: paquebot, app.kubernetes.io/component: operator";
    let as_operator = caller(&mail, "operator", labels);
    let neighbour = caller(&mail, "neighbour", "app: shop");
    let false_operator = caller(&other, "operator", labels);
    // Policies need a moment until they know a pod.
    wait_until("the operator's pod reaches the admin port", || reaches(&mail, &as_operator, address, ADMIN));
    for (namespace, caller) in [(&mail, &neighbour), (&other, &false_operator)] {
        wait_until(&format!("{caller} of {}: mail", namespace.name), || reaches(namespace, caller, address, SMTP));
        assert!(!reaches(namespace, caller, address, ADMIN), "{caller} of {} reaches it", namespace.name);
    }
}

/// A pod with these labels from which connections can be tried.
fn caller(namespace: &Namespace<'_>, name: &str, labels: &str) -> String {
    let image = namespace.cluster.hello_image();
    namespace.apply(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{{labels}}}}}
spec:
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
  - name: hello
    image: {image}
    args: [sleep]
    securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
"
    ));
    namespace.wait(&format!("pod/{name}"), "condition=Ready");
    name.to_owned()
}

/// Whether a connection is taken: what is spoken there is no HTTP, and that shows it.
fn reaches(namespace: &Namespace<'_>, caller: &str, address: &str, port: u16) -> bool {
    let url = format!("http://{address}:{port}/");
    let ran = namespace.kubectl(&["exec", &format!("pod/{caller}"), "--", "/hello", "get", &url], "");
    let said = ran.text();
    let refused = ["no route to host", "prohibited", "connection refused", "i/o timeout", "deadline exceeded"];
    assert!(ran.code != 0, "{said}");
    let spoken = ["malformed HTTP", "Unsolicited response", "EOF", "connection reset", "400", "404"];
    let (no, yes) = (refused.iter().any(|it| said.contains(it)), spoken.iter().any(|it| said.contains(it)));
    assert!(no != yes, "{url}: {said}");
    yes
}
