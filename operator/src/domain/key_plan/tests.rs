//! The life of a key, step by step: each table is what was known, and what followed.

use super::*;
use crate::{
    api::{
        MailDomainSpec,
        domain::{ImportedKey, MailDomainStatus},
        refs::SecretKeyRef,
    },
    domain::key_secret::Stored,
};

const RSA: DkimKey = DkimKey { algorithm: Algorithm::Rsa, bits: Some(2048) };
const ED: DkimKey = DkimKey { algorithm: Algorithm::Ed25519, bits: None };

/// A domain in a cluster that applies each plan.
struct World {
    domain: MailDomain,
    found: Vec<Found>,
    imports: Vec<Option<BTreeMap<String, ByteString>>>,
    sealed: BTreeSet<String>,
    asked: bool,
    verified: BTreeSet<String>,
    now: Timestamp,
}

impl World {
    fn new(keys: &[DkimKey]) -> Self {
        let mut spec = MailDomainSpec::default();
        spec.dkim.keys = keys.to_vec();
        Self {
            domain: MailDomain::new("example.com", spec),
            found: Vec::new(),
            imports: Vec::new(),
            sealed: BTreeSet::new(),
            asked: true,
            verified: BTreeSet::new(),
            now: "2026-11-25T12:00:00Z".parse().unwrap(),
        }
    }

    fn plan(&self) -> Plan {
        let imports: Vec<_> = self.imports.iter().map(Option::as_ref).collect();
        plan(&Inputs {
            domain: &self.domain,
            found: &self.found,
            imports: &imports,
            sealed: self.asked.then_some(&self.sealed),
            verified: &self.verified,
            now: self.now,
        })
    }

    /// Carries one plan out: Secrets, status, directory.
    fn step(&mut self) -> Plan {
        let plan = self.plan();
        for new in &plan.make {
            let key = keys::generate(&new.selector, &new.key).unwrap();
            let secret_name = key_secret::name("example.com", &new.selector);
            let stored = Ok(Stored { secret_name: secret_name.clone(), key, created: None });
            self.found.push(Found { secret_name, selector: Some(new.selector.clone()), stored });
        }
        self.domain.status = Some(MailDomainStatus { keys: plan.status.clone(), ..MailDomainStatus::default() });
        if self.asked {
            self.sealed.retain(|selector| plan.keep_sealed.contains(selector));
            self.sealed.extend(plan.sign_with.iter().map(|it| it.selector.clone()));
        }
        plan
    }

    fn settle(&mut self) -> Plan {
        self.step();
        let plan = self.step();
        assert_eq!(self.plan(), plan, "a settled plan stays");
        plan
    }

    fn lose(&mut self, selector: &str) {
        self.found.retain(|it| it.selector.as_deref() != Some(selector));
    }

    fn import(&mut self, selector: &str, data: Option<&str>) {
        let secret_ref = SecretKeyRef { name: "old".into(), key: "tls.key".into() };
        self.domain.spec.dkim.imported.push(ImportedKey { selector: selector.into(), secret_ref });
        self.imports.push(data.map(|text| BTreeMap::from([("tls.key".into(), ByteString(text.as_bytes().to_vec()))])));
    }
}

fn made(plan: &Plan) -> Vec<&str> {
    plan.make.iter().map(|it| it.selector.as_str()).collect()
}

fn signing(plan: &Plan) -> Vec<&str> {
    plan.sign_with.iter().map(|it| it.selector.as_str()).collect()
}

fn published(plan: &Plan) -> Vec<&str> {
    plan.publish.iter().map(|it| it.selector.as_str()).collect()
}

fn reasons(plan: &Plan) -> Vec<&str> {
    plan.findings.iter().map(|it| it.reason).collect()
}

fn state(plan: &Plan, selector: &str) -> Option<KeyState> {
    plan.status.iter().find(|it| it.selector == selector).map(|it| it.state)
}

#[test]
fn the_first_keys_sign_at_once() {
    let mut world = World::new(&[RSA, ED]);
    let first = world.step();
    assert_eq!(made(&first), ["20261125-rsa", "20261125-ed25519"]);
    assert_eq!((signing(&first).len(), first.publish.len()), (0, 0));
    assert_eq!(state(&first, "20261125-rsa"), Some(KeyState::Generated));
    let second = world.step();
    assert_eq!(made(&second), [""; 0]);
    assert_eq!(signing(&second), ["20261125-rsa", "20261125-ed25519"]);
    assert_eq!(published(&second), signing(&second));
    assert_eq!(world.plan(), second);
    assert_eq!(second.findings, []);
}

