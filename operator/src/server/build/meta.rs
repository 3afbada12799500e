//! Names, labels and owners of all objects of a server.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

use super::{
    Inputs,
    names::{COMPONENT_MTA, names},
};
use crate::names::{COMPONENT, INSTANCE, labels};

/// The resource that owns objects: they go when it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `paquebot.dev/v1alpha1`
    pub api_version: String,
    /// `MailServer`
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl Owner {
    /// As an owned object names it.
    pub fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

/// Of an object that is owned.
pub fn meta(inputs: &Inputs, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(inputs.namespace.to_owned()),
        labels: Some(object_labels(inputs)),
        owner_references: inputs.owner.map(|owner| vec![owner.reference()]),
        ..ObjectMeta::default()
    }
}

/// The labels of each object, and of the pods.
pub fn object_labels(inputs: &Inputs) -> BTreeMap<String, String> {
    labels(&names(inputs.server).base, COMPONENT_MTA)
}

/// The labels by which the pods are found: they never change.
pub fn selector_labels(inputs: &Inputs) -> BTreeMap<String, String> {
    let mut all = object_labels(inputs);
    all.retain(|key, _| key == COMPONENT || key == INSTANCE);
    all
}

/// The pods.
pub fn selector(inputs: &Inputs) -> LabelSelector {
    LabelSelector { match_labels: Some(selector_labels(inputs)), ..LabelSelector::default() }
}
