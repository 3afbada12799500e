//! A namespace with an eye on its objects: what a test makes there, and what the operator makes of it.

use std::{cell::Cell, collections::BTreeMap, time::Instant};

use kube::{
    Api, Client, Config,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use paquebot_tests::{
    cluster::{Cluster, Namespace, PATIENCE, wait_for, wait_until},
    operator::Start,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Labels of all that the operator makes.
pub const OURS: &str = "app.kubernetes.io/managed-by=paquebot";
/// The test's field manager.
const MANAGER: &str = "somebody";
/// Kinds that the operator makes in a namespace.
pub const OWNED: [&str; 8] = [
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "Service",
    "PersistentVolumeClaim",
    "StatefulSet",
    "NetworkPolicy",
    "MailServer",
];

/// A namespace and a client.
pub struct World<'c> {
    /// The namespace.
    pub space: Namespace<'c>,
    client: Client,
    runtime: Runtime,
    pods: Cell<bool>,
}

impl World<'static> {
    /// A new namespace in the shared cluster.
    pub fn new(called: &str) -> Self {
        Self::of(Cluster::shared(), called)
    }

    /// A new namespace in which no pods are admitted: for tests of what is written to the API.
    pub fn without_pods(called: &str) -> Self {
        let world = Self::new(called);
        world.allow_no_pods();
        world
    }
}

impl<'c> World<'c> {
    /// A new namespace in this cluster.
    pub fn of(cluster: &'c Cluster, called: &str) -> Self {
        paquebot_tests::operator::define(cluster);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let client = runtime.block_on(async {
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
            Client::try_from(config).unwrap()
        });
        Self { space: cluster.namespace(called, true), client, runtime, pods: Cell::new(true) }
    }

