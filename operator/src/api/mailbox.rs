//! `Mailbox`: a person's. It lives in its MailDomain's namespace.

#![allow(clippy::duplicated_attributes, reason = "printer columns share their type")]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    refs::{ADDRESS_PATTERN, Conditions, SecretKeyRef},
    units::Quantity,
};

/// What a person wants of a mailbox.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "paquebot.dev",
    version = "v1alpha1",
    kind = "Mailbox",
    plural = "mailboxes",
    namespaced,
    shortname = "mbx",
    category = "paquebot",
    status = "MailboxStatus",
    derive = "PartialEq",
    doc = "A person's mailbox. It lives in the namespace of the MailDomain of its address.",
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secretName", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct MailboxSpec {
    /// Its address, also the login name: alice@example.com.
    #[schemars(length(max = 320), regex(pattern = ADDRESS_PATTERN))]
    pub address: String,
    /// How much mail it may hold; left out: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quantity>,
    /// The password, in a Secret; left out: one is generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret_ref: Option<SecretKeyRef>,
}

/// What is true of a Mailbox.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailboxStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted, Programmed, Ready.
    #[serde(default)]
    pub conditions: Conditions,
    /// The Secret that the password is in; generated where the spec names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
}
