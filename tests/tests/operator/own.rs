//! What is the operator's own is deleted and edited by hand: the leader puts it back at once.

use paquebot_tests::cluster::wait_until;
use serde_json::{Value, json};

use super::world::{World, text};

#[test]
fn the_operators_own_secrets_come_back_as_they_were() {
    let world = World::without_pods("own");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    for name in ["paquebot-authority", "paquebot-password-digest"] {
        let before = world.wait("Secret", name, "it is there", |it| Some(it.clone()));
        operator.wait_to_settle(std::time::Duration::from_secs(3));
        world.delete("Secret", name);
        let after = world.wait("Secret", name, "it comes back", |it| {
            (text(it, "/metadata/uid") != text(&before, "/metadata/uid")).then(|| it.clone())
        });
        assert_eq!((&after["data"], &after["metadata"]["labels"]), (&before["data"], &before["metadata"]["labels"]));
        // Edited, and its labels too.
        let edit = json!({"data": {"key": "eA==", "tls.key": "eA=="}, "metadata": {"labels": null}});
        world.patch("Secret", name, &edit).unwrap();
        world.wait("Secret", name, "it is put right", |it| {
            (it["data"] == before["data"] && it["metadata"]["labels"] == before["metadata"]["labels"]).then_some(())
        });
    }
    assert!(operator.process.runs());
}

/// Labels and owner of a certificate's Secret are edited away: they come back, and the certificate is the same.
#[test]
fn a_certificates_secret_keeps_its_labels_and_its_owner() {
    let world = World::without_pods("labels");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    world.declare("MailServer", "main", "{hostname: mail.labels.example}");
    world.reason("MailServer", "main", "TLSReady", "SelfSigned");
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    let base = paquebot::names::base("MailServer", "main");
    for name in [format!("{base}-tls"), format!("{base}-admin")] {
        let before = world.get("Secret", &name).unwrap();
        for edit in [
            json!({"labels": null}),
            json!({"ownerReferences": null}),
            json!({"labels": null, "ownerReferences": null}),
        ] {
            world.patch("Secret", &name, &json!({"metadata": edit})).unwrap();
            world.wait("Secret", &name, "it is as it was", |it| {
                let same = |field: &str| it["metadata"][field] == before["metadata"][field];
                (same("labels") && same("ownerReferences")).then_some(())
            });
            operator.wait_to_settle(std::time::Duration::from_millis(300));
            assert_eq!(world.get("Secret", &name).unwrap()["data"], before["data"], "{name} was made anew");
        }
    }
    world.reason("MailServer", "main", "TLSReady", "SelfSigned");
}

const WEBHOOK: &str = "ValidatingWebhookConfiguration";

/// What of the whole cluster's a test made; it is deleted when it is dropped.
struct Cleared<'a>(&'a World<'a>, String);

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        let cluster = self.0.space.cluster;
        for kind in ["clusterrole", "clusterrolebinding"] {
            cluster.kubectl(&["delete", kind, &self.1, "--ignore-not-found", "--wait=false"], "");
        }
        cluster.kubectl(&["delete", WEBHOOK, "paquebot", "--ignore-not-found", "--wait=false"], "");
    }
}

/// Just the rights that `deploy/operator.yaml` gives on registrations of webhooks.
fn may_register<'a>(world: &'a World<'a>, account: &str) -> Cleared<'a> {
    let text = std::fs::read_to_string(paquebot_tests::repository().join("deploy/operator.yaml")).unwrap();
    let mut all = text.split("\n---\n").map(|it| serde_yaml::from_str::<Value>(it).unwrap());
    let role = all.find(|it| it["kind"] == "ClusterRole").unwrap();
    let group = json!(["admissionregistration.k8s.io"]);
    let rules = role["rules"].as_array().unwrap().iter().filter(|it| it["apiGroups"] == group).cloned();
    let (rules, name) = (rules.collect::<Vec<_>>(), format!("register-{}", world.space.name));
    assert_eq!(rules.len(), 2, "{rules:?}");
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules});
    let cluster = world.space.cluster;
    cluster.must(&["apply", "--filename", "-"], &role.to_string());
    let cleared = Cleared(world, name.clone());
    let (role, account) = (format!("--clusterrole={name}"), format!("--serviceaccount={}:{account}", world.space.name));
    cluster.must(&["create", "clusterrolebinding", &name, &role, &account], "");
    cleared
}

#[test]
fn the_registration_of_the_webhook_comes_back() {
    let world = World::without_pods("registered");
    let mut start = world.operator();
    let address = std::net::SocketAddr::new(start.settings.metrics.unwrap().ip(), 9443);
    let url = format!("https://{address}");
    start.settings.webhook = Some(serde_json::from_value(json!({"address": address.to_string(), "url": url})).unwrap());
    start.roles_only = true;
    let mut operator = start.run();
    operator.wait_to_lead();
    // It may not, and says so once.
    wait_until("it knows that it may not", || operator.process.log().contains("the webhook is not used"));
    // The library below logs each watch that ends; by default it is not heard. The second time counts too.
    wait_until("it looks again", || {
        let log = operator.process.log();
        log.lines().filter(|it| it.contains("kube_runtime") && it.contains("validatingwebhook")).count() >= 2
    });
    let ours = |it: &str| it.contains("WARN") && !it.contains("kube_runtime");
    let warned = |it: &str| ours(it) && (it.contains("webhook") || it.contains("validatingwebhook"));
    let log = operator.process.log();
    assert_eq!(log.lines().filter(|it| warned(it)).collect::<Vec<_>>(), [""; 0]);

    let _cleared = may_register(&world, &operator.name);
    let ours = |it: &Value| text(it, "/webhooks/0/clientConfig/url").starts_with(&url);
    let before = world.wait(WEBHOOK, "paquebot", "it is registered", |it| ours(it).then(|| it.clone()));
    operator.wait_to_settle(std::time::Duration::from_secs(3));
    world.delete(WEBHOOK, "paquebot");
    let after = world.wait(WEBHOOK, "paquebot", "it comes back", |it| {
        (text(it, "/metadata/uid") != text(&before, "/metadata/uid")).then(|| it.clone())
    });
    assert_eq!(after["webhooks"], before["webhooks"]);
    let mut edited = after["webhooks"].clone();
    edited[0]["failurePolicy"] = "Fail".into();
    world.patch(WEBHOOK, "paquebot", &json!({"webhooks": edited})).unwrap();
    world.wait(WEBHOOK, "paquebot", "it is put right", |it| (it["webhooks"] == before["webhooks"]).then_some(()));
    assert!(operator.process.runs());
    drop(operator);
}
