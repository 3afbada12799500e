//! Each reason once, as a user reads it.

use std::collections::BTreeSet;

use super::*;
use crate::{
    api::{
        MailServerSpec,
        refs::SecretKeyRef,
        server::{Egress, IssuerKind, Postgres, ProxyProtocol, Service, ServiceType, Store},
    },
    server::observed::Waiting,
};

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn server() -> MailServer {
    let mut server = MailServer::new("main", MailServerSpec::default());
    server.spec.egress = Some(Egress { public_addresses: vec!["192.0.2.10".into()] });
    server
}

fn issuer(kind: IssuerKind) -> IssuerRef {
    IssuerRef { name: "letsencrypt".into(), kind }
}

fn settings() -> Settings {
    serde_yaml::from_str("image: paquebot:1").unwrap()
}

fn serving() -> Observed {
    Observed {
        hostname: Some("mail.example.com".into()),
        refused: None,
        workload: Some(Workload { wanted: 1, there: 1, ready: 1 }),
        pods: Vec::new(),
        pods_refused: None,
        volume: VolumeState::Fine,
        waits_for_image: None,
        service: Some(ServiceState {
            addresses: vec!["203.0.113.5".parse().unwrap()],
            cluster_ips: vec!["10.96.0.7".into()],
            node_port: Some(30025),
            since: Some("2026-11-25T11:00:00Z".parse().unwrap()),
            ..ServiceState::default()
        }),
        certificate: CertificateState::Good { expires: "2027-02-23T12:00:00Z".parse().unwrap(), self_signed: false },
        egress: vec!["192.0.2.10".parse().unwrap()],
        now: now(),
    }
}

type Change = Box<dyn Fn(&mut MailServer, &mut Observed)>;

fn spec(change: impl Fn(&mut MailServerSpec) + 'static) -> Change {
    Box::new(move |server, _| change(&mut server.spec))
}

fn seen(change: impl Fn(&mut Observed) + 'static) -> Change {
    Box::new(move |_, observed| change(observed))
}

fn certificate(state: CertificateState) -> Change {
    seen(move |it| it.certificate = state.clone())
}

fn down(volume: VolumeState, waiting: Option<Waiting>) -> Change {
    seen(move |it| {
        it.workload = Some(Workload { wanted: 1, there: 1, ready: 0 });
        it.volume = volume.clone();
        it.pods = waiting.iter().map(|it| PodState { name: "main-0".into(), waiting: Some(it.clone()) }).collect();
    })
}

fn accepted_cases() -> Vec<(&'static str, Change)> {
    vec![
        ("Accepted Accepted", seen(|_| {})),
        (
            "Accepted InvalidSpec",
            spec(|it| {
                it.hostname = Some("-".into());
                it.replicas = 2;
            }),
        ),
        (
            "Accepted StoreNotSupported",
            spec(|it| {
                let url_secret_ref = SecretKeyRef { name: "db".into(), key: "url".into() };
                it.store = Store { sqlite: None, postgres: Some(Postgres { url_secret_ref }) };
            }),
        ),
        (
            "Accepted ProxyProtocolNotSupported",
            spec(|it| {
                let proxy_protocol = Some(ProxyProtocol { trusted_cidrs: vec!["198.51.100.0/24".into()] });
                it.service = Some(Service { proxy_protocol, ..Service::default() });
            }),
        ),
        (
            "Accepted VolumeNotResizable",
            seen(|it| {
                it.volume =
                    VolumeState::Refused("the volume has 20Gi and cannot shrink to 10Gi: write size: 20Gi".into());
            }),
        ),
        (
            "Accepted ObjectRefused",
            seen(|it| {
                let what = "Service mail/main could not be applied";
                it.refused = Refusal::of(what, 422, "spec.loadBalancerClass: field is immutable");
            }),
        ),
        (
            "Accepted ObjectRefused",
            seen(|it| {
                let words = "secrets \"main-seal\" is forbidden: exceeded quota: few, requested: count/secrets=1";
                it.refused = Refusal::of("Secret mail/main-seal could not be made", 403, words);
            }),
        ),
    ]
}

