//! Who has a name: tables of claimants, of what is held and of what is known.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::api::{
    MailDomainSpec, MailServerSpec,
    server::{AllowedDomains, NamespaceSelector},
};

fn domain(name: &str, namespace: &str, uid: u128, created: i64) -> MailDomain {
    let mut domain = MailDomain::new(name, MailDomainSpec::default());
    domain.spec.server_ref = crate::api::refs::ServerRef { name: "main".into(), namespace: Some("mail".into()) };
    domain.metadata.namespace = Some(namespace.to_owned());
    domain.metadata.uid = Some(Uuid::from_u128(uid).to_string());
    domain.metadata.creation_timestamp = Some(Time(Timestamp::from_second(created).unwrap()));
    domain
}

fn server(allowed: &[(&str, &[&str])]) -> MailServer {
    let entry = |(team, domains): &(&str, &[&str])| AllowedDomains {
        namespace_selector: Some(NamespaceSelector {
            match_labels: BTreeMap::from([("team".to_owned(), (*team).to_owned())]),
        }),
        domains: domains.iter().map(|it| (*it).to_owned()).collect(),
    };
    let allowed_domains = allowed.iter().map(entry).collect();
    let mut server = MailServer::new("main", MailServerSpec { allowed_domains, ..MailServerSpec::default() });
    server.metadata.namespace = Some("mail".to_owned());
    server
}

fn known() -> Known {
    let team = |it: &str| BTreeMap::from([("team".to_owned(), it.to_owned())]);
    let plain = || BTreeMap::new();
    let namespaces = [("shop", team("shop")), ("web", team("web")), ("mail", plain()), ("plain", plain())];
    let namespaces = namespaces.map(|(name, labels)| (name.to_owned(), labels));
    Known { namespaces: namespaces.into(), having: BTreeSet::new(), holders: true }
}

fn having(uid: u128) -> Known {
    Known { having: BTreeSet::from([Uuid::from_u128(uid)]), ..known() }
}

fn open() -> MailServer {
    server(&[("shop", &["*"]), ("web", &["*"])])
}

fn held(uid: u128) -> BTreeMap<Domain, Uuid> {
    BTreeMap::from([("example.com".parse().unwrap(), Uuid::from_u128(uid))])
}

#[test]
fn who_may_use_a_server() {
    let server = server(&[("shop", &["*.example.com", "example.com"])]);
    for (name, namespace, allowed) in [
        ("example.com", "shop", true),
        ("a.example.com", "shop", true),
        ("gmail.com", "shop", false),
        ("example.com", "web", false),
        ("example.com", "plain", false),
        ("gmail.com", "mail", true),
    ] {
        let domain = domain(name, namespace, 1, 0);
        let claim = claim(&domain, Some(&server), &[&domain], None, &known());
        assert_eq!(claim.is_accepted(), allowed, "{name} {namespace} {claim:?}");
        assert!(allowed || claim == Claim::NotAllowed("mail/main".into()));
    }
}

#[test]
fn a_name_has_one_owner() {
    let (older, younger) = (domain("example.com", "shop", 9, 100), domain("example.com", "web", 1, 200));
    let twin = domain("example.com", "web", 3, 100);
    let another = |it: &str| Claim::HeldByAnother(it.to_owned());
    for (case, domains, holders, wanted) in [
        ("the oldest", vec![&younger, &older], BTreeMap::new(), vec![another("shop/example.com"), Claim::Accepted]),
        (
            "equally old: the lower UID",
            vec![&older, &twin],
            BTreeMap::new(),
            vec![another("web/example.com"), Claim::Accepted],
        ),
        (
            "the holder, though younger",
            vec![&older, &younger],
            held(1),
            vec![another("web/example.com"), Claim::Accepted],
        ),
        ("the holder is gone", vec![&older, &younger], held(77), vec![Claim::Accepted, another("shop/example.com")]),
    ] {
        assert_eq!(claims(Some(&open()), &domains, &holders, &known()), wanted, "{case}");
    }
}