/// The status says Generated, and no Secret came of it: the same selector again, not one more at each attempt.
#[test]
fn a_secret_that_could_not_be_made_costs_no_selector() {
    let mut world = World::new(&[ED]);
    world.step();
    world.found.clear();
    assert_eq!(made(&world.step()), ["20261125-ed25519"]);
}

#[test]
fn a_lost_key_gets_a_successor_and_signs_until_it_is_seen() {
    let mut world = World::new(&[ED]);
    let before = world.settle();
    world.lose("20261125-ed25519");
    let lost = world.step();
    assert_eq!((made(&lost), lost.keep_sealed.clone()), (vec!["20261125-ed25519-2"], vec!["20261125-ed25519".into()]));
    assert_eq!(reasons(&lost), ["KeySecretLost"]);
    assert!(lost.findings[0].message.contains("successor 20261125-ed25519-2"), "{:?}", lost.findings);
    let waiting = world.step();
    assert_eq!(signing(&waiting), [""; 0]);
    assert_eq!(waiting.keep_sealed, ["20261125-ed25519"]);
    assert_eq!(published(&waiting), ["20261125-ed25519-2", "20261125-ed25519"], "the lost key's record stays");
    assert_eq!(waiting.publish[1], before.publish[0]);
    assert_eq!(state(&waiting, "20261125-ed25519-2"), Some(KeyState::Published));
    world.verified.insert("20261125-ed25519-2".into());
    let seen = world.step();
    assert_eq!((signing(&seen), seen.keep_sealed.len()), (vec!["20261125-ed25519-2"], 0));
    assert_eq!(state(&seen, "20261125-ed25519"), Some(KeyState::Retiring));
    assert_eq!(published(&seen), ["20261125-ed25519-2", "20261125-ed25519"], "mail is under way");
    assert_eq!(seen.due, Some("2026-12-02T12:00:00Z".parse().unwrap()));
    world.verified.clear();
    assert_eq!(signing(&world.step()), ["20261125-ed25519-2"], "a record that vanishes does not stop a key");
    world.now = "2026-12-02T12:00:00Z".parse().unwrap();
    let ended = world.step();
    assert_eq!((published(&ended), ended.due), (vec!["20261125-ed25519-2"], None));
    assert_eq!(state(&ended, "20261125-ed25519"), Some(KeyState::Revoked));
}

#[test]
fn what_the_successor_of_a_lost_key_waits_for() {
    for (case, change, signs) in [
        ("the record is not seen", (|_| {}) as fn(&mut World), false),
        ("nobody checks records", |it| it.domain.spec.dns.verification.mode = VerificationMode::Disabled, true),
        ("the copy is gone too", |it| it.sealed.clear(), true),
        ("the servers cannot be asked", |it| it.asked = false, false),
    ] {
        let mut world = World::new(&[ED]);
        world.settle();
        world.lose("20261125-ed25519");
        change(&mut world);
        world.step();
        let plan = world.step();
        assert_eq!(signing(&plan) == ["20261125-ed25519-2"], signs, "{case}");
        assert_eq!(plan.keep_sealed.is_empty(), signs, "{case}");
    }
}

/// A fresh volume, and the Secret is gone too: nothing signs with the old key, and nothing waits for its sake.
#[test]
fn a_key_that_is_lost_everywhere_is_followed_at_once() {
    let old = "20261125-ed25519";
    for (case, secret, copy, signs, kept, said) in [
        ("the volume only", true, false, old, false, ""),
        ("the Secret only", false, true, "", true, "KeySecretLost"),
        ("both", false, false, "20261125-ed25519-2", false, "KeyLost"),
    ] {
        let mut world = World::new(&[ED]);
        world.settle();
        if !secret {
            world.lose(old);
        }
        if !copy {
            world.sealed.clear();
        }
        world.step();
        let plan = world.settle();
        assert_eq!(signing(&plan).join(" "), signs, "{case}");
        assert_eq!(plan.keep_sealed == [old], kept, "{case}");
        assert_eq!(reasons(&plan).join(" "), said, "{case}");
    }
    let mut world = World::new(&[ED]);
    world.settle();
    world.lose(old);
    world.sealed.clear();
    let plan = world.settle();
    assert_eq!((state(&plan, old), published(&plan)), (Some(KeyState::Retiring), vec!["20261125-ed25519-2", old]));
    let said = &plan.findings[0].message;
    assert!(said.contains("successor 20261125-ed25519-2 signs") && !plan.findings[0].blocking, "{said}");
    // Its record is seen: all is well again.
    world.verified.insert("20261125-ed25519-2".into());
    assert_eq!(reasons(&world.settle()), [""; 0]);
}

