//! The operator's own settings: one YAML file.
//! What no resource says: which image, which namespaces, what a cluster gives by default.

use std::net::{IpAddr, SocketAddr};

use paquebot_mta_api::address::Domain;
use serde::{Deserialize, Serialize};

use crate::api::server::{IssuerRef, ServiceType};

/// The whole file. All but the image may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The operator's own namespace: its lease, its certificate authority.
    #[serde(default = "namespace_default")]
    pub namespace: String,
    /// The image of the MTA's pods.
    pub image: String,
    /// The namespaces whose resources count; empty: all.
    #[serde(default)]
    pub watch_namespaces: Vec<String>,
    /// What holds where a resource says nothing.
    #[serde(default)]
    pub defaults: Defaults,
    /// DNS.
    #[serde(default)]
    pub dns: DnsSettings,
    /// `/metrics`, `/healthz`, `/readyz`; left out: none.
    #[serde(default)]
    pub metrics: Option<SocketAddr>,
    /// The admission webhook; left out: none, and what it would refuse is told in the status.
    #[serde(default)]
    pub webhook: Option<WebhookSettings>,
}

/// The admission webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where it listens.
    pub address: SocketAddr,
    /// The Service in the operator's namespace by which the API server finds it.
    #[serde(default = "service_default")]
    pub service: String,
    /// The Service's port.
    #[serde(default = "port_default")]
    pub port: i32,
    /// Instead of a Service, for an operator outside the cluster: `https://192.0.2.1:9443/validate`.
    #[serde(default)]
    pub url: Option<String>,
}

fn service_default() -> String {
    "paquebot-webhook".to_owned()
}

fn port_default() -> i32 {
    443
}

impl Settings {
    /// With the defaults everywhere, and this image.
    pub fn of_image(image: &str) -> Self {
        Self {
            namespace: namespace_default(),
            image: image.to_owned(),
            watch_namespaces: Vec::new(),
            defaults: Defaults::default(),
            dns: DnsSettings::default(),
            metrics: None,
            webhook: None,
        }
    }
}

fn namespace_default() -> String {
    "paquebot-system".to_owned()
}

/// What holds where a MailServer says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Defaults {
    /// The issuer of certificates; left out: self-signed.
    pub issuer_ref: Option<IssuerRef>,
    /// The type of Services; left out: LoadBalancer.
    pub service_type: Option<ServiceType>,
    /// The StorageClass of volumes; left out: the cluster's default.
    pub storage_class_name: Option<String>,
    /// The addresses from which mail leaves; empty: unknown.
    pub egress_addresses: Vec<IpAddr>,
}

/// DNS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DnsSettings {
    /// The zones for which `DNSEndpoint`s may be written, and by whom.
    pub zones: Vec<ZoneGrant>,
    /// Resolvers that are asked for the authoritative servers; empty: the system's.
    pub resolvers: Vec<SocketAddr>,
}

/// Namespaces that may publish into a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ZoneGrant {
    /// The zone: all names in it and below.
    pub zone: Domain,
    /// The namespaces; `*` for all.
    pub namespaces: Vec<String>,
}

impl DnsSettings {
    /// Whether a MailDomain of this namespace may publish names of this domain.
    pub fn grants(&self, domain: &Domain, namespace: &str) -> bool {
        let within = |zone: &Domain| {
            domain.as_str().strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.zones
            .iter()
            .any(|it| within(&it.zone) && it.namespaces.iter().any(|named| named == "*" || named == namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_granted_by_namespace() {
        let text = "image: paquebot:1\ndns: {zones: [{zone: example.com, namespaces: [mail]}, {zone: test, namespaces: ['*']}]}";
        let settings: Settings = serde_yaml::from_str(text).unwrap();
        assert_eq!(settings.namespace, "paquebot-system");
        for (domain, namespace, granted) in [
            ("example.com", "mail", true),
            ("shop.example.com", "mail", true),
            ("notexample.com", "mail", false),
            ("example.com", "shop", false),
            ("a.test", "shop", true),
        ] {
            assert_eq!(settings.dns.grants(&domain.parse().unwrap(), namespace), granted, "{domain} {namespace}");
        }
        assert!(serde_yaml::from_str::<Settings>("image: x\nnope: 1").unwrap_err().to_string().contains("nope"));
    }
}