#[test]
fn a_name_that_was_given_stays_before_any_directory_has_it() {
    let (one, twin) = (domain("example.com", "shop", 1, 100), domain("example.com", "web", 2, 100));
    let older = domain("example.com", "web", 3, 50);
    let another = |it: &str| Claim::HeldByAnother(it.to_owned());
    for (case, domains, holders, known, wanted) in [
        (
            "nobody was given it",
            vec![&one, &twin],
            BTreeMap::new(),
            known(),
            vec![Claim::Accepted, another("shop/example.com")],
        ),
        (
            "the twin was",
            vec![&one, &twin],
            BTreeMap::new(),
            having(2),
            vec![another("web/example.com"), Claim::Accepted],
        ),
        (
            "the younger was",
            vec![&one, &older],
            BTreeMap::new(),
            having(1),
            vec![Claim::Accepted, another("shop/example.com")],
        ),
        (
            "a holder comes first",
            vec![&one, &twin],
            held(1),
            having(2),
            vec![Claim::Accepted, another("shop/example.com")],
        ),
        (
            "one that is gone was",
            vec![&one, &twin],
            BTreeMap::new(),
            having(9),
            vec![Claim::Accepted, another("shop/example.com")],
        ),
    ] {
        assert_eq!(claims(Some(&open()), &domains, &holders, &known), wanted, "{case}");
    }
    let mut wrong = domain("example.com", "web", 2, 100);
    wrong.spec.spf.ip4 = vec!["300.0.0.1".into()];
    let found = claims(Some(&open()), &[&one, &wrong], &BTreeMap::new(), &having(2));
    assert_eq!(found[0], another("web/example.com"), "no mistake costs what was given");
    assert!(found[1].keeps_entries(), "{found:?}");
    let found = claims(Some(&open()), &[&one, &wrong], &BTreeMap::new(), &known());
    assert!(found[0].is_accepted(), "and none gets something by one: {found:?}");
}

#[test]
fn what_its_status_says() {
    use crate::{
        api::domain::{KeyStatus, MailDomainStatus},
        conditions::Finding,
    };
    let mut own = domain("example.com", "shop", 1, 1);
    assert!(!was_given(&own));
    let keys: Vec<KeyStatus> = vec![
        serde_json::from_value(serde_json::json!({"selector": "s", "algorithm": "Ed25519", "state": "Active"}))
            .unwrap(),
    ];
    for (finding, without_keys, with_keys) in [
        (Finding::yes("Accepted", "Accepted", ""), true, true),
        (Finding::no("Accepted", "HeldByAnother", ""), false, false),
        (Finding::no("Accepted", "NotAllowed", ""), false, false),
        (Finding::no("Accepted", "InvalidSpec", ""), false, true),
        (Finding::unknown("Accepted", "NamespaceUnknown", ""), false, true),
        (Finding::unknown("Accepted", "HolderUnknown", ""), false, true),
        (Finding::no("Accepted", "ServerNotFound", ""), false, true),
        (Finding::yes("Ready", "Ready", ""), false, false),
    ] {
        let conditions =
            conditions::set(&Default::default(), std::slice::from_ref(&finding), None, Timestamp::UNIX_EPOCH);
        for (keys, wanted) in [(Vec::new(), without_keys), (keys.clone(), with_keys)] {
            own.status = Some(MailDomainStatus { conditions: conditions.clone(), keys, ..MailDomainStatus::default() });
            assert_eq!(was_given(&own), wanted, "{finding:?}");
        }
    }
}

/// The watch has not brought the namespace yet, or namespaces may not be read: nothing is lost by that.
#[test]
fn what_is_not_known_deletes_nothing() {
    let narrow = server(&[("shop", &["*.example.com"])]);
    let any_label = server(&[("shop", &["example.net"])]);
    for (case, server, name, namespace, wanted) in [
        ("a selector asks", open(), "example.com", "new", Claim::NamespaceUnknown("mail/main".into())),
        ("no label would help", narrow.clone(), "example.org", "new", Claim::NotAllowed("mail/main".into())),
        ("the server's own namespace", any_label, "example.org", "mail", Claim::Accepted),
        ("no selector at all", server(&[]), "example.org", "new", Claim::NotAllowed("mail/main".into())),
    ] {
        let (own, nothing) = (domain(name, namespace, 1, 1), Known::default());
        let found = claim(&own, Some(&server), &[&own], None, &nothing);
        assert_eq!(found, wanted, "{case}");
        assert_eq!(found.keeps_entries(), matches!(wanted, Claim::NamespaceUnknown(_)), "{case}");
    }
    // Nobody takes the name of a holder that is not known, nor of one that was given it; and it gets none anew.
    let (unknown, other) = (domain("example.com", "new", 1, 1), domain("example.com", "web", 2, 2));
    let waits = || Claim::NamespaceUnknown("mail/main".into());
    for (case, holders, known, wanted) in [
        ("the holder", held(1), known(), Claim::HeldByAnother("new/example.com".into())),
        ("it was given it", BTreeMap::new(), having(1), Claim::HeldByAnother("new/example.com".into())),
        ("it is only older", BTreeMap::new(), known(), Claim::Accepted),
        ("another holds it", held(2), known(), Claim::Accepted),
    ] {
        assert_eq!(claims(Some(&open()), &[&unknown, &other], &holders, &known), [waits(), wanted], "{case}");
    }
}

