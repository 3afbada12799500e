//! Edits that the schema lets pass and the operator does not; somebody who writes against it; a webhook that is down.

use paquebot::webhook::{Client, configuration};
use paquebot_tests::cluster::wait_until;
use serde_json::{Value, json};

use super::world::{World, content, find};

const DOMAIN: &str = "{dkim: {keys: [{algorithm: Ed25519}]}, dns: {zoneFile: {}, verification: {mode: Disabled}}}";

#[test]
fn a_wrong_edit_is_told_and_what_was_there_stays() {
    let world = World::without_pods("wrong");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    world.declare("MailServer", "default", "{hostname: mail.wrong.example}");
    world.declare("MailDomain", "wrong.example", DOMAIN);
    world.declare("Mailbox", "alice", "{address: alice@wrong.example}");
    world.reason("Mailbox", "alice", "Accepted", "Accepted");
    world.reason("MailServer", "default", "TLSReady", "SelfSigned");
    world.zone("wrong.example", "_domainkey");
    world.volume("default");
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    let before = world.owned();

    for (kind, name, wrong, right, says) in [
        (
            "MailDomain",
            "wrong.example",
            json!({"aliases": [{"name": "Info", "to": ["a@b.example"]}, {"name": "info", "to": ["c@d.example"]}],
                   "dmarc": {"policy": "Reject"}}),
            json!({"aliases": null, "dmarc": null}),
            "spec.aliases[1].name: \"info\" stands twice",
        ),
        (
            "MailServer",
            "default",
            json!({"limits": {"messageSize": "1Ki"}, "hostname": "post.wrong.example"}),
            json!({"limits": null, "hostname": "mail.wrong.example"}),
            "1Ki is no size for messages",
        ),
    ] {
        world.patch(kind, name, &json!({"spec": wrong})).unwrap_or_else(|said| panic!("{kind}: {said}"));
        let said = world.reason(kind, name, "Accepted", "InvalidSpec");
        assert!(said.contains(says), "{said}");
        world.reason(kind, name, "Stalled", "InvalidSpec");
        operator.wait_to_settle(std::time::Duration::from_millis(300));
        for (key, object) in world.owned() {
            assert_eq!(content(&object), content(&before[&key]), "{key:?} follows a wrong edit of the {kind}");
        }
        world.patch(kind, name, &json!({"spec": right})).unwrap();
        world.reason(kind, name, "Accepted", "Accepted");
        wait_until("it is not stalled any more", || find(&world.get(kind, name).unwrap(), "Stalled").is_none());
    }
    let keys = world.keys("wrong.example");
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[test]
fn who_fights_over_a_field_loses_in_the_end() {
    const ROUNDS: u64 = 40;
    let world = World::without_pods("fight");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    world.declare("MailServer", "default", "{hostname: mail.fight.example}");
    world.declare("MailDomain", "fight.example", DOMAIN);
    world.zone("fight.example", "_domainkey");
    world.reason("MailServer", "default", "TLSReady", "SelfSigned");
    world.volume("default");
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    let before = world.owned();
    let (zone, host) = (
        format!("{}-zone", paquebot::names::base("MailDomain", "fight.example")),
        paquebot::names::base("MailServer", "default"),
    );

    let audit = world.space.cluster.audit();
    for round in 0..ROUNDS {
        let key =
            before[&("ConfigMap".to_owned(), zone.clone())]["data"].as_object().unwrap().keys().next().unwrap().clone();
        world.patch("ConfigMap", &zone, &json!({"data": {key: round.to_string()}})).unwrap();
        let selector = json!({"spec": {"selector": {"round": round.to_string()}}});
        world.patch("Service", &host, &selector).unwrap();
        let forced = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": host},
                            "automountServiceAccountToken": true});
        world.apply(forced);
    }
    wait_until("all is as the operator wants it", || {
        let now = world.owned();
        before.iter().all(|(key, object)| now.get(key).is_some_and(|it| content(it) == content(object)))
    });
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    let ours = |it: &&paquebot_tests::cluster::audit::Request| it.user == operator.user() && it.writes();
    let writes = |resource: &str| {
        let requests = audit.requests();
        let all = requests.iter().filter(ours).filter(|it| it.resource == resource);
        u64::try_from(all.count()).unwrap()
    };
    for resource in ["configmaps", "services", "serviceaccounts"] {
        let count = writes(resource);
        assert!((1..=2 * ROUNDS).contains(&count), "{count} writes of {resource} against {ROUNDS}");
    }
    assert_eq!(writes("secrets") + writes("networkpolicies"), 0, "what nobody touched is not written");
}

/// Deletes a configuration when it is dropped: it is the whole cluster's.
struct Down<'a>(&'a World<'a>, String);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        self.0.delete("ValidatingWebhookConfiguration", &self.1);
    }
}

#[test]
fn a_webhook_that_is_down_stands_in_nobodys_way() {
    let world = World::without_pods("webhook");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    // Nobody listens there.
    let at = Client::Url("https://127.0.0.1:9".to_owned());
    let ca = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
    let down = configuration(&at, ca.as_bytes(), std::slice::from_ref(&world.space.name));
    let name = format!("down-{}", world.space.name);
    let mut object: Value = serde_json::to_value(down).unwrap();
    object["metadata"] = json!({"name": name});
    world.apply(object);
    let _down = Down(&world, name);

    // What the webhook would have refused is told in the status.
    world.declare("MailDomain", "webhook.example", DOMAIN);
    world.declare("Mailbox", "alice", "{address: alice@webhook.example}");
    world.declare("Mailbox", "again", "{address: alice@webhook.example}");
    world.reason("MailDomain", "webhook.example", "Accepted", "Accepted");
    wait_until("one has the address, one is told", || {
        let accepted = |name: &str| {
            let found = world.get("Mailbox", name).and_then(|it| find(&it, "Accepted"));
            found.map_or_else(String::new, |it| it["reason"].as_str().unwrap_or_default().to_owned())
        };
        let mut reasons = [accepted("alice"), accepted("again")];
        reasons.sort();
        reasons == ["Accepted", "HeldByAnother"]
    });
    world.patch("MailDomain", "webhook.example", &json!({"spec": {"dmarc": {"policy": "Reject"}}})).unwrap();
    world.zone("webhook.example", "p=reject");
    world.delete("MailDomain", "webhook.example");
    world.gone("MailDomain", "webhook.example");
}
