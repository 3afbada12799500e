//! A volume grows: the claim is patched, the set deleted without its pod and applied anew.

use paquebot_tests::cluster::wait_until;
use serde_json::{Value, json};

use super::world::{World, find, text};

struct Class<'a>(&'a World<'a>, String);

impl Drop for Class<'_> {
    fn drop(&mut self) {
        self.0.delete("StorageClass", &self.1);
    }
}

fn class<'a>(world: &'a World<'a>, called: &str, grows: bool) -> Class<'a> {
    let name = format!("{called}-{}", world.space.name);
    world.apply(json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": "kubernetes.io/host-path", "allowVolumeExpansion": grows
    }));
    Class(world, name)
}

fn asked(object: &Value) -> String {
    text(object, "/spec/resources/requests/storage")
}

fn size(world: &World<'_>, name: &str, size: &str) -> Result<Value, String> {
    world.patch("MailServer", name, &json!({"spec": {"store": {"sqlite": {"volume": {"size": size}}}}}))
}

#[test]
fn a_volume_grows_under_its_pod() {
    let world = World::new("volume");
    let (growing, fixed) = (class(&world, "growing", true), class(&world, "fixed", false));
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    for (name, class) in [("main", &growing.1), ("fixed", &fixed.1)] {
        let spec = format!(
            "{{hostname: {name}.volume.example, store: {{sqlite: {{volume: {{size: 1Gi, storageClassName: {class}}}}}}}}}"
        );
        world.declare("MailServer", name, &spec);
    }
    let base = paquebot::names::base("MailServer", "main");
    let (claim, pod) = (format!("data-{base}-0"), format!("{base}-0"));
    let runs = |it: &Value| (it["status"]["phase"] == "Running").then(|| text(it, "/metadata/uid"));
    let pod_before = world.wait("Pod", &pod, "it runs", runs);
    let set_before = world.wait("StatefulSet", &base, "it is there", |it| Some(text(it, "/metadata/uid")));

    size(&world, "main", "2Gi").unwrap();
    world.wait("PersistentVolumeClaim", &claim, "it asks for more", |it| (asked(it) == "2Gi").then_some(()));
    world.wait("StatefulSet", &base, "it was applied anew", |it| {
        let template = &it["spec"]["volumeClaimTemplates"][0];
        (text(it, "/metadata/uid") != set_before && asked(template) == "2Gi").then_some(())
    });
    world.reason("MailServer", "main", "Accepted", "Accepted");
    wait_until("the new set has taken the pod", || {
        let set = world.get("StatefulSet", &base).unwrap();
        set["status"]["currentReplicas"] == 1 || set["status"]["replicas"] == 1
    });
    assert_eq!(world.wait("Pod", &pod, "it runs", runs), pod_before, "the pod was left alone");

    // The way back is not there: told by the schema or in the status, and nothing is lost.
    if size(&world, "main", "1Gi").is_ok() {
        let said = world.reason("MailServer", "main", "Accepted", "VolumeNotResizable");
        assert!(said.contains("cannot shrink"), "{said}");
        size(&world, "main", "2Gi").unwrap();
        world.reason("MailServer", "main", "Accepted", "Accepted");
    }

    // A class that does not let it grow: told, and mended in the class.
    let base = paquebot::names::base("MailServer", "fixed");
    let claim = format!("data-{base}-0");
    world.volume("fixed");
    size(&world, "fixed", "2Gi").unwrap();
    let said = world.reason("MailServer", "fixed", "Accepted", "VolumeNotResizable");
    assert!(said.contains("allowVolumeExpansion: true"), "{said}");
    world.patch("StorageClass", &fixed.1, &json!({"allowVolumeExpansion": true})).unwrap();
    world.wait("PersistentVolumeClaim", &claim, "it asks for more", |it| (asked(it) == "2Gi").then_some(()));
    world.reason("MailServer", "fixed", "Accepted", "Accepted");

    // What a quota forbids waits for the quota.
    let hard = json!({"requests.storage": "4Gi"});
    world.apply(
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": hard}}),
    );
    let counted = |it: &Value| it["status"]["used"]["requests.storage"].as_str().map(|_| ());
    world.wait("ResourceQuota", "few", "it counts", counted);
    size(&world, "fixed", "3Gi").unwrap();
    let said = world.reason("MailServer", "fixed", "Accepted", "ObjectRefused");
    assert!(said.contains(&claim) && said.contains("exceeded quota: few"), "{said}");
    assert_eq!(find(&world.get("MailServer", "fixed").unwrap(), "Stalled"), None, "a quota can be raised");
    world.delete("ResourceQuota", "few");
    world.wait("PersistentVolumeClaim", &claim, "it asks for more", |it| (asked(it) == "3Gi").then_some(()));
    world.reason("MailServer", "fixed", "Accepted", "Accepted");
}
