//! A snapshot of each kind, and what must hold of all.

use serde_json::json;

use super::*;
use crate::{
    api::{
        MailServerSpec,
        refs::SecretKeyRef,
        server::{IssuerRef, Postgres, Store},
    },
    server::{facts_in_cluster, volume::ClaimTemplate},
};

/// Everything that the snapshots of one server follow from.
struct World {
    server: MailServer,
    owner: Owner,
    facts: Facts,
    settings: Settings,
    template: ClaimTemplate,
}

impl World {
    fn of(spec: &str) -> Self {
        let spec: MailServerSpec = serde_yaml::from_str(spec).unwrap();
        let mut server = MailServer::new("main", spec);
        server.metadata.namespace = Some("mail".into());
        server.metadata.uid = Some("6f3c1f8e-2f86-4a57-9a0a-3c1c2d9f0a01".into());
        let settings: Settings = serde_yaml::from_str("image: registry.example/paquebot:1").unwrap();
        let first = "example.com".parse().unwrap();
        let facts = facts_in_cluster(&server, &first, &settings.defaults, &[]).unwrap();
        let template = ClaimTemplate::wanted(&server, &settings)
            .unwrap_or(ClaimTemplate { size: crate::api::units::Quantity("10Gi".into()), storage_class_name: None });
        let owner = Owner {
            api_version: crate::api::API_VERSION.into(),
            kind: "MailServer".into(),
            name: "main".into(),
            uid: "6f3c1f8e-2f86-4a57-9a0a-3c1c2d9f0a01".into(),
        };
        Self { server, owner, facts, settings, template }
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            server: &self.server,
            namespace: "mail",
            owner: Some(&self.owner),
            facts: &self.facts,
            settings: &self.settings,
            image: wanted_image(&self.server, &self.settings),
            template: &self.template,
            cert_manager: true,
        }
    }

    fn shared() -> Self {
        let mut world = Self::of("{replicas: 3}");
        let url_secret_ref = SecretKeyRef { name: "mail-db".into(), key: "url".into() };
        world.server.spec.store = Store { sqlite: None, postgres: Some(Postgres { url_secret_ref }) };
        world
    }
}

fn yaml<T: Serialize>(object: &T) -> String {
    serde_yaml::to_string(object).unwrap()
}

/// All settings that there are.
const FULL: &str = "
hostname: mx.example.com
store: {sqlite: {volume: {size: 20Gi, storageClassName: fast}}}
tls: {issuerRef: {name: letsencrypt, kind: ClusterIssuer}}
service:
  type: LoadBalancer
  externalTrafficPolicy: Cluster
  loadBalancerClass: example.com/public
  loadBalancerSourceRanges: [198.51.100.0/24]
  nodePorts: {smtp: 30025}
  annotations: {example.com/pool: mail}
limits: {messageSize: 10Mi, drain: 1m}
pod:
  image: registry.example/own:2
  imagePullSecrets: [{name: registry}]
  resources: {requests: {cpu: 2, memory: 1Gi}, limits: {memory: 2Gi}}
  nodeSelector: {disk: ssd}
  affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: zone}}]}}
  tolerations: [{key: mail, operator: Exists}]
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
  priorityClassName: high
  labels: {team: mail, app.kubernetes.io/component: not-this}
  annotations: {example.com/scrape: 'true'}
";

#[test]
fn the_smallest_server() {
    let world = World::of("{}");
    let objects = objects(&world.inputs()).unwrap();
    insta::assert_snapshot!("service_account", yaml(&objects.service_account));
    insta::assert_snapshot!("config_map", yaml(&objects.config_map));
    insta::assert_snapshot!("service", yaml(&objects.service));
    insta::assert_snapshot!("headless", yaml(&objects.headless));
    insta::assert_snapshot!("network_policy", yaml(&objects.network_policy));
    insta::assert_snapshot!("stateful_set", yaml(&objects.stateful_set));
    assert_eq!(objects.certificate, None);
}

#[test]
fn every_setting() {
    let world = World::of(FULL);
    assert_eq!(crate::server::validate::validate(&world.server), []);
    let objects = objects(&world.inputs()).unwrap();
    insta::assert_snapshot!("full_service", yaml(&objects.service));
    insta::assert_snapshot!("full_stateful_set", yaml(&objects.stateful_set));
    insta::assert_snapshot!("certificate", yaml(&objects.certificate));
}

#[test]
fn the_shared_store() {
    let world = World::shared();
    let inputs = world.inputs();
    assert_eq!(objects(&inputs), Err(StoreNotSupported));
    insta::assert_snapshot!("deployment", yaml(&deployment::build(&inputs, &configuration(&inputs))));
    insta::assert_snapshot!("pod_disruption_budget", yaml(&pod_disruption_budget::build(&inputs)));
    let mut one = World::shared();
    one.server.spec.replicas = 1;
    assert_eq!(pod_disruption_budget::build(&one.inputs()), None);
    let policy = network_policy::build(&inputs, &configuration(&inputs));
    let egress = policy.spec.unwrap().egress.unwrap();
    assert!(json(&egress).to_string().contains("5432"));
}

#[test]
fn the_seal_key_outlives_its_server() {
    let world = World::of("{}");
    let secret = seal_key::build(&world.server, "mail", &[7; seal_key::SEAL_KEY_OCTETS]);
    assert_eq!(secret.metadata.owner_references, None);
    insta::assert_snapshot!("seal_key", yaml(&secret));
}

