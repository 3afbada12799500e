//! New definitions over stored objects: all are read, all can be edited, even those that a new rule would refuse.
//! Under a group of its own, because other tests use the real one at the same time.

use paquebot::{
    api::{MailDomain, MailServer, Mailbox, crd},
    domain,
};
use serde_json::{Value, json};

use super::{
    specs::object,
    world::{World, define},
};

const BEFORE: [&str; 3] = [
    include_str!("before/maildomain.yaml"),
    include_str!("before/mailserver.yaml"),
    include_str!("before/mailbox.yaml"),
];

/// The same definition or object in another group.
fn moved(value: &Value, group: &str) -> Value {
    serde_json::from_str(&value.to_string().replace("paquebot.dev", group)).unwrap()
}

#[tokio::test]
async fn stored_objects_outlive_an_upgrade() {
    let world = World::new().await;
    let group = format!("{}.example", world.namespace);
    for text in BEFORE {
        define(&world.client, &moved(&serde_yaml::from_str(text).unwrap(), &group)).await;
    }
    let full = "{spf: {ip4: [192.0.2.0/24]}, dmarc: {policy: Reject}, aliases: [{name: info, to: [a@example.net]}], deletionPolicy: Delete}";
    // By the old rules it was a network.
    let wrong = "{spf: {ip4: [300.0.0.1]}}";
    let objects = [
        object("MailDomain", "example.com", "{}"),
        object("MailDomain", "full.example", full),
        object("MailDomain", "wrong.example", wrong),
        object("MailServer", "main", "{egress: {publicAddresses: [192.0.2.10]}}"),
        object("Mailbox", "alice", "{address: alice@example.com, quota: 5Gi}"),
    ];
    let objects: Vec<Value> = objects.iter().map(|it| moved(it, &group)).collect();
    let mut stored = Vec::new();
    for object in &objects {
        stored.push(world.create(object, false).await.unwrap());
    }
    for (_, definition) in crd::crds() {
        define(&world.client, &moved(definition, &group)).await;
    }
    for (object, before) in objects.iter().zip(&stored) {
        let after = world.get(object).await;
        assert_eq!(after["spec"], before["spec"]);
        let ours = moved(&after, &group);
        let ours: Value = serde_json::from_str(&ours.to_string().replace(&group, "paquebot.dev")).unwrap();
        match object["kind"].as_str().unwrap() {
            "MailDomain" => {
                let domain: MailDomain = serde_json::from_value(ours).unwrap();
                let wrong = domain.metadata.name.as_deref() == Some("wrong.example");
                assert_eq!(domain::validate::validate(&domain).is_empty(), !wrong);
            }
            "MailServer" => drop(serde_json::from_value::<MailServer>(ours).unwrap()),
            _ => drop(serde_json::from_value::<Mailbox>(ours).unwrap()),
        }
        world.patch(object, json!({"metadata": {"labels": {"seen": "yes"}}})).await.unwrap();
    }
    // What is edited must hold by the new rules.
    let said = world.patch(&objects[1], json!({"spec": {"spf": {"ip4": ["300.0.0.1"]}}})).await.unwrap_err();
    assert!(said.contains("not an IPv4 address or network: write it as 192.0.2.0/24"), "{said}");
    for (_, definition) in crd::crds() {
        remove(&world, &moved(definition, &group)).await;
    }
    world.end().await;
}

async fn remove(world: &World, definition: &Value) {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let api: kube::Api<CustomResourceDefinition> = kube::Api::all(world.client.clone());
    api.delete(definition["metadata"]["name"].as_str().unwrap(), &Default::default()).await.unwrap();
}