/// No key can be made: of those that are wanted nothing is said, and the others go on.
#[test]
fn a_plan_without_new_keys() {
    let mut world = World::new(&[ED]);
    world.settle();
    world.domain.spec.dkim.keys = vec![RSA, ED];
    let plan = world.plan();
    assert_eq!((made(&plan), plan.status.len()), (vec!["20261125-rsa"], 2));
    let plan = plan.without_new();
    assert_eq!((made(&plan).len(), plan.status.len(), signing(&plan)), (0, 1, vec!["20261125-ed25519"]));
    assert!(plan.signs() && !World::new(&[ED]).plan().without_new().signs());
}

/// The resource was made again without its status, and the Secrets are gone: the directory still tells.
#[test]
fn only_the_directory_remembers() {
    let mut world = World::new(&[ED]);
    world.settle();
    (world.domain.status, world.found) = (None, Vec::new());
    let plan = world.plan();
    assert_eq!((made(&plan), &plan.keep_sealed), (vec!["20261125-ed25519-2"], &vec!["20261125-ed25519".to_owned()]));
}

/// Secrets stay under Retain: a MailDomain that is made again signs with them.
#[test]
fn only_the_secrets_remember() {
    let mut world = World::new(&[RSA, ED]);
    world.settle();
    world.domain.status = None;
    world.sealed.clear();
    world.now = "2027-03-01T00:00:00Z".parse().unwrap();
    let plan = world.step();
    assert_eq!((made(&plan).len(), signing(&plan)), (0, vec!["20261125-rsa", "20261125-ed25519"]));
}

#[test]
fn lost_again_and_again_on_one_day() {
    let mut world = World::new(&[ED]);
    world.settle();
    for number in 2..=11 {
        let newest = world.found.last().unwrap().selector.clone().unwrap();
        world.lose(&newest);
        world.step();
        let plan = world.step();
        assert_eq!(world.found[0].selector.as_deref(), Some(format!("20261125-ed25519-{number}").as_str()));
        assert_eq!(plan.keep_sealed, ["20261125-ed25519"], "the first one's copy still signs");
    }
    assert_eq!(state(&world.plan(), "20261125-ed25519-9"), Some(KeyState::Revoked), "it never signed");
}

#[test]
fn another_size_waits_for_its_record_too() {
    let mut world = World::new(&[RSA]);
    world.settle();
    world.domain.spec.dkim.keys = vec![DkimKey { bits: Some(3072), ..RSA }];
    assert_eq!(made(&world.step()), ["20261125-rsa-2"]);
    let waiting = world.step();
    assert_eq!((signing(&waiting), waiting.findings.len()), (vec!["20261125-rsa"], 0));
    assert_eq!(published(&waiting), ["20261125-rsa-2", "20261125-rsa"]);
    world.verified.insert("20261125-rsa-2".into());
    assert_eq!(signing(&world.step()), ["20261125-rsa-2"]);
    // Back again while the old one is still in the DNS: it is taken up.
    world.domain.spec.dkim.keys = vec![RSA];
    world.verified.insert("20261125-rsa".into());
    let back = world.step();
    assert_eq!((signing(&back), made(&back).len()), (vec!["20261125-rsa"], 0));
}

#[test]
fn an_algorithm_that_is_left_out_ends() {
    let mut world = World::new(&[RSA, ED]);
    world.settle();
    world.domain.spec.dkim.keys = vec![RSA];
    let plan = world.step();
    assert_eq!(signing(&plan), ["20261125-rsa"]);
    assert_eq!(state(&plan, "20261125-ed25519"), Some(KeyState::Retiring));
    world.now = "2027-01-01T00:00:00Z".parse().unwrap();
    world.step();
    // Revoked is the end: wanted again, it is another key.
    world.domain.spec.dkim.keys = vec![RSA, ED];
    assert_eq!(made(&world.step()), ["20270101-ed25519"]);
}