fn available_cases() -> Vec<(&'static str, Change)> {
    let fine = || VolumeState::Fine;
    let classes = || vec!["fast".to_owned(), "slow".to_owned()];
    vec![
        ("Available Available", seen(|_| {})),
        ("Available Available", seen(|it| it.waits_for_image = Some("paquebot:2".into()))),
        (
            "Available SomePodsServe",
            seen(|it| {
                it.workload = Some(Workload { wanted: 3, there: 3, ready: 2 });
                it.pods = vec![PodState { name: "main-x".into(), waiting: Some(Waiting::NotReady) }];
            }),
        ),
        (
            "Available NotAccepted",
            Box::new(|server, observed| {
                server.spec.hostname = Some("-".into());
                observed.workload = None;
            }),
        ),
        (
            "Available ScaledToZero",
            Box::new(|server, observed| {
                server.spec.replicas = 0;
                observed.workload = Some(Workload::default());
            }),
        ),
        (
            "Available NoHostname",
            seen(|it| {
                it.hostname = None;
                it.workload = None;
            }),
        ),
        ("Available NoStorageClass", down(VolumeState::NoDefaultClass { classes: Vec::new() }, None)),
        ("Available NoDefaultStorageClass", down(VolumeState::NoDefaultClass { classes: classes() }, None)),
        (
            "Available StorageClassMissing",
            down(VolumeState::NoSuchClass { class: "gold".into(), classes: classes() }, None),
        ),
        (
            "Available StorageClassMissing",
            down(VolumeState::NoSuchClass { class: "gold".into(), classes: Vec::new() }, None),
        ),
        (
            "Available VolumePending",
            down(VolumeState::Pending { claim: "data-main-0".into(), why: Some("quota exceeded".into()) }, None),
        ),
        ("Available VolumePending", down(VolumeState::Pending { claim: "data-main-0".into(), why: None }, None)),
        ("Available VolumeLost", down(VolumeState::Lost { claim: "data-main-0".into() }, None)),
        (
            "Available Unschedulable",
            down(fine(), Some(Waiting::Unschedulable("0/3 nodes are available: 3 Insufficient memory.".into()))),
        ),
        (
            "Available ImageNotPulled",
            down(fine(), Some(Waiting::Image("registry.example/paquebot:9".into(), "not found".into()))),
        ),
        ("Available PodCrashes", down(fine(), Some(Waiting::Crashes("it ended with status 1".into())))),
        (
            "Available PodCannotStart",
            down(fine(), Some(Waiting::Config("couldn't find key tls.crt in Secret mail/tls".into()))),
        ),
        ("Available Starting", down(fine(), Some(Waiting::Starts))),
        ("Available Starting", down(fine(), None)),
        (
            "Available PodsRefused",
            seen(|it| {
                it.workload = Some(Workload { wanted: 1, there: 0, ready: 0 });
                it.pods_refused =
                    Some("pods \"main-0\" is forbidden: no PriorityClass with name high was found".into());
            }),
        ),
        ("Available NotReady", down(fine(), Some(Waiting::NotReady))),
    ]
}

fn certificate_cases() -> Vec<(&'static str, Change)> {
    let secret = || "mail-tls".to_owned();
    let past: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    vec![
        ("TLSReady Valid", seen(|_| {})),
        ("TLSReady SelfSigned", certificate(CertificateState::Good { expires: now(), self_signed: true })),
        ("TLSReady SecretMissing", certificate(CertificateState::SecretMissing { secret: secret() })),
        (
            "TLSReady SecretUnreadable",
            certificate(CertificateState::Unreadable {
                secret: secret(),
                why: "tls.crt is missing: put the chain there, leaf first".into(),
            }),
        ),
        ("TLSReady KeyMismatch", certificate(CertificateState::KeyMismatch { secret: secret() })),
        (
            "TLSReady HostnameNotCovered",
            certificate(CertificateState::NotCovered { secret: secret(), names: vec!["mx.example.net".into()] }),
        ),
        (
            "TLSReady HostnameNotCovered",
            certificate(CertificateState::NotCovered { secret: secret(), names: Vec::new() }),
        ),
        ("TLSReady Expired", certificate(CertificateState::Expired { secret: secret(), expired: past })),
        ("TLSReady CertManagerMissing", certificate(CertificateState::NoCertManager)),
        (
            "TLSReady Issuing",
            certificate(CertificateState::Issuing {
                certificate: "main".into(),
                issuer: issuer(IssuerKind::Issuer),
                why: Some("Issuing certificate as Secret does not exist.".into()),
            }),
        ),
        (
            "TLSReady Issuing",
            certificate(CertificateState::Issuing {
                certificate: "main".into(),
                issuer: issuer(IssuerKind::ClusterIssuer),
                why: None,
            }),
        ),
        ("TLSReady Pending", certificate(CertificateState::Pending)),
    ]
}

