//! How clients and other servers reach the pods of a MailServer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An address or a network.
pub const CIDR_PATTERN: &str = r"^[0-9A-Fa-f:.]+/[0-9]{1,3}$";
/// The class of a load balancer: a name, perhaps with a domain before it.
pub const CLASS_PATTERN: &str = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$";

/// How the pods are reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// The Service's type; left out: the operator's defaults.serviceType, else LoadBalancer.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ServiceType")]
    pub kind: Option<ServiceType>,
    /// Whether a node passes connections on to pods of other nodes; left out: Local, which keeps the client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TrafficPolicy")]
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// Which load balancer; left out: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = CLASS_PATTERN))]
    pub load_balancer_class: Option<String>,
    /// The networks that the load balancer lets in; left out: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 49), regex(pattern = CIDR_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub load_balancer_source_ranges: Vec<String>,
    /// The ports on the nodes; left out: the cluster's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_ports: Option<NodePorts>,
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

/// Where connections from outside go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrafficPolicy {
    /// To pods of the same node: the client's address is kept
    Local,
    /// To pods of any node: the client's address may be lost
    Cluster,
}

/// The ports on the nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePorts {
    /// For port 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub smtp: Option<u16>,
    /// For port 465.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub submissions: Option<u16>,
    /// For port 587.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub submission: Option<u16>,
    /// For port 995.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub pop3s: Option<u16>,
    /// For port 110.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub pop3: Option<u16>,
}

/// Who may say which client it speaks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProxyProtocol {
    /// The networks of the load balancers: only from there a header is believed.
    #[serde(rename = "trustedCIDRs")]
    #[schemars(length(min = 1, max = 50), inner(length(max = 49), regex(pattern = CIDR_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub trusted_cidrs: Vec<String>,
}
