//! The table of bad specs: refused by the API server in our words, and by local mode too.

use std::path::Path;

use paquebot::load::load_text;
use serde_json::{Value, json};

use super::{bad::BAD, world::World};

/// An object as JSON.
pub fn object(kind: &str, name: &str, spec: &str) -> Value {
    let spec: Value = serde_yaml::from_str(spec).unwrap();
    json!({"apiVersion": "paquebot.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// The object among those that local mode needs beside it.
fn local(object: &Value) -> String {
    const DOMAIN: &str = "\n---\napiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: example.com}\n";
    let text = serde_yaml::to_string(object).unwrap();
    if object["kind"] == "MailDomain" { text } else { text + DOMAIN }
}

#[tokio::test]
async fn bad_specs_are_refused_in_our_words() {
    let world = World::new().await;
    let mut wrong = Vec::new();
    for bad in BAD {
        let object = object(bad.kind, bad.name, bad.spec);
        let case = format!("{} {} {}", bad.kind, bad.name, bad.spec);
        match world.create(&object, true).await {
            Ok(_) => wrong.push(format!("{case}\n  was admitted")),
            Err(said) if bad.says.iter().all(|it| said.contains(it)) => {}
            Err(said) => wrong.push(format!("{case}\n  wanted {:?}\n  {said}", bad.says)),
        }
        if load_text(Path::new("mail.yaml"), &local(&object)).is_ok() {
            wrong.push(format!("{case}\n  local mode admits it"));
        }
    }
    world.end().await;
    assert!(BAD.len() >= 60);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_for_life_cannot_be_changed() {
    let world = World::new().await;
    let domain = object("MailDomain", "example.com", "{}");
    let server = object("MailServer", "main", "{}");
    for object in [&domain, &server] {
        world.create(object, false).await.unwrap();
    }
    for (object, patch, says) in [
        (
            &domain,
            json!({"spec": {"serverRef": {"name": "other"}}}),
            "serverRef cannot be changed, because the mail stays on its server",
        ),
        (
            &server,
            json!({"spec": {"store": {"sqlite": null, "postgres": {"urlSecretRef": {"name": "a", "key": "b"}}}}}),
            "the kind of store cannot be changed, because the mail is in it",
        ),
    ] {
        let said = world.patch(object, patch).await.unwrap_err();
        assert!(said.contains(says), "{said}");
    }
    // What says the same in other words is no change.
    world.patch(&domain, json!({"spec": {"serverRef": {"name": "default"}}})).await.unwrap();
    world.end().await;
}