    /// No pods from now on.
    pub fn allow_no_pods(&self) {
        self.pods.set(false);
        self.apply(json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}
        }));
    }

    /// An operator for this namespace whose Services need no load balancer.
    pub fn operator(&self) -> Start<'_> {
        // Where no pods run, there need not be an image.
        let image = if self.pods.get() { self.space.cluster.image() } else { "localhost/none:1" };
        let mut start = Start::at(&self.space, image);
        start.settings.defaults.service_type = Some(paquebot::api::server::ServiceType::ClusterIp);
        start
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (group, version) = match kind {
            "MailDomain" | "MailServer" | "Mailbox" => ("paquebot.dev", "v1alpha1"),
            "StatefulSet" => ("apps", "v1"),
            "NetworkPolicy" => ("networking.k8s.io", "v1"),
            "StorageClass" => ("storage.k8s.io", "v1"),
            "ValidatingWebhookConfiguration" => ("admissionregistration.k8s.io", "v1"),
            "CustomResourceDefinition" => ("apiextensions.k8s.io", "v1"),
            "DNSEndpoint" => ("externaldns.k8s.io", "v1alpha1"),
            "Lease" => ("coordination.k8s.io", "v1"),
            _ => ("", "v1"),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match kind {
            "Namespace" | "StorageClass" | "ValidatingWebhookConfiguration" | "CustomResourceDefinition" => {
                Api::all_with(self.client.clone(), &resource)
            }
            _ => Api::namespaced_with(self.client.clone(), &self.space.name, &resource),
        }
    }

    /// Applies an object, and takes over the fields that another manager has.
    pub fn apply(&self, object: Value) -> Value {
        let (kind, name) = (text(&object, "/kind"), text(&object, "/metadata/name"));
        let params = PatchParams::apply(MANAGER).force();
        let applied = self.runtime.block_on(self.api(&kind).patch(&name, &params, &Patch::Apply(&object)));
        serde_json::to_value(applied.unwrap_or_else(|error| panic!("{kind} {name}: {error}"))).unwrap()
    }

    /// Applies one of our kinds; the spec is YAML.
    pub fn declare(&self, kind: &str, name: &str, spec: &str) -> Value {
        let spec: Value = serde_yaml::from_str(spec).unwrap();
        let version = "paquebot.dev/v1alpha1";
        self.apply(json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}))
    }

    /// Makes a Secret.
    pub fn secret(&self, name: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<&str, &str> = data.iter().copied().collect();
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data
        }))
        .unwrap();
        self.runtime.block_on(self.api("Secret").create(&PostParams::default(), &object)).unwrap();
    }

    /// Changes an object by a merge patch; what the API server says where it refuses.
    pub fn patch(&self, kind: &str, name: &str, patch: &Value) -> Result<Value, String> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patched = self.runtime.block_on(self.api(kind).patch(name, &params, &Patch::Merge(patch)));
        patched.map(|it| serde_json::to_value(it).unwrap()).map_err(|error| error.to_string())
    }

    /// Deletes an object.
    pub fn delete(&self, kind: &str, name: &str) {
        let deleted = self.runtime.block_on(self.api(kind).delete(name, &DeleteParams::background()));
        deleted.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }

    /// An object, where it is there and can be read.
    pub fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let object = self.runtime.block_on(self.api(kind).get_opt(name)).ok()??;
        Some(serde_json::to_value(object).unwrap())
    }

    /// Objects of a kind with these labels.
    pub fn list(&self, kind: &str, labels: &str) -> Vec<Value> {
        let params = ListParams::default().labels(labels);
        let listed =
            wait_for(&format!("a list of {kind}"), || self.runtime.block_on(self.api(kind).list(&params)).ok());
        let with_kind = |it: DynamicObject| {
            let mut object = serde_json::to_value(it).unwrap();
            object["kind"] = kind.into();
            object
        };
        listed.items.into_iter().map(with_kind).collect()
    }

    /// Waits until there is something to see in an object, and gives it.
    pub fn wait<T>(&self, kind: &str, name: &str, what: &str, mut look: impl FnMut(&Value) -> Option<T>) -> T {
        let began = Instant::now();
        let mut last = None;
        loop {
            last = self.get(kind, name).or(last);
            if let Some(seen) = last.as_ref().and_then(&mut look) {
                return seen;
            }
            let status = last.as_ref().map(|it| it["status"].to_string());
            assert!(began.elapsed() < PATIENCE, "{kind} {name}: {what}: not within {PATIENCE:?}: {status:?}");
            paquebot_tests::pause();
        }
    }

    /// Waits until a condition of this generation has this reason; gives its message.
    pub fn reason(&self, kind: &str, name: &str, condition: &str, reason: &str) -> String {
        self.wait(kind, name, &format!("{condition} is {reason}"), |object| {
            let found = find(object, condition)?;
            let current = found["observedGeneration"] == object["metadata"]["generation"];
            (current && found["reason"] == reason).then(|| text(&found, "/message"))
        })
    }

    /// Waits until it is gone.
    pub fn gone(&self, kind: &str, name: &str) {
        wait_until(&format!("{kind} {name} is gone"), || {
            matches!(self.runtime.block_on(self.api(kind).get_opt(name)), Ok(None))
        });
    }

    /// What the operator has made here, by kind and name.
    pub fn owned(&self) -> BTreeMap<(String, String), Value> {
        let all = OWNED.iter().flat_map(|kind| self.list(kind, OURS));
        all.map(|it| ((text(&it, "/kind"), text(&it, "/metadata/name")), it)).collect()
    }

    /// The names of the domain's key Secrets.
    pub fn keys(&self, domain: &str) -> Vec<String> {
        let keys = self.list("Secret", &format!("{OURS},app.kubernetes.io/component=dkim-key"));
        let ours = keys.iter().filter(|it| it["metadata"]["annotations"]["paquebot.dev/domain"] == domain);
        let mut names: Vec<String> = ours.map(|it| text(it, "/metadata/name")).collect();
        names.sort();
        names
    }

    /// Waits until the volume of a MailServer is there: its claim is made, and bound, by others than the operator.
    pub fn volume(&self, server: &str) {
        let claim = format!("data-{}-0", paquebot::names::base("MailServer", server));
        self.wait("PersistentVolumeClaim", &claim, "it is bound", |it| {
            (it["status"]["phase"] == "Bound").then_some(())
        });
    }

    /// The zone of a domain, once it has these words.
    pub fn zone(&self, domain: &str, words: &str) -> String {
        let name = format!("{}-zone", paquebot::names::base("MailDomain", domain));
        wait_for(&format!("the zone of {domain} says {words}"), || {
            let data = self.get("ConfigMap", &name)?["data"].to_string();
            data.contains(words).then_some(data)
        })
    }
}

/// A text in a value; empty where there is none.
pub fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A condition of an object.
pub fn find(object: &Value, condition: &str) -> Option<Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|it| it["type"] == condition).cloned()
}

/// The conditions as one line: type, status, reason.
pub fn conditions(object: &Value) -> String {
    let all = object.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let line = |it: &Value| format!("{}={}:{}", text(it, "/type"), text(it, "/status"), text(it, "/reason"));
    let mut lines: Vec<String> = all.iter().map(line).collect();
    lines.sort();
    lines.join(" ")
}

/// Whether all conditions are of the current generation.
pub fn is_current(object: &Value) -> bool {
    let all = object.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let generation = &object["metadata"]["generation"];
    !all.is_empty()
        && object["status"]["observedGeneration"] == *generation
        && all.iter().all(|it| it["observedGeneration"] == *generation)
}

/// What people and the operator write in an object.
pub fn content(object: &Value) -> Value {
    let mut object = object.clone();
    // Lists leave out what their items are.
    for field in ["status", "kind", "apiVersion"] {
        object[field].take();
    }
    for field in ["managedFields", "resourceVersion", "generation"] {
        object["metadata"][field].take();
    }
    object
}
