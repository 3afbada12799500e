//! Every case's conditions as people read them.

use super::*;
use crate::api::MailDomainSpec;

fn domain() -> MailDomain {
    let mut domain = MailDomain::new("example.com", MailDomainSpec::default());
    domain.metadata.namespace = Some("shop".into());
    domain
}

fn shown(findings: &[Finding]) -> String {
    let line = |it: &Finding| format!("  {} {} {}: {}\n", it.kind, it.state.text(), it.reason, it.message);
    findings.iter().map(line).collect()
}

fn written(pods: usize, lagging: &[&str]) -> Programmed {
    Programmed::Written { revision: 7, pods, lagging: lagging.iter().map(|it| (*it).to_owned()).collect() }
}

#[test]
fn all_that_is_said() {
    let dns_bad = Finding::no("DNSVerified", "RecordMissing", "spf is missing: add TXT v=spf1 -all");
    let dns_good = Finding::yes("DNSVerified", "Verified", "all 9 records are answered as wanted");
    let up = Finding::yes("Available", "Available", "1 of 1 pods is ready");
    let down = Finding::no("Available", "PodsNotReady", "0 of 1 pods is ready: see the pod's events");
    let key = |blocking| KeyFinding {
        reason: "KeySecretLost",
        message: "the Secret x with the DKIM key y is gone".into(),
        blocking,
    };
    let invalid = Claim::InvalidSpec(vec![("spec.spf.ip4[0]".into(), "\"300.0.0.1\" is not an address".into())]);
    let fine = written(1, &[]);
    let may_not = "mailservers.paquebot.dev is forbidden: User \"u\" cannot create resource \"mailservers\" in the namespace \"shop\"";
    let may_not = Refusal::of("MailServer shop/default could not be made", 403, may_not).unwrap();
    let quota = "secrets \"k\" is forbidden: exceeded quota: few, requested: count/secrets=1, used: count/secrets=0, limited: count/secrets=0";
    let quota = Refusal::of("Secret shop/k could not be made", 403, quota).unwrap();
    let missing = PasswordFault::KeyMissing { secret: "p-postmaster".into(), key: "password".into() };
    let nothing = Unpublished::default();
    let mut text = String::new();
    for (case, claim, keys, programmed, dns, available) in [
        ("all is well", Claim::Accepted, vec![], fine.clone(), Some(&dns_good), Some(&up)),
        ("three pods, a key lost", Claim::Accepted, vec![key(false)], written(3, &[]), Some(&dns_good), Some(&up)),
        ("new", Claim::Accepted, vec![], Programmed::NotWritten("the MailServer starts".into()), None, None),
        ("an import lacks", Claim::Accepted, vec![key(true)], fine.clone(), Some(&dns_good), Some(&up)),
        ("pods lag", Claim::Accepted, vec![], written(5, &["a", "b", "c", "d"]), Some(&dns_good), Some(&up)),
        ("no pod", Claim::Accepted, vec![], written(0, &[]), Some(&dns_good), Some(&down)),
        ("down", Claim::Accepted, vec![], fine.clone(), Some(&dns_good), Some(&down)),
        (
            "unreachable",
            Claim::Accepted,
            vec![],
            Programmed::Unreachable("connection refused".into()),
            Some(&dns_good),
            Some(&up),
        ),
        (
            "held back",
            Claim::Accepted,
            vec![],
            Programmed::HeldBack("it would delete 90 of 100 entries".into()),
            Some(&dns_good),
            Some(&up),
        ),
        ("a record lacks", Claim::Accepted, vec![], fine.clone(), Some(&dns_bad), Some(&up)),
        ("invalid", invalid, vec![], fine.clone(), Some(&dns_good), Some(&up)),
        ("no server", Claim::ServerNotFound("mail/main".into()), vec![], fine.clone(), None, None),
        ("not allowed", Claim::NotAllowed("mail/main".into()), vec![], fine.clone(), None, Some(&up)),
        ("held", Claim::HeldByAnother("web/example.com".into()), vec![], fine.clone(), None, Some(&up)),
        ("held, perhaps", Claim::HolderUnknown("web/example.com".into()), vec![], fine.clone(), None, Some(&up)),
        ("not known", Claim::NamespaceUnknown("mail/main".into()), vec![], fine.clone(), None, Some(&up)),
        ("no right to make a server", Claim::ServerRefused(may_not), vec![], fine.clone(), None, None),
        ("a key refused", Claim::Accepted, vec![refused(&quota)], fine.clone(), Some(&dns_good), Some(&up)),
        (
            "the postmaster",
            Claim::Accepted,
            vec![no_login(&domain(), &missing)],
            fine.clone(),
            Some(&dns_good),
            Some(&up),
        ),
    ] {
        let (domain, claim, programmed) = (&domain(), &claim, &programmed);
        let findings =
            conditions(&Inputs { domain, claim, keys: &keys, programmed, dns, unpublished: &nothing, available });
        text.push_str(&format!("{case}\n{}", shown(&findings)));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn unchecked_records_do_not_stand_in_the_way() {
    let mut domain = domain();
    domain.spec.dns.verification.mode = VerificationMode::Disabled;
    let (up, fine) = (Finding::yes("Available", "Available", ""), written(1, &[]));
    let inputs = Inputs {
        domain: &domain,
        claim: &Claim::Accepted,
        keys: &[],
        programmed: &fine,
        dns: None,
        unpublished: &Unpublished::default(),
        available: Some(&up),
    };
    let findings = conditions(&inputs);
    assert!(findings.iter().all(Finding::holds) && findings.iter().all(|it| it.kind != "Stalled"));
}

#[test]
fn what_is_not_published_is_said() {
    let (verified, missing) = (
        Finding::yes("DNSVerified", "Verified", "all are answered"),
        Finding::no("DNSVerified", "RecordMissing", "add spf"),
    );
    let refusal = Refusal::of("DNSEndpoint shop/x could not be applied", 422, "spec is wrong").unwrap();
    let (note, refused) = (
        Unpublished { note: Some("no DNSEndpoint is written".into()), refused: None },
        Unpublished { note: None, refused: Some(refusal) },
    );
    let (enabled, mut disabled, up, fine) =
        (domain(), domain(), Finding::yes("Available", "Available", ""), written(1, &[]));
    disabled.spec.dns.verification.mode = VerificationMode::Disabled;
    for (case, domain, dns, unpublished, holds, reason) in [
        ("a note", &enabled, Some(&missing), &note, false, "RecordMissing"),
        ("a note, nobody checks", &disabled, None, &note, true, "VerificationDisabled"),
        ("refused, and all there", &enabled, Some(&verified), &refused, true, "Verified"),
        ("refused, and missing", &enabled, Some(&missing), &refused, false, "ObjectRefused"),
        ("refused, not looked at yet", &enabled, None, &refused, false, "ObjectRefused"),
        ("refused, nobody checks", &disabled, None, &refused, false, "ObjectRefused"),
    ] {
        let claim = &Claim::Accepted;
        let findings =
            conditions(&Inputs { domain, claim, keys: &[], programmed: &fine, dns, unpublished, available: Some(&up) });
        let found = findings.iter().find(|it| it.kind == "DNSVerified").unwrap();
        assert_eq!((found.holds(), found.reason.as_str()), (holds, reason), "{case}");
        let said = unpublished.note.clone().or(unpublished.refused.as_ref().map(ToString::to_string)).unwrap();
        assert!(found.message.contains(&said), "{case}: {}", found.message);
        assert_eq!(findings.iter().find(|it| it.kind == "Ready").unwrap().holds(), holds, "{case}");
    }
}