/// A Service of this type without an address.
fn unaddressed(kind: ServiceType, change: impl Fn(&mut Observed) + 'static) -> Change {
    Box::new(move |server, observed| {
        server.spec.service = Some(Service { kind: Some(kind), ..Service::default() });
        server.spec.egress = None;
        observed.egress.clear();
        if let Some(service) = &mut observed.service {
            service.addresses.clear();
        }
        change(observed);
    })
}

fn reached_cases() -> Vec<(&'static str, Change)> {
    let default = |it: &mut Observed| it.egress = vec!["192.0.2.99".parse().unwrap()];
    vec![
        ("Addressed Addressed", seen(|_| {})),
        ("Addressed NoService", seen(|it| it.service = None)),
        ("Addressed Declared", seen(|it| it.service = Some(ServiceState::default()))),
        (
            "Addressed HostnameOnly",
            unaddressed(ServiceType::LoadBalancer, |it| {
                it.service.as_mut().unwrap().hostnames = vec!["lb-7.cloud.example".into()];
            }),
        ),
        (
            "Addressed LoadBalancerPending",
            unaddressed(ServiceType::LoadBalancer, |it| {
                it.service.as_mut().unwrap().since = Some(now());
            }),
        ),
        ("Addressed NoLoadBalancer", unaddressed(ServiceType::LoadBalancer, |_| {})),
        ("Addressed AddressUnknown", unaddressed(ServiceType::NodePort, |_| {})),
        ("Addressed DeclaredByDefault", unaddressed(ServiceType::NodePort, default)),
        ("Addressed ClusterOnly", unaddressed(ServiceType::ClusterIp, |_| {})),
        ("EgressVerified Declared", seen(|_| {})),
        ("EgressVerified DeclaredByDefault", Box::new(|server, _| server.spec.egress = None)),
        ("EgressVerified EgressUnknown", unaddressed(ServiceType::LoadBalancer, |_| {})),
    ]
}

#[test]
fn every_reason_says_what_to_do() {
    let mut text = String::new();
    let mut reasons = BTreeSet::new();
    let cases = [accepted_cases(), available_cases(), certificate_cases(), reached_cases()];
    for (expected, change) in cases.into_iter().flatten() {
        let (mut server, mut observed) = (server(), serving());
        change(&mut server, &mut observed);
        let findings = conditions(&server, &settings(), &observed);
        let kind = expected.split(' ').next().unwrap();
        let finding = findings.iter().find(|it| it.kind == kind).unwrap();
        assert_eq!(format!("{kind} {}", finding.reason), expected, "{}", finding.message);
        let says_what_to_do = finding.holds() || finding.message.contains(": ");
        assert!(says_what_to_do && !finding.message.contains("  "), "{}", finding.message);
        assert!(finding.message.len() < crate::conditions::MESSAGE_OCTETS_MAX);
        text.push_str(&format!("{expected}: {}\n    {}\n", finding.state.text(), finding.message));
        reasons.insert(expected);
        // Ready follows, and Stalled stands there only for what an edit must mend.
        let ready = findings.iter().find(|it| it.kind == "Ready").unwrap();
        assert_eq!(ready.holds(), findings.iter().take(5).all(crate::conditions::Finding::holds), "{expected}");
        let stalled = findings.iter().any(|it| it.kind == "Stalled");
        let heals = observed.refused.as_ref().is_some_and(Refusal::heals);
        assert_eq!(stalled, !findings[0].holds() && !heals, "{expected}");
    }
    assert!(reasons.len() > 35, "{}", reasons.len());
    insta::assert_snapshot!(text);
}

#[test]
fn a_server_that_serves_is_ready() {
    let findings = conditions(&server(), &settings(), &serving());
    let kinds: Vec<_> = findings.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["Accepted", "Available", "TLSReady", "Addressed", "EgressVerified", "Ready"]);
    assert!(findings.iter().all(crate::conditions::Finding::holds), "{findings:?}");
}
