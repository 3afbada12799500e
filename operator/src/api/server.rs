//! `MailServer`: the servers that carry mail. The platform team's.

#![allow(clippy::duplicated_attributes, reason = "printer columns share their type")]

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    refs::{Conditions, DOMAIN_PATTERN, Empty, NAME_PATTERN, SecretKeyRef, SecretRef},
    units::Quantity,
};

/// A domain, or all names below it.
pub const DOMAIN_MATCH_PATTERN: &str =
    r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$|^\*$";
/// An address or a network.
pub const CIDR_PATTERN: &str = r"^[0-9A-Fa-f:.]+/[0-9]{1,3}$";
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
    "rule": "!has(self.store.sqlite) || self.replicas <= 1",
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
    /// The certificate; left out: self-signed, or the chart's default issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How clients and other servers reach the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// From where mail leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
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
pub struct Volume {
    /// Its size.
    #[serde(default = "size_default")]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// How the pods are reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// The Service's type; left out: the chart's default.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ServiceType")]
    pub kind: Option<ServiceType>,
    /// Takes the client's address from a PROXY protocol header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Annotations of the Service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    pub annotations: BTreeMap<String, String>,
}

/// A Service's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// An address of its own, from the cloud
    LoadBalancer,
    /// A port on each node
    NodePort,
    /// Within the cluster only
    #[serde(rename = "ClusterIP")]
    ClusterIp,
}

/// Who may say which client it speaks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProxyProtocol {
    /// The networks of the load balancers: only from there a header is believed.
    #[serde(rename = "trustedCIDRs")]
    #[schemars(length(min = 1, max = 50), inner(length(max = 49), regex(pattern = CIDR_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub trusted_cidrs: Vec<String>,
}

/// From where mail leaves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// The addresses that other servers see: they go into SPF and into the host's A and AAAA records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 45), regex(pattern = IP_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub public_addresses: Vec<String>,
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
