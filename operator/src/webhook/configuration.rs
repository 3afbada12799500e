//! The ValidatingWebhookConfiguration: which objects the API server asks about, and where. Pure.

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        RuleWithOperations, ServiceReference, ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta},
};

use super::PATH;
use crate::{api, names};

/// The object's name.
pub const NAME: &str = "paquebot";
/// Seconds that the API server waits: an edit must not hang on us.
const TIMEOUT_SECONDS: i32 = 5;
/// The label that every namespace has: its name.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// Where the API server finds the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// Through a Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: i32,
    },
    /// At an address: `https://127.0.0.1:8443`. For an operator outside the cluster.
    Url(String),
}

/// The configuration. `ca`: the certificates that the webhook's certificate is checked by, PEM. `namespaces`: those that
/// the operator watches; empty: all.
pub fn configuration(client: &Client, ca: &[u8], namespaces: &[String]) -> ValidatingWebhookConfiguration {
    let (service, url) = match client {
        Client::Service { namespace, name, port } => {
            let service = ServiceReference {
                namespace: namespace.clone(),
                name: name.clone(),
                port: Some(*port),
                path: Some(PATH.to_owned()),
            };
            (Some(service), None)
        }
        Client::Url(url) => (None, Some(format!("{}{PATH}", url.trim_end_matches('/')))),
    };
    let texts = |all: &[&str]| Some(all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
    let watched = LabelSelectorRequirement {
        key: NAMESPACE_LABEL.to_owned(),
        operator: "In".to_owned(),
        values: Some(namespaces.to_vec()),
    };
    let selector = LabelSelector { match_expressions: Some(vec![watched]), match_labels: None };
    let webhook = ValidatingWebhook {
        name: format!("validate.{}", api::GROUP),
        admission_review_versions: vec!["v1".to_owned()],
        client_config: WebhookClientConfig { ca_bundle: Some(ByteString(ca.to_vec())), service, url },
        // The controllers say the same in the status: a webhook that is down stops nobody.
        failure_policy: Some("Ignore".to_owned()),
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: (!namespaces.is_empty()).then_some(selector),
        rules: Some(vec![RuleWithOperations {
            api_groups: texts(&[api::GROUP]),
            api_versions: texts(&[api::VERSION]),
            operations: texts(&["CREATE", "UPDATE"]),
            // Without sub-resources: nobody but us writes a status.
            resources: texts(&["maildomains", "mailservers", "mailboxes"]),
            scope: Some("Namespaced".to_owned()),
        }]),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(TIMEOUT_SECONDS),
        ..ValidatingWebhook::default()
    };
    ValidatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            labels: Some(names::labels(NAME, "webhook")),
            ..ObjectMeta::default()
        },
        webhooks: Some(vec![webhook]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_service_and_by_address() {
        let service = Client::Service { namespace: "paquebot-system".into(), name: "paquebot".into(), port: 443 };
        let all = configuration(&service, b"ca", &[]);
        let some = configuration(&Client::Url("https://127.0.0.1:8443/".into()), b"ca", &["mail".into()]);
        insta::assert_snapshot!([all, some].map(|it| serde_yaml::to_string(&it).unwrap()).join("---\n"));
    }
}