#[test]
fn a_broken_secret_is_named_and_its_selector_taken() {
    let mut world = World::new(&[ED]);
    world.settle();
    world.found[0].stored = Err(SecretFault::Missing("private.pem".into()));
    let plan = world.step();
    assert_eq!(reasons(&plan), ["KeySecretBroken", "KeySecretLost"]);
    assert_eq!(made(&plan), ["20261125-ed25519-2"]);
    let mut unknown = World::new(&[ED]);
    let secret_name = key_secret::name("example.com", "20261125-ed25519");
    unknown.found.push(Found { secret_name, selector: None, stored: Err(SecretFault::NotOurs) });
    assert_eq!(made(&unknown.step()), ["20261125-ed25519-2"], "a Secret has this name already");
}

#[test]
fn imported_keys() {
    let pem = keys::generate("s1", &ED).unwrap().private_pem();
    for (data, reason, message) in [
        (None, "ImportedSecretMissing", "spec.dkim.imported[0].secretRef: there is no Secret old: make it"),
        (
            Some(""),
            "ImportedKeyMissing",
            "spec.dkim.imported[0].secretRef: the Secret old: its tls.key is empty: add it",
        ),
        (Some("x"), "ImportedKeyInvalid", "this is not a private key"),
    ] {
        let mut world = World::new(&[]);
        world.import("s1", data);
        let plan = world.step();
        assert_eq!(reasons(&plan), [reason]);
        assert!(plan.findings[0].message.contains(message) && plan.findings[0].blocking, "{:?}", plan.findings);
        // A Secret that comes later heals.
        world.imports[0] = Some(BTreeMap::from([("tls.key".into(), ByteString(pem.clone().into_bytes()))]));
        let healed = world.step();
        assert_eq!((signing(&healed), published(&healed), healed.findings.len()), (vec!["s1"], vec!["s1"], 0));
        // And one that goes: the copy signs on, its record stays.
        world.imports[0] = None;
        let gone = world.step();
        assert_eq!((gone.keep_sealed.clone(), published(&gone)), (vec!["s1".to_owned()], vec!["s1"]));
        assert_eq!(reasons(&gone), ["ImportedSecretMissing"]);
        // Taken out of the spec it ends.
        world.domain.spec.dkim.imported.clear();
        let ended = world.step();
        assert_eq!((state(&ended, "s1"), ended.keep_sealed.len()), (Some(KeyState::Retiring), 0));
    }
}

#[test]
fn an_import_does_not_take_the_selector_of_a_key_made_here() {
    let mut world = World::new(&[ED]);
    world.settle();
    let pem = keys::generate("x", &ED).unwrap().private_pem();
    world.import("20261125-ed25519", Some(&pem));
    let plan = world.step();
    assert_eq!(reasons(&plan), ["ImportedSelectorTaken"]);
    assert_ne!(plan.sign_with[0].private_pem(), pem);
}

#[test]
fn a_status_is_bounded() {
    let mut world = World::new(&[ED]);
    world.settle();
    let mut status = world.domain.status.clone().unwrap();
    let revoked = |number: u32| KeyStatus {
        selector: format!("20200101-ed25519-{number}"),
        state: KeyState::Revoked,
        ..status.keys[0].clone()
    };
    let old: Vec<KeyStatus> = (2..100).map(revoked).collect();
    status.keys.extend(old);
    world.domain.status = Some(status);
    let plan = world.step();
    assert_eq!((plan.status.len(), signing(&plan)), (KEYS_MAX, vec!["20261125-ed25519"]));
    assert_eq!(state(&plan, "20200101-ed25519-99"), Some(KeyState::Revoked));
    assert_eq!(state(&plan, "20200101-ed25519-2"), None);
}

#[test]
fn selectors_from_elsewhere() {
    let records = [("dkim/a", "Verified"), ("dkim/b", "Missing"), ("spf", "Verified")];
    let status = |(id, state): &(&str, &str)| RecordStatus {
        id: (*id).into(),
        kind: "TXT".into(),
        state: (*state).into(),
        reason: None,
        since: None,
        value: None,
    };
    assert_eq!(verified(&records.iter().map(status).collect::<Vec<_>>()), BTreeSet::from(["a".to_owned()]));
}
