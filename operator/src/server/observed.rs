//! What Pods, Services and workloads say, in the words of the conditions. Pure: objects in, plain values out.

use std::net::IpAddr;

use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{ContainerStatus, Pod, Service},
    },
    jiff::Timestamp,
};

/// How many pods there should be, and are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Workload {
    /// Wanted.
    pub wanted: u32,
    /// There.
    pub there: u32,
    /// Ready, and of the newest revision.
    pub ready: u32,
}

/// Why a pod does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// No node takes it: the scheduler's words.
    Unschedulable(String),
    /// Its image does not come: the image, and the kubelet's words.
    Image(String, String),
    /// It ends again and again: how it ended last.
    Crashes(String),
    /// It cannot be made, or a volume of it not mounted: the kubelet's words.
    Config(String),
    /// It is being started.
    Starts,
    /// It runs and is not ready.
    NotReady,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodState {
    /// Its name.
    pub name: String,
    /// Why it does not serve; `None`: it does.
    pub waiting: Option<Waiting>,
}

/// Where a Service is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// The load balancer's addresses.
    pub addresses: Vec<IpAddr>,
    /// The load balancer's names.
    pub hostnames: Vec<String>,
    /// Its addresses in the cluster.
    pub cluster_ips: Vec<String>,
    /// Its ports on each node, for port 25 first.
    pub node_port: Option<u16>,
    /// Since when it is there.
    pub since: Option<Timestamp>,
}

/// How many pods a set has; 0 ready while it has not seen the newest of its own specs.
pub fn workload(set: &StatefulSet) -> Workload {
    let count = |number: Option<i32>| number.and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
    let wanted = set.spec.as_ref().map_or(0, |spec| count(spec.replicas.or(Some(1))));
    let Some(status) = &set.status else { return Workload { wanted, ..Workload::default() } };
    let there = count(Some(status.replicas));
    let newest = current(set) && status.current_revision == status.update_revision;
    // A pod of the old revision serves too: only one that is being replaced does not count.
    let ready = if newest { count(status.ready_replicas) } else { 0 };
    Workload { wanted, there, ready }
}

/// Whether a set's pods are being replaced.
pub fn rolling(set: &StatefulSet) -> bool {
    let Some(status) = &set.status else { return false };
    !current(set) || status.current_revision != status.update_revision
}

/// Whether the set's controller has seen the newest spec.
fn current(set: &StatefulSet) -> bool {
    let seen = set.status.as_ref().and_then(|status| status.observed_generation);
    seen >= set.metadata.generation
}

/// What a pod waits for.
pub fn pod(pod: &Pod) -> PodState {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let condition = |kind: &str| status.conditions.iter().flatten().find(|it| it.type_ == kind);
    if condition("Ready").is_some_and(|it| it.status == "True") && pod.metadata.deletion_timestamp.is_none() {
        return PodState { name, waiting: None };
    }
    let unscheduled = condition("PodScheduled").filter(|it| it.status == "False");
    if let Some(condition) = unscheduled {
        let message = condition.message.clone().unwrap_or_default();
        return PodState { name, waiting: Some(Waiting::Unschedulable(message)) };
    }
    let containers = status.container_statuses.iter().flatten();
    let waiting = containers.map(container).find(|it| *it != Waiting::Starts).unwrap_or(Waiting::Starts);
    PodState { name, waiting: Some(waiting) }
}

fn container(status: &ContainerStatus) -> Waiting {
    let state = status.state.clone().unwrap_or_default();
    if state.running.is_some() {
        return if status.started == Some(true) { Waiting::NotReady } else { Waiting::Starts };
    }
    let last = || {
        let ended = status.last_state.as_ref().and_then(|it| it.terminated.as_ref());
        ended.or(state.terminated.as_ref()).map_or_else(
            || "it ended".to_owned(),
            |ended| match ended.reason.as_deref() {
                Some("OOMKilled") => "it was killed, because it used more memory than resources.limits.memory".into(),
                _ => format!("it ended with status {}", ended.exit_code),
            },
        )
    };
    let Some(waiting) = &state.waiting else {
        return if state.terminated.is_some() { Waiting::Crashes(last()) } else { Waiting::Starts };
    };
    let message = waiting.message.clone().unwrap_or_default();
    match waiting.reason.as_deref().unwrap_or_default() {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError" => {
            Waiting::Image(status.image.clone(), message)
        }
        "CrashLoopBackOff" => Waiting::Crashes(last()),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Waiting::Config(message),
        _ => Waiting::Starts,
    }
}

