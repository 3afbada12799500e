//! A settled system makes no requests beyond its watches and its lease.

use std::time::Duration;

use paquebot_tests::cluster::wait_until;

use super::world::World;

/// So many renewals of the lease pass, three seconds each, while nothing else may happen.
const RENEWALS: usize = 6;
/// Of so many such spans one must be quiet.
const SPANS: usize = 3;

#[test]
fn a_settled_system_is_quiet() {
    let world = World::new("quiet");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    // With a pod, so that the directory is there to be compared; the records are looked for and not found.
    world.declare("MailDomain", "quiet.example", "{dns: {zoneFile: {}}}");
    world.declare("Mailbox", "alice", "{address: alice@quiet.example, quota: 1Gi}");
    world.reason("Mailbox", "alice", "Ready", "Ready");
    world.reason("MailDomain", "quiet.example", "Programmed", "Programmed");
    world.reason("MailServer", "default", "Available", "Available");
    world.wait("MailDomain", "quiet.example", "its records were looked for", |it| {
        (super::world::find(it, "DNSVerified")?["status"] == "False").then_some(())
    });
    operator.wait_to_settle(Duration::from_secs(3));

    // What happens by chance, as a name server that is slow for once, does not happen each time.
    let mut more = Vec::new();
    for _ in 0..SPANS {
        let audit = world.space.cluster.audit();
        let ours = || audit.requests().into_iter().filter(|it| it.user == operator.user());
        wait_until("the lease was renewed often", || {
            ours().filter(|it| it.resource == "leases" && it.verb == "update").count() >= RENEWALS
        });
        // A watch is renewed after minutes; one that begins all the time is a loop of faults.
        let watches = ours().filter(|it| it.verb == "watch").count();
        assert!(watches <= 20, "{watches} watches began");
        more = ours().filter(|it| it.resource != "leases" && it.verb != "watch").collect();
        if more.is_empty() {
            return;
        }
    }
    panic!("beyond watches and lease: {more:#?}");
}
