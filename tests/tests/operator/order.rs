//! Resources that are made, changed and deleted in every order end in the same state.

use std::time::Duration;

use paquebot_tests::{cluster::wait_until, operator::Operator};
use serde_json::json;

use super::world::{OURS, World, conditions, is_current, text};

/// No reconcile for so long: the operator has done what it can.
const QUIET: Duration = Duration::from_millis(500);

/// A set of resources that belong together, number so and so of many.
struct Set<'a> {
    world: &'a World<'a>,
    number: usize,
    /// The order in which its parts are made, changed and deleted.
    order: [Part; 4],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Server,
    Domain,
    Mailbox,
    Secrets,
}

/// All 24.
fn orders() -> Vec<[Part; 4]> {
    use Part::{Domain, Mailbox, Secrets, Server};
    let parts = [Server, Domain, Mailbox, Secrets];
    let mut all = Vec::new();
    for index in 0..256usize {
        let order = [index & 3, index >> 2 & 3, index >> 4 & 3, index >> 6].map(|it| parts[it]);
        if parts.iter().all(|part| order.contains(part)) {
            all.push(order);
        }
    }
    all
}

impl Set<'_> {
    fn name(&self, part: Part) -> String {
        match part {
            Part::Server => format!("server-{}", self.number),
            Part::Domain => format!("order-{}.example", self.number),
            Part::Mailbox => format!("alice-{}", self.number),
            Part::Secrets => format!("secret-{}", self.number),
        }
    }

    /// The last spec in which `new` holds.
    fn declare(&self, part: Part, new: bool) {
        let (world, secrets, server) = (self.world, self.name(Part::Secrets), self.name(Part::Server));
        match part {
            Part::Server => {
                let host = if new { "post" } else { "mail" };
                let spec = format!("{{hostname: {host}.{}}}", self.name(Part::Domain));
                world.declare("MailServer", &server, &spec);
            }
            Part::Domain => {
                let policy = if new { "Reject" } else { "None" };
                let spec = format!(
                    "{{serverRef: {{name: {server}}}, dmarc: {{policy: {policy}}}, dns: {{zoneFile: {{}}, \
                     verification: {{mode: Disabled}}}}, dkim: {{keys: [{{algorithm: Ed25519}}], \
                     imported: [{{selector: old, secretRef: {{name: {secrets}, key: dkim}}}}]}}}}"
                );
                world.declare("MailDomain", &self.name(part), &spec);
            }
            Part::Mailbox => {
                let quota = if new { "2Gi" } else { "1Gi" };
                let domain = self.name(Part::Domain);
                let spec = format!(
                    "{{address: alice@{domain}, quota: {quota}, passwordSecretRef: {{name: {secrets}, key: word}}}}"
                );
                world.declare("Mailbox", &self.name(part), &spec);
            }
            Part::Secrets if new => {
                world.patch("Secret", &secrets, &json!({"stringData": {"word": "another"}})).unwrap();
            }
            Part::Secrets => world.secret(&secrets, &[("dkim", &super::secrets::key("old")), ("word", "secret")]),
        }
    }

    fn delete(&self, part: Part) {
        let kind = match part {
            Part::Server => "MailServer",
            Part::Domain => "MailDomain",
            Part::Mailbox => "Mailbox",
            Part::Secrets => "Secret",
        };
        self.world.delete(kind, &self.name(part));
    }

    /// All that is said of its resources; empty while it is about an older spec.
    fn said(&self) -> String {
        let parts = [("MailServer", Part::Server), ("MailDomain", Part::Domain), ("Mailbox", Part::Mailbox)];
        let said = parts.map(|(kind, part)| {
            let object = self.world.get(kind, &self.name(part)).filter(is_current)?;
            let keys = object["status"]["keys"].as_array().into_iter().flatten();
            let keys: Vec<String> =
                keys.map(|it| format!("{} {}", text(it, "/algorithm"), text(it, "/state"))).collect();
            Some(format!("{kind} {} {keys:?}", conditions(&object)))
        });
        said.into_iter().collect::<Option<Vec<_>>>().map_or_else(String::new, |it| it.join("\n"))
    }
}

/// Each set a step further in its own order, and the operator has seen it.
fn step(operator: &Operator<'_>, sets: &[Set<'_>], act: impl Fn(&Set<'_>, Part)) {
    for number in 0..4 {
        sets.iter().for_each(|set| act(set, set.order[number]));
        operator.wait_to_settle(QUIET);
    }
}

const SAID: &str = "\
MailServer Accepted=True:Accepted Addressed=True:ClusterOnly Available=False:PodsRefused EgressVerified=Unknown:EgressUnknown Ready=False:PodsRefused TLSReady=True:SelfSigned []
MailDomain Accepted=True:Accepted DNSVerified=True:VerificationDisabled Programmed=False:NotWritten Ready=False:NotWritten [\"Ed25519 Active\", \"Ed25519 Active\"]
Mailbox Accepted=True:Accepted Programmed=False:NotWritten Ready=False:NotWritten []";

#[test]
fn every_order_ends_in_the_same_state() {
    let world = World::without_pods("order");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    let sets: Vec<Set<'_>> =
        orders().into_iter().enumerate().map(|(number, order)| Set { world: &world, number, order }).collect();
    assert_eq!(sets.len(), 24);
    let all_say = |what: &str| {
        let mut wrong = String::new();
        let is_so = |set: &Set<'_>| {
            let said = set.said();
            wrong = format!("{what}: {:?}\n{said}", set.order);
            said == SAID
        };
        let began = std::time::Instant::now();
        let mut is_so = is_so;
        for set in &sets {
            while !is_so(set) {
                assert!(began.elapsed() < paquebot_tests::cluster::PATIENCE, "{wrong}");
                paquebot_tests::pause();
            }
        }
    };

    step(&operator, &sets, |set, part| set.declare(part, false));
    all_say("made");
    let keys: Vec<_> = sets.iter().map(|set| world.keys(&set.name(Part::Domain))).collect();
    assert!(keys.iter().all(|it| it.len() == 1), "{keys:?}");

    step(&operator, &sets, |set, part| set.declare(part, true));
    all_say("changed");
    for (set, keys) in sets.iter().zip(&keys) {
        let domain = set.name(Part::Domain);
        for words in ["p=reject", &format!("post.{domain}"), "old._domainkey"] {
            world.zone(&domain, words);
        }
        assert_eq!(world.keys(&domain), *keys, "a change makes no new key");
    }

    step(&operator, &sets, |set, part| set.delete(part));
    wait_until("only what outlives them is left", || {
        let left = world.owned();
        left.keys().all(|(kind, name)| match kind.as_str() {
            "PersistentVolumeClaim" => true,
            "Secret" => {
                name.ends_with("-seal") || name.starts_with("paquebot-") || keys.iter().flatten().any(|it| it == name)
            }
            _ => false,
        })
    });
    operator.wait_to_settle(QUIET);
    assert_eq!(world.list("Secret", OURS).len(), 24 + 24 + 2, "keys, seals, and the operator's own two");
    assert!(operator.process.runs());
}