/// Where a Service is reached.
pub fn service(service: &Service) -> ServiceState {
    let spec = service.spec.clone().unwrap_or_default();
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = || balancer.and_then(|it| it.ingress.as_ref()).into_iter().flatten();
    ServiceState {
        addresses: ingress().filter_map(|it| it.ip.as_ref()?.parse().ok()).collect(),
        hostnames: ingress().filter_map(|it| it.hostname.clone()).collect(),
        cluster_ips: spec.cluster_ips.unwrap_or_default(),
        node_port: spec
            .ports
            .and_then(|ports| ports.into_iter().find(|it| it.port == 25)?.node_port)
            .and_then(|port| u16::try_from(port).ok()),
        since: service.metadata.creation_timestamp.as_ref().map(|it| it.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> PodState {
        pod(&serde_yaml::from_str(&format!("metadata: {{name: p}}\nstatus: {yaml}")).unwrap())
    }

    #[test]
    fn pods() {
        let waiting = |reason: &str| {
            read(&format!(
                "{{containerStatuses: [{{name: mta, image: 'x:1', imageID: '', ready: false, restartCount: 0, \
                 state: {{waiting: {{reason: {reason}, message: said}}}}}}]}}"
            ))
            .waiting
        };
        assert_eq!(waiting("ImagePullBackOff"), Some(Waiting::Image("x:1".into(), "said".into())));
        assert_eq!(waiting("CrashLoopBackOff"), Some(Waiting::Crashes("it ended".into())));
        assert_eq!(waiting("CreateContainerConfigError"), Some(Waiting::Config("said".into())));
        assert_eq!(waiting("ContainerCreating"), Some(Waiting::Starts));
        assert_eq!(read("{}").waiting, Some(Waiting::Starts));
        assert_eq!(read("{conditions: [{type: Ready, status: 'True'}]}").waiting, None);
        let unscheduled = "{conditions: [{type: PodScheduled, status: 'False', message: no node}]}";
        assert_eq!(read(unscheduled).waiting, Some(Waiting::Unschedulable("no node".into())));
        let running = |started: bool| {
            read(&format!(
                "{{conditions: [{{type: Ready, status: 'False'}}], containerStatuses: [{{name: mta, image: x, \
                 imageID: '', ready: false, started: {started}, restartCount: 0, state: {{running: {{}}}}}}]}}"
            ))
            .waiting
        };
        assert_eq!(running(true), Some(Waiting::NotReady));
        assert_eq!(running(false), Some(Waiting::Starts));
        let killed = "{containerStatuses: [{name: mta, image: x, imageID: '', ready: false, restartCount: 3, \
            state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}}]}";
        assert!(matches!(read(killed).waiting, Some(Waiting::Crashes(why)) if why.contains("memory")));
    }

    #[test]
    fn a_set_that_is_being_replaced_is_not_available() {
        let set = |generation: i64, seen: i64, current: &str, update: &str| -> StatefulSet {
            serde_yaml::from_str(&format!(
                "metadata: {{generation: {generation}}}\nspec: {{selector: {{}}, template: {{}}}}\nstatus: \
                 {{replicas: 1, readyReplicas: 1, observedGeneration: {seen}, currentRevision: {current}, \
                 updateRevision: {update}}}"
            ))
            .unwrap()
        };
        for (set, rolls, ready) in
            [(set(2, 2, "a", "a"), false, 1), (set(3, 2, "a", "a"), true, 0), (set(3, 3, "a", "b"), true, 0)]
        {
            assert_eq!((rolling(&set), workload(&set).ready), (rolls, ready));
        }
        assert_eq!(workload(&StatefulSet::default()), Workload::default());
    }

    #[test]
    fn services() {
        let seen = service(
            &serde_yaml::from_str(
                "metadata: {creationTimestamp: '2026-11-25T12:00:00Z'}\nspec: {clusterIPs: [10.0.0.7], ports: [{port: 465, \
                 nodePort: 30465}, {port: 25, nodePort: 30025}]}\nstatus: {loadBalancer: {ingress: [{ip: 192.0.2.1}, \
                 {hostname: lb.example.net}]}}",
            )
            .unwrap(),
        );
        assert_eq!(seen.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!((seen.hostnames, seen.cluster_ips), (vec!["lb.example.net".into()], vec!["10.0.0.7".into()]));
        assert_eq!(seen.node_port, Some(30025));
        assert!(seen.since.is_some());
    }
}
