//! What the operator made is deleted and edited by hand, one after the other: it comes back, and nothing else moves.

use std::collections::BTreeMap;

use paquebot_tests::{cluster::wait_for, operator::Operator};
use serde_json::{Value, json};

use super::world::{World, content, text};

type Objects = BTreeMap<(String, String), Value>;

fn settled() -> World<'static> {
    let world = World::without_pods("restore");
    world.declare("MailServer", "main", "{hostname: mail.restore.example}");
    let spec = "{serverRef: {name: main}, dns: {zoneFile: {}, verification: {mode: Disabled}}, \
                dkim: {keys: [{algorithm: Ed25519}]}}";
    world.declare("MailDomain", "restore.example", spec);
    world.declare("Mailbox", "alice", "{address: alice@restore.example}");
    world
}

fn ready(world: &World<'_>, operator: &mut Operator<'_>) -> Objects {
    operator.wait_to_lead();
    world.reason("MailServer", "main", "TLSReady", "SelfSigned");
    world.reason("MailDomain", "restore.example", "Accepted", "Accepted");
    world.reason("Mailbox", "alice", "Accepted", "Accepted");
    world.zone("restore.example", "_domainkey");
    world.volume("main");
    world.owned()
}

fn suffix<'a>(key: &'a (String, String), keys: &[String]) -> &'a str {
    let (kind, name) = key;
    match kind.as_str() {
        "Secret" if keys.contains(name) => "key",
        "Secret" if name == "paquebot-authority" || name == "paquebot-password-digest" => "own",
        "Secret" => name.rsplit('-').next().unwrap_or(name),
        _ => "",
    }
}

/// All but these are as they were.
fn others_are_as_they_were(before: &Objects, after: &Objects, but: &[&(String, String)]) {
    for (key, object) in before.iter().filter(|(key, _)| !but.contains(key)) {
        let now = after.get(key).unwrap_or_else(|| panic!("{key:?} is gone, and only {but:?} was touched"));
        assert_eq!(content(now), content(object), "{key:?} moved, and only {but:?} was touched");
    }
}

#[test]
fn what_is_deleted_comes_back() {
    let world = settled();
    let mut operator = world.operator().run();
    let made = ready(&world, &mut operator);
    let kinds: Vec<&str> = made.keys().map(|(kind, _)| kind.as_str()).collect();
    for (kind, count) in
        [("ConfigMap", 2), ("Service", 2), ("ServiceAccount", 1), ("NetworkPolicy", 1), ("StatefulSet", 1)]
    {
        assert_eq!(kinds.iter().filter(|it| **it == kind).count(), count, "{kind} of {kinds:?}");
    }
    let zone = format!("{}-zone", paquebot::names::base("MailDomain", "restore.example"));
    let mut done = Vec::new();
    for key in made.keys() {
        let keys = world.keys("restore.example");
        let what = suffix(key, &keys);
        // The volume and its seal are the person's own: the mail is in it. The operator's own are another test's.
        if ["PersistentVolumeClaim", "MailServer"].contains(&key.0.as_str()) || ["key", "own"].contains(&what) {
            continue;
        }
        let before = world.owned();
        let old = text(&before[key], "/metadata/uid");
        world.delete(&key.0, &key.1);
        world.wait(&key.0, &key.1, "it comes back", |it| (text(it, "/metadata/uid") != old).then_some(()));
        operator.wait_to_settle(std::time::Duration::from_millis(300));
        let after = world.owned();
        others_are_as_they_were(&before, &after, &[key]);
        if ["ConfigMap", "NetworkPolicy", "ServiceAccount"].contains(&key.0.as_str()) {
            for part in ["/data", "/spec", "/automountServiceAccountToken", "/metadata/labels"] {
                assert_eq!(after[key].pointer(part), before[key].pointer(part), "{key:?} {part}");
            }
        }
        done.push(format!("{} {what}", key.0));
    }
    // Two ConfigMaps, two Services, ServiceAccount, policy, set; certificates, seal, two passwords.
    assert_eq!(done.len(), 12, "{done:?}");

    // A lost key has a successor of another name.
    let before = world.owned();
    let [key] = &world.keys("restore.example")[..] else { panic!("one key") };
    world.delete("Secret", key);
    let next = wait_for("a successor", || world.keys("restore.example").into_iter().find(|it| it != key));
    assert!(next.starts_with(key.as_str()) && next.ends_with("-2"), "{key}, then {next}");
    let selector =
        text(&world.owned()[&("Secret".into(), next.clone())], "/metadata/annotations/paquebot.dev~1selector");
    world.zone("restore.example", &format!("{selector}._domainkey"));
    operator.wait_to_settle(std::time::Duration::from_millis(300));
    assert_eq!(world.keys("restore.example"), [next], "one successor, and the lost one stays lost");
    let touched = [("Secret".to_owned(), key.clone()), ("ConfigMap".to_owned(), zone)];
    others_are_as_they_were(&before, &world.owned(), &touched.each_ref());
}