#[test]
fn what_is_owned_and_what_outlives() {
    let world = World::of(FULL);
    let all = objects(&world.inputs()).unwrap().all();
    assert_eq!(all.len(), 7);
    for object in &all {
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "6f3c1f8e-2f86-4a57-9a0a-3c1c2d9f0a01");
        assert_eq!(object["metadata"]["namespace"], "mail");
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "paquebot");
        assert!(object["apiVersion"].is_string() && object["kind"].is_string());
    }
    let set = all.last().unwrap();
    let policy = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    assert_eq!(set["spec"]["persistentVolumeClaimRetentionPolicy"], policy);
    assert!(set["spec"]["volumeClaimTemplates"][0]["metadata"].get("ownerReferences").is_none());
    assert_eq!(all, objects(&world.inputs()).unwrap().all());
}

/// Pod Security `restricted`, and no credentials of the API server.
#[test]
fn pods_are_restricted() {
    for template in [
        stateful_set::build(&World::of(FULL).inputs(), &configuration(&World::of(FULL).inputs()))
            .spec
            .unwrap()
            .template,
        deployment::build(&World::shared().inputs(), &configuration(&World::shared().inputs())).spec.unwrap().template,
    ] {
        let spec = template.spec.unwrap();
        assert_eq!(spec.automount_service_account_token, Some(false));
        assert!(spec.host_network.is_none() && spec.host_pid.is_none() && spec.host_ipc.is_none());
        let pod = spec.security_context.unwrap();
        assert_eq!((pod.run_as_non_root, pod.run_as_user), (Some(true), Some(65532)));
        assert_eq!(pod.seccomp_profile.unwrap().type_, "RuntimeDefault");
        for volume in spec.volumes.unwrap() {
            let allowed = volume.config_map.is_some() || volume.secret.is_some() || volume.empty_dir.is_some();
            assert!(allowed, "{}", volume.name);
        }
        for container in spec.containers {
            let context = container.security_context.unwrap();
            assert_eq!(context.allow_privilege_escalation, Some(false));
            assert_eq!(context.read_only_root_filesystem, Some(true));
            assert_eq!(context.capabilities.unwrap().drop.unwrap(), ["ALL"]);
            assert!(context.privileged.is_none());
            let ports = container.ports.unwrap();
            assert!(ports.iter().all(|it| it.container_port >= 1024 && it.host_port.is_none()));
        }
    }
}

/// The Services, the probes and the policy name ports at which the process listens.
#[test]
fn ports_agree() {
    let world = World::of("{}");
    let inputs = world.inputs();
    let config = configuration(&inputs);
    let listens: Vec<u16> = config.listeners.iter().map(|it| it.address.port()).collect();
    let objects = objects(&inputs).unwrap();
    let pod = objects.stateful_set.spec.unwrap().template.spec.unwrap();
    let ports = pod.containers[0].ports.clone().unwrap();
    let named = |name: &str| ports.iter().find(|it| it.name.as_deref() == Some(name)).map(|it| it.container_port);
    for port in objects.service.spec.unwrap().ports.unwrap() {
        let target = named(&port.name.unwrap()).unwrap();
        assert!(listens.contains(&u16::try_from(target).unwrap()), "{target}");
    }
    assert_eq!(named("admin").map(|it| it as u16), config.admin.map(|it| it.address.port()));
    assert_eq!(named("metrics").map(|it| it as u16), config.metrics.map(|it| it.port()));
    for port in objects.headless.spec.unwrap().ports.unwrap() {
        assert!(named(&port.name.unwrap()).is_some());
    }
}

/// Longer than the drain, or Kubernetes would cut it off.
#[test]
fn the_grace_period_fits_the_drain() {
    for (spec, seconds) in [("{}", 30), ("{limits: {drain: 2m}}", 130)] {
        let world = World::of(spec);
        let set = stateful_set::build(&world.inputs(), &configuration(&world.inputs()));
        let grace = set.spec.unwrap().template.spec.unwrap().termination_grace_period_seconds;
        assert_eq!(grace, Some(seconds), "{spec}");
    }
}

#[test]
fn where_the_certificate_comes_from() {
    let mut world = World::of("{}");
    let own = names(&world.server).tls;
    assert_eq!(tls(&world.server, &world.settings), TlsSource::SelfSigned { secret: own.clone() });
    let issuer = IssuerRef { name: "chart".into(), kind: crate::api::server::IssuerKind::Issuer };
    world.settings.defaults.issuer_ref = Some(issuer.clone());
    assert_eq!(tls(&world.server, &world.settings), TlsSource::Issuer { issuer, secret: own.clone() });
    world.server.spec.tls = Some(serde_yaml::from_str("selfSigned: {}").unwrap());
    assert_eq!(tls(&world.server, &world.settings), TlsSource::SelfSigned { secret: own });
    world.server.spec.tls = Some(serde_yaml::from_str("secretRef: {name: mine}").unwrap());
    assert_eq!(tls(&world.server, &world.settings).secret(), "mine");
    let mut absent = World::of(FULL);
    absent.facts.hostname = "mx.example.com".parse().unwrap();
    assert_eq!(certificate::build(&Inputs { cert_manager: false, ..absent.inputs() }), None);
}