/// Two that both were given the name, by what is left of their statuses; or the holder lost its status.
#[test]
fn who_has_a_name_is_a_guess_until_the_directory_was_asked() {
    let (older, holding) = (domain("example.com", "shop", 1, 1), domain("example.com", "web", 2, 2));
    let both = BTreeSet::from([1, 2].map(Uuid::from_u128));
    for (case, having) in [("both were given it", both), ("no status says so", BTreeSet::new())] {
        let guess = Known { having, holders: false, ..known() };
        let found = claims(Some(&open()), &[&older, &holding], &BTreeMap::new(), &guess);
        assert_eq!(found, [Claim::Accepted, Claim::HolderUnknown("shop/example.com".into())], "{case}");
        assert!(found[1].keeps_entries(), "{case}");
        let found = claims(Some(&open()), &[&older, &holding], &held(2), &Known { holders: true, ..guess });
        assert_eq!(found, [Claim::HeldByAnother("web/example.com".into()), Claim::Accepted], "{case}");
    }
    // What is not known betters nothing: who was told that the name is another's has no more than that.
    let mut told = holding.clone();
    let said = crate::conditions::Finding::no("Accepted", "HeldByAnother", "");
    let conditions = conditions::set(&Default::default(), &[said], None, Timestamp::UNIX_EPOCH);
    told.status = Some(crate::api::domain::MailDomainStatus { conditions, ..Default::default() });
    let found = claims(Some(&open()), &[&older, &told], &BTreeMap::new(), &Known { holders: false, ..known() });
    assert_eq!(found, [Claim::Accepted, Claim::HeldByAnother("shop/example.com".into())]);
}

#[test]
fn those_who_may_not_do_not_compete() {
    let stranger = domain("example.com", "plain", 1, 1);
    let own = domain("example.com", "shop", 2, 2);
    let found = claims(Some(&open()), &[&stranger, &own], &BTreeMap::new(), &known());
    assert_eq!(found, [Claim::NotAllowed("mail/main".into()), Claim::Accepted]);
    // Not even one that held the name before the permission was taken away.
    let found = claims(Some(&open()), &[&stranger, &own], &held(1), &known());
    assert_eq!(found, [Claim::NotAllowed("mail/main".into()), Claim::Accepted]);
}

#[test]
fn a_mistake_does_not_cost_the_name() {
    let mut own = domain("example.com", "shop", 1, 1);
    own.spec.spf.ip4 = vec!["300.0.0.1".into()];
    let other = domain("example.com", "web", 2, 2);
    let found = claims(Some(&open()), &[&own, &other], &held(1), &known());
    assert!(found[0].keeps_entries() && !found[0].is_accepted());
    assert_eq!(found[1], Claim::HeldByAnother("shop/example.com".into()));
    assert!(!found[1].keeps_entries());
    // A name that nobody holds yet is not kept by one that cannot have it.
    let found = claims(Some(&open()), &[&own, &other], &BTreeMap::new(), &known());
    assert_eq!(found, [Claim::HeldByAnother("web/example.com".into()), Claim::Accepted]);
}

#[test]
fn what_else_is_refused() {
    let own = domain("example.com", "shop", 1, 1);
    assert_eq!(claim(&own, None, &[], None, &known()), Claim::ServerNotFound("mail/main".into()));
    let label = "x".repeat(56);
    let long = domain(&format!("{label}.{label}.{label}.{}", "y".repeat(70)), "shop", 1, 1);
    let Claim::InvalidSpec(findings) = claim(&long, Some(&open()), &[], None, &known()) else { panic!("accepted") };
    assert!(said(&findings).contains("metadata.name"), "{findings:?}");
    let many: Vec<Finding> = (0..5).map(|it| (format!("spec.{it}"), "wrong".to_owned())).collect();
    assert_eq!(said(&many), "spec.0: wrong; spec.1: wrong; spec.2: wrong; and 2 more");
}

#[test]
fn ten_thousand() {
    let names = (0..10_000).map(|it| domain(&format!("d{it}.example"), "shop", it, 1));
    let domains: Vec<MailDomain> = names.collect();
    let all: Vec<&MailDomain> = domains.iter().collect();
    let found = claims(Some(&open()), &all, &BTreeMap::new(), &known());
    assert!(found.iter().all(Claim::is_accepted));
    // And all of one name: still one look at each.
    let twins: Vec<MailDomain> = (0..10_000).map(|it| domain("example.com", "shop", it, 1)).collect();
    let all: Vec<&MailDomain> = twins.iter().collect();
    let found = claims(Some(&open()), &all, &BTreeMap::new(), &known());
    assert_eq!(found.iter().filter(|it| it.is_accepted()).count(), 1);
}
