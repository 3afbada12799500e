//! The store stops, then the API server is killed, each in the middle of fifty domains: all end up as they should.

use paquebot_tests::{
    cluster::{Cluster, wait_until},
    operator::Operator,
};
use serde_json::json;

use super::world::{World, conditions, find, is_current};

const DOMAINS: usize = 50;
const SPEC: &str = "{dkim: {keys: [{algorithm: Ed25519}]}, dns: {zoneFile: {}, verification: {mode: Disabled}}}";

fn name(number: usize) -> String {
    format!("d{number}.faults.example")
}

fn accepted(world: &World<'_>) -> usize {
    let domains = world.list("MailDomain", "");
    let fine = domains.iter().filter(|it| is_current(it)).filter_map(|it| find(it, "Accepted"));
    fine.filter(|it| it["status"] == "True").count()
}

/// All domains are accepted, and each has its zone with these words, and one key.
fn whole(world: &World<'_>, words: &str) {
    wait_until("all are accepted", || accepted(world) == DOMAINS);
    for number in 0..DOMAINS {
        let domain = name(number);
        world.zone(&domain, words);
        assert_eq!(world.keys(&domain).len(), 1, "{domain}: {:?}", world.keys(&domain));
    }
    let said = |number| conditions(&world.get("MailDomain", &name(number)).unwrap());
    wait_until("all say the same", || {
        let first = said(0);
        (1..DOMAINS).all(|number| said(number) == first)
    });
    assert_eq!(world.list("MailServer", "").len(), 1);
}

/// Some, but not all, of what is to be done was done; the operator is stopped there.
fn in_the_middle(world: &World<'_>, operator: &Operator<'_>, done: impl Fn() -> usize) {
    wait_until("the operator is in the middle of it", || done() >= 3);
    operator.signal("STOP");
    let done = done();
    assert!(done < DOMAINS, "{done} were done already: the test is too late in {}", world.space.name);
}

fn answers(world: &World<'_>) {
    wait_until("the API server answers", || world.get("Namespace", &world.space.name).is_some());
}

fn still_the_same(operator: &mut Operator<'_>, pid: u32) {
    assert!(operator.process.runs() && operator.pid() == pid, "{}", operator.process.log());
    assert!(!operator.process.log().contains("panicked"), "{}", operator.process.log());
}

#[test]
fn what_is_interrupted_is_finished() {
    let cluster = Cluster::own();
    let world = World::of(&cluster, "faults");
    world.allow_no_pods();

    // The store stops for as long as a leader may write, and longer.
    (0..DOMAINS).for_each(|number| drop(world.declare("MailDomain", &name(number), SPEC)));
    let mut operator = world.operator().run();
    let pid = operator.pid();
    in_the_middle(&world, &operator, || accepted(&world));
    let stopped = cluster.stop(&["etcd"]);
    operator.signal("CONT");
    wait_until("it leads no more", || operator.get("/metrics").is_some() && !operator.leads());
    still_the_same(&mut operator, pid);
    drop(stopped);
    answers(&world);
    operator.wait_to_lead();
    whole(&world, "_domainkey");
    still_the_same(&mut operator, pid);

    // The API server is killed, and is there again at once.
    let policy = json!({"spec": {"dmarc": {"policy": "Reject"}}});
    for number in 0..DOMAINS {
        world.patch("MailDomain", &name(number), &policy).unwrap();
        if number == DOMAINS / 2 {
            drop(cluster.stop(&["kube-apiserver"]));
            answers(&world);
        }
    }
    whole(&world, "p=reject");
    still_the_same(&mut operator, pid);

    // Deleted while nobody hears of it.
    let stopped = cluster.stop(&["kube-apiserver"]);
    drop(stopped);
    answers(&world);
    (0..DOMAINS).for_each(|number| world.delete("MailDomain", &name(number)));
    wait_until("what they owned goes with them", || {
        world.list("ConfigMap", &format!("{},app.kubernetes.io/component=dns", super::world::OURS)).is_empty()
    });
    operator.wait_to_settle(std::time::Duration::from_secs(1));
    assert_eq!(operator.process.end(), Some(0));
}