/// What somebody writes into an object of ours; `None`: there is nothing to edit.
fn edit(key: &(String, String), what: &str, object: &Value) -> Option<Value> {
    let first = object["data"].as_object().and_then(|data| data.keys().next().cloned());
    Some(match key.0.as_str() {
        "ConfigMap" => json!({"data": {first?: "somebody's own"}}),
        "Service" => json!({"spec": {"selector": {"app.kubernetes.io/instance": "another"}}}),
        "ServiceAccount" => json!({"automountServiceAccountToken": true}),
        "NetworkPolicy" => json!({"spec": {"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "another"}}}}),
        "StatefulSet" => json!({"spec": {"replicas": 0}}),
        "Secret" if what == "tls" || what == "admin" => json!({"data": {"tls.crt": "bm8gY2VydGlmaWNhdGU="}}),
        _ => return None,
    })
}

#[test]
fn what_is_edited_is_put_right() {
    let world = settled();
    let mut operator = world.operator().run();
    let made = ready(&world, &mut operator);
    let keys = world.keys("restore.example");
    let mut done = 0;
    for (key, object) in &made {
        let what = suffix(key, &keys);
        let Some(edit) = edit(key, what, object) else {
            if what == "key" || what == "seal" {
                let said = world.patch("Secret", &key.1, &json!({"data": {"x": "eA=="}})).unwrap_err();
                assert!(said.contains("immutable"), "{said}");
            }
            continue;
        };
        done += 1;
        let before = world.owned();
        let edited = world.patch(&key.0, &key.1, &edit).unwrap();
        assert_ne!(content(&edited), content(object));
        world.wait(&key.0, &key.1, "it is put right", |it| {
            // A certificate is made anew, all else is what it was.
            let right = match key.0.as_str() {
                "Secret" => it["data"]["tls.crt"] != edited["data"]["tls.crt"],
                _ => content(it) == content(&before[key]),
            };
            right.then_some(())
        });
        operator.wait_to_settle(std::time::Duration::from_millis(300));
        others_are_as_they_were(&before, &world.owned(), &[key]);
    }
    assert_eq!(done, 9, "two ConfigMaps, two Services, ServiceAccount, policy, set, two certificates");

    // An object whose labels were taken away is ours all the same.
    let zone = format!("{}-zone", paquebot::names::base("MailDomain", "restore.example"));
    let before = world.get("ConfigMap", &zone).unwrap();
    world.patch("ConfigMap", &zone, &json!({"metadata": {"labels": null}})).unwrap();
    world.wait("ConfigMap", &zone, "it has its labels", |it| (content(it) == content(&before)).then_some(()));

    // What others add beside ours is theirs.
    let note = json!({"metadata": {"annotations": {"team": "shop"}}, "data": {"note": "x"}});
    world.patch("ConfigMap", &zone, &note).unwrap();
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    let after = world.get("ConfigMap", &zone).unwrap();
    assert_eq!((&after["metadata"]["annotations"]["team"], &after["data"]["note"]), (&json!("shop"), &json!("x")));
}
