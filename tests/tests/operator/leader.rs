//! Two operators, of which one writes: the leader is killed, asleep, cut off from the API server, or asked to end.

use paquebot_tests::{
    cluster::{
        audit::{Audit, Request},
        node::Who,
        wait_for, wait_until,
    },
    operator::Operator,
};
use serde_json::json;

use super::world::{World, text};

const DOMAIN: &str = "{dkim: {keys: [{algorithm: Ed25519}]}, dns: {zoneFile: {}, verification: {mode: Disabled}}}";
/// A user of the system that nothing else runs as.
const CUT_USER: u32 = 54_321;

/// Two, of which the first leads.
fn pair<'a>(world: &'a World<'a>, cut: bool) -> (Operator<'a>, Operator<'a>) {
    let mut start = world.operator();
    start.user = cut.then_some(CUT_USER);
    let mut first = start.run();
    first.wait_to_lead();
    let second = world.operator().run();
    wait_until("the second is ready", || second.get("/readyz").is_some());
    assert!(!second.leads());
    (first, second)
}

fn holder(world: &World<'_>) -> Option<(String, i64)> {
    let lease = world.get("Lease", "paquebot-operator")?;
    Some((text(&lease, "/spec/holderIdentity"), lease["spec"]["leaseTransitions"].as_i64()?))
}

/// What this operator changed; a lease that it did not get is none.
fn writes(audit: &Audit, operator: &Operator<'_>) -> Vec<Request> {
    let mut requests = audit.requests();
    requests.retain(|it| it.user == operator.user() && it.writes() && it.code < 400);
    requests
}

fn asked_for_the_lease(audit: &Audit, operator: &Operator<'_>) -> bool {
    audit.requests().iter().any(|it| it.user == operator.user() && it.resource == "leases")
}

#[test]
fn a_killed_leader_is_followed() {
    let world = World::without_pods("killed");
    let (first, second) = pair(&world, false);
    world.declare("MailDomain", "killed.example", DOMAIN);
    world.zone("killed.example", "_domainkey");
    let before = holder(&world).unwrap();
    first.signal("KILL");
    world.declare("MailDomain", "next.example", DOMAIN);
    world.patch("MailDomain", "killed.example", &json!({"spec": {"dmarc": {"policy": "Reject"}}})).unwrap();
    wait_until("the second leads", || second.leads());
    world.reason("MailDomain", "next.example", "Accepted", "Accepted");
    world.zone("killed.example", "p=reject");
    let after = holder(&world).unwrap();
    assert!(after.0 != before.0 && after.1 == before.1 + 1, "{before:?}, then {after:?}");
    assert_eq!(world.keys("killed.example").len(), 1, "what the first made is what the second uses");
}

#[test]
fn a_leader_that_slept_writes_nothing_when_it_wakes() {
    let world = World::without_pods("asleep");
    let (mut first, second) = pair(&world, false);
    world.declare("MailDomain", "asleep.example", DOMAIN);
    world.zone("asleep.example", "_domainkey");
    first.wait_to_settle(std::time::Duration::from_secs(1));
    first.signal("STOP");
    wait_until("the second leads", || second.leads());
    // Work that both will see.
    world.declare("MailDomain", "work.example", DOMAIN);
    world.zone("work.example", "_domainkey");
    let audit = world.space.cluster.audit();
    first.signal("CONT");
    wait_until("it looks at the lease", || asked_for_the_lease(&audit, &first));
    world.patch("MailDomain", "work.example", &json!({"spec": {"dmarc": {"policy": "Reject"}}})).unwrap();
    world.zone("work.example", "p=reject");
    wait_until("it knows that it does not lead", || first.get("/metrics").is_some() && !first.leads());
    second.wait_to_settle(std::time::Duration::from_secs(1));
    assert_eq!(writes(&audit, &first), Vec::new(), "written by an operator that leads no more");
    assert!(!writes(&audit, &second).is_empty());
    assert!(first.process.runs());
    wait_until("the second still leads", || second.leads());
    assert_eq!(world.keys("work.example").len(), 1);
}

#[test]
fn a_leader_that_is_cut_off_ends_before_the_next_one_begins() {
    let world = World::without_pods("cut");
    let (mut first, second) = pair(&world, true);
    let cut = world.space.cluster.cut_from_api(Who::User(CUT_USER));
    world.declare("MailDomain", "cut.example", DOMAIN);
    // From then on its requests go nowhere; its metrics are still there to see.
    let mut first_ended = false;
    wait_for("the second leads", || {
        // In this order: whoever begins between the two looks is not taken for an overlap.
        let second_leads = second.leads();
        let first_leads = first.leads();
        assert!(!(second_leads && first_leads), "two lead at once");
        first_ended |= !first_leads && !second_leads;
        second_leads.then_some(())
    });
    assert!(first_ended, "there was a time in which none led");
    world.zone("cut.example", "_domainkey");
    let audit = world.space.cluster.audit();
    drop(cut);
    wait_until("it looks at the lease", || asked_for_the_lease(&audit, &first));
    world.declare("MailDomain", "after.example", DOMAIN);
    world.zone("after.example", "_domainkey");
    second.wait_to_settle(std::time::Duration::from_secs(1));
    assert_eq!(writes(&audit, &first), Vec::new(), "written by an operator that leads no more");
    assert!(first.process.runs() && !first.leads());
    wait_until("the second still leads", || second.leads());
    for domain in ["cut.example", "after.example"] {
        assert_eq!(world.keys(domain).len(), 1, "{domain}");
    }
}

#[test]
fn a_leader_that_ends_hands_over_at_once() {
    let world = World::without_pods("handed");
    let (mut first, second) = pair(&world, false);
    world.declare("MailDomain", "handed.example", DOMAIN);
    world.zone("handed.example", "_domainkey");
    let before = holder(&world).unwrap();
    assert_eq!(first.process.end(), Some(0), "{}", first.process.log());
    let given = holder(&world).unwrap();
    assert_ne!(given.0, before.0, "the lease is free, or another's, when the process has ended");
    wait_until("the second leads", || second.leads());
    world.declare("MailDomain", "next.example", DOMAIN);
    world.reason("MailDomain", "next.example", "Accepted", "Accepted");
    assert!(holder(&world).unwrap().1 > before.1, "epochs rise");
}
