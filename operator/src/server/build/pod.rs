//! The pod that carries mail: it passes Pod Security `restricted`, holds no token, and is replaced only when
//! something changed that a running process cannot take up.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, Lifecycle, LifecycleHandler,
        LocalObjectReference, PodDNSConfig, PodDNSConfigOption, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
        ResourceRequirements, SeccompProfile, SecurityContext, SleepAction,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use paquebot_mta_api::config::Config;

use super::{Inputs, meta::object_labels, names, placement, volumes};
use crate::{
    api::pod::{Amount, PodSettings, Resources},
    server::{
        config::{CONFIG_FILE, CONFIG_FOLDER, restart_digest},
        ports::{ADMIN_PORT, METRICS_PORT, inside},
    },
};

/// The container's name.
pub const CONTAINER: &str = "mta";
/// Where an image has the program.
const PROGRAM: &str = "/paquebot-mta";
/// A change of it replaces the pods.
pub const RESTART_DIGEST: &str = "paquebot.dev/restart-digest";
/// The user and group: nobody else's in the usual images.
const USER: i64 = 65532;
/// Another pod takes over: until all nodes know, connections still come here.
const HANDOVER_SECONDS: i64 = 5;
/// After the drain: the store is closed.
const CLOSE_SECONDS: i64 = 10;
/// What the container gets where the MailServer says nothing.
const REQUESTS_DEFAULT: [(&str, &str); 2] = [("cpu", "100m"), ("memory", "128Mi")];
/// What it gets at most where the MailServer says nothing.
const LIMITS_DEFAULT: [(&str, &str); 1] = [("memory", "1Gi")];

/// Which store the pod has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// On its volume.
    Embedded,
    /// In a database.
    Shared,
}

/// The template of the pods.
pub fn template(inputs: &Inputs, config: &Config, kind: Kind) -> PodTemplateSpec {
    let settings = inputs.server.spec.pod.clone().unwrap_or_default();
    let mut labels = settings.labels.clone();
    labels.extend(object_labels(inputs));
    let mut annotations = settings.annotations.clone();
    annotations.insert(RESTART_DIGEST.to_owned(), restart_digest(config));
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }),
        spec: Some(spec(inputs, config, &settings, kind)),
    }
}

fn spec(inputs: &Inputs, config: &Config, settings: &PodSettings, kind: Kind) -> PodSpec {
    let secrets: Vec<_> =
        settings.image_pull_secrets.iter().map(|it| LocalObjectReference { name: it.name.clone() }).collect();
    let drain = i64::try_from(config.limits.drain_seconds).unwrap_or(i64::MAX);
    let spec = PodSpec {
        service_account_name: Some(names(inputs.server).service_account),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            // A large volume is not walked at each start.
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        // Mail asks for whole names: with the cluster's search list each would be asked for several times.
        dns_config: Some(PodDNSConfig {
            options: Some(vec![PodDNSConfigOption { name: Some("ndots".to_owned()), value: Some("1".to_owned()) }]),
            ..PodDNSConfig::default()
        }),
        termination_grace_period_seconds: Some(
            handover(kind).unwrap_or(0).saturating_add(drain).saturating_add(CLOSE_SECONDS),
        ),
        containers: vec![container(inputs, settings, kind)],
        volumes: Some(volumes::volumes(inputs, kind)),
        ..PodSpec::default()
    };
    placement::place(spec, inputs, settings, kind)
}

fn container(inputs: &Inputs, settings: &PodSettings, kind: Kind) -> Container {
    let args = ["serve", "--config", &format!("{CONFIG_FOLDER}/{CONFIG_FILE}"), "--log-format", "json"];
    Container {
        name: CONTAINER.to_owned(),
        image: Some(inputs.image.to_owned()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        command: Some(vec![PROGRAM.to_owned()]),
        args: Some(args.map(str::to_owned).to_vec()),
        env: Some(vec![EnvVar { name: "RUST_LOG".to_owned(), value: Some("info".to_owned()), ..EnvVar::default() }]),
        ports: Some(ports(inputs)),
        resources: Some(resources(settings.resources.as_ref())),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        // Up to five minutes: a store that was killed is recovered, an older one migrated.
        startup_probe: Some(probe("/healthz", 1, 300)),
        // Only whether the process lives: a server that waits for its directory, or drains, is not restarted.
        liveness_probe: Some(probe("/healthz", 10, 6)),
        readiness_probe: Some(probe("/readyz", 3, 2)),
        lifecycle: handover(kind).map(|seconds| Lifecycle {
            pre_stop: Some(LifecycleHandler { sleep: Some(SleepAction { seconds }), ..LifecycleHandler::default() }),
            ..Lifecycle::default()
        }),
        volume_mounts: Some(volumes::mounts(kind)),
        ..Container::default()
    }
}

/// Seconds for which a pod that is to stop serves on as before, until connections go to another. Where there is no
/// other they would only be time without service.
fn handover(kind: Kind) -> Option<i64> {
    (kind == Kind::Shared).then_some(HANDOVER_SECONDS)
}

fn ports(inputs: &Inputs) -> Vec<ContainerPort> {
    let port = |name: &str, number: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let mail = inputs.facts.protocols.iter().map(|(protocol, standard)| port(protocol.name(), inside(*standard)));
    mail.chain([port("metrics", METRICS_PORT), port("admin", ADMIN_PORT)]).collect()
}

fn probe(path: &str, period_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("metrics".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        // The process itself answers within 3 s, or says that its store does not.
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn resources(own: Option<&Resources>) -> ResourceRequirements {
    let default = |pairs: &[(&str, &str)]| -> BTreeMap<String, Quantity> {
        pairs.iter().map(|(key, amount)| ((*key).to_owned(), Quantity((*amount).to_owned()))).collect()
    };
    let said = |amounts: &BTreeMap<String, Amount>| {
        let amounts: BTreeMap<_, _> = amounts.iter().map(|(key, it)| (key.clone(), Quantity(it.0.clone()))).collect();
        (!amounts.is_empty()).then_some(amounts)
    };
    let (requests, limits) = match own {
        None => (Some(default(&REQUESTS_DEFAULT)), Some(default(&LIMITS_DEFAULT))),
        Some(own) => (said(&own.requests), said(&own.limits)),
    };
    ResourceRequirements { requests, limits, ..ResourceRequirements::default() }
}
