//! `MailServer`: the servers that carry mail. The platform team's.

#![allow(clippy::duplicated_attributes, reason = "printer columns share their type")]

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::service::{CIDR_PATTERN, NodePorts, ProxyProtocol, Service, ServiceType, TrafficPolicy};
use super::{
    pod::PodSettings,
    refs::{Conditions, DOMAIN_PATTERN, Empty, NAME_PATTERN, SecretKeyRef, SecretRef},
    units::{GoDuration, Quantity},
};

/// A domain, or all names below it.
pub const DOMAIN_MATCH_PATTERN: &str =
    r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$|^\*$";
/// An address.
pub const IP_PATTERN: &str = r"^[0-9A-Fa-f:.]+$";

/// What the platform's team wants of the servers. All of it may be left out.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "paquebot.dev",
    version = "v1alpha1",
    kind = "MailServer",
    namespaced,
    shortname = "ms",
    category = "paquebot",
    status = "MailServerStatus",
    derive = "PartialEq",
    doc = "Servers that receive, queue, deliver and keep the mail of the MailDomains that refer to them.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Hostname", type_ = "string", json_path = ".status.hostname"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.store) || !has(self.store.sqlite) || !has(self.replicas) || self.replicas <= 1",
    "message": "SQLite serves one replica: set replicas to 1, or use store.postgres to have more"
}]))]
pub struct MailServerSpec {
    /// The name in greetings and certificates, and the target of the MX records; left out: mail. and the first domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = DOMAIN_PATTERN))]
    pub hostname: Option<String>,
    /// Pods that serve.
    #[serde(default = "replicas_default")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: u32,
    /// Where mail is kept; its kind cannot be changed.
    #[serde(default = "store_default")]
    pub store: Store,
    /// The certificate; left out: by the operator's defaults.issuerRef, else self-signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How clients and other servers reach the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// From where mail leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    /// What one client may use; left out: the server's defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ServerLimits>,
    /// How the pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodSettings>,
    /// Which namespaces may use this server for which domains; its own namespace may use it for any domain, unless an entry without a selector says which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub allowed_domains: Vec<AllowedDomains>,
}

impl Default for MailServerSpec {
    fn default() -> Self {
        Self {
            hostname: None,
            replicas: replicas_default(),
            store: store_default(),
            tls: None,
            service: None,
            egress: None,
            limits: None,
            pod: None,
            allowed_domains: Vec::new(),
        }
    }
}

fn replicas_default() -> u32 {
    1
}

fn store_default() -> Store {
    Store { sqlite: Some(Sqlite::default()), postgres: None }
}

/// Where mail is kept: one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.sqlite) != has(self.postgres)",
        "message": "a store is either sqlite or postgres: set exactly one of them"
    },
    {
        "rule": "has(self.postgres) == has(oldSelf.postgres)",
        "message": "the kind of store cannot be changed, because the mail is in it: make another MailServer and move the mailboxes"
    }
]))]
pub struct Store {
    /// Embedded, on one volume: one replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<Sqlite>,
    /// Shared: any number of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Postgres>,
}

/// The embedded store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sqlite {
    /// The volume that it lies on.
    #[serde(default)]
    pub volume: Volume,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
    "message": "storageClassName cannot be changed, because the mail lies on its volume: make another MailServer and move the mailboxes"
}]))]
pub struct Volume {
    /// Its size: it can grow, not shrink.
    #[serde(default = "size_default")]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0",
        "message": "a volume cannot shrink, because the mail lies on it: write the old size or a larger one"
    }]))]
    pub size: Quantity,
    /// Its StorageClass; left out: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub storage_class_name: Option<String>,
}

impl Default for Volume {
    fn default() -> Self {
        Self { size: size_default(), storage_class_name: None }
    }
}

fn size_default() -> Quantity {
    Quantity("10Gi".to_owned())
}

/// The shared store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Postgres {
    /// The connection's URL: postgres://user:password@host/database.
    pub url_secret_ref: SecretKeyRef,
}

/// The certificate: one of the three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.secretRef), has(self.issuerRef), has(self.selfSigned)].filter(it, it).size() == 1",
    "message": "a certificate comes from one place: set exactly one of secretRef, issuerRef, selfSigned"
}]))]
pub struct Tls {
    /// A Secret of type kubernetes.io/tls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// An issuer of cert-manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// Made here; clients have to trust it by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_signed: Option<Empty>,
}

/// An issuer of cert-manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Its kind.
    #[serde(default)]
    pub kind: IssuerKind,
}

/// A kind of issuer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IssuerKind {
    /// In the MailServer's namespace
    #[default]
    Issuer,
    /// For the whole cluster
    ClusterIssuer,
}

impl IssuerKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issuer => "Issuer",
            Self::ClusterIssuer => "ClusterIssuer",
        }
    }
}

/// From where mail leaves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// The addresses that other servers see: they go into SPF, and into the host's A and AAAA records where the Service has no address of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 45), regex(pattern = IP_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub public_addresses: Vec<String>,
}

/// What one client may use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerLimits {
    /// The size of a message; left out: 50Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_size: Option<Quantity>,
    /// Recipients of one message; left out: 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 100_000))]
    pub recipients: Option<u32>,
    /// Sessions in all; left out: 2000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub sessions: Option<u32>,
    /// Sessions of one client address; left out: 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub sessions_per_address: Option<u32>,
    /// How long open sessions get to end when a pod stops; left out: 20s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<GoDuration>,
}

/// Which namespaces may use the server for which domains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedDomains {
    /// The namespaces, by their labels; left out: the server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,
    /// The domains: example.com, *.example.com for all below it, * for any.
    #[schemars(length(min = 1, max = 100), inner(length(max = 253), regex(pattern = DOMAIN_MATCH_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub domains: Vec<String>,
}

/// Namespaces by their labels; empty: all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that a namespace must have, all of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    pub match_labels: BTreeMap<String, String>,
}

/// What is true of a MailServer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailServerStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted, Available, TLSReady, Addressed, EgressVerified, Ready.
    #[serde(default)]
    pub conditions: Conditions,
    /// The name in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub hostname: Option<String>,
    /// Pods that there are.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub replicas: u32,
    /// The labels of the pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// The addresses at which the server is reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 253)))]
    pub addresses: Vec<String>,
}
