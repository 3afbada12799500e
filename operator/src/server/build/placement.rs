//! Where pods run: as the MailServer says, else spread over zones and nodes where that can be.

use k8s_openapi::{
    api::core::v1::{Affinity, PodSpec, Toleration, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Inputs, meta::selector_labels, pod::Kind};
use crate::{api::pod::PodSettings, load::schema::Finding};

/// What of the settings says where.
pub fn place(spec: PodSpec, inputs: &Inputs, settings: &PodSettings, kind: Kind) -> PodSpec {
    PodSpec {
        node_selector: (!settings.node_selector.is_empty()).then(|| settings.node_selector.clone()),
        affinity: settings.affinity.as_ref().and_then(|it| read::<Affinity>(it).ok()),
        tolerations: list::<Toleration>(&settings.tolerations),
        topology_spread_constraints: list(&settings.topology_spread_constraints)
            .or_else(|| (kind == Kind::Shared).then(|| spread(inputs))),
        priority_class_name: settings.priority_class_name.clone(),
        ..spec
    }
}

/// What is wrong with those settings that the schema leaves open.
pub fn validate(settings: &PodSettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut look = |path: String, result: Result<(), String>| {
        findings.extend(result.err().map(|fault| (format!("spec.pod.{path}"), fault)));
    };
    if let Some(affinity) = &settings.affinity {
        look("affinity".to_owned(), read::<Affinity>(affinity).map(drop));
    }
    for (index, item) in settings.tolerations.iter().enumerate() {
        look(format!("tolerations[{index}]"), read::<Toleration>(item).map(drop));
    }
    for (index, item) in settings.topology_spread_constraints.iter().enumerate() {
        look(format!("topologySpreadConstraints[{index}]"), read::<TopologySpreadConstraint>(item).map(drop));
    }
    findings
}

/// A value of Kubernetes' own, without a field that it does not know.
fn read<T: DeserializeOwned + Serialize>(value: &Value) -> Result<T, String> {
    let advice = "write it as in a pod's spec";
    let read: T =
        serde_json::from_value(value.clone()).map_err(|fault| format!("cannot be read ({fault}): {advice}"))?;
    let known = serde_json::to_value(&read).unwrap_or_default();
    match unknown(value, &known) {
        Some(field) => Err(format!("there is no such field as {field:?}: {advice}")),
        None => Ok(read),
    }
}

/// The first field that was lost in the reading.
fn unknown(value: &Value, known: &Value) -> Option<String> {
    match (value, known) {
        (Value::Object(fields), Value::Object(kept)) => fields.iter().find_map(|(name, inner)| match kept.get(name) {
            Some(there) => unknown(inner, there),
            // What is empty is left out when it is written.
            None if inner.is_null() => None,
            None if inner.as_array().is_some_and(Vec::is_empty) => None,
            None => Some(name.chars().take(64).collect()),
        }),
        (Value::Array(items), Value::Array(kept)) => {
            items.iter().zip(kept).find_map(|(inner, there)| unknown(inner, there))
        }
        _ => None,
    }
}

fn list<T: DeserializeOwned + Serialize>(items: &[Value]) -> Option<Vec<T>> {
    let items: Vec<T> = items.iter().filter_map(|it| read(it).ok()).collect();
    (!items.is_empty()).then_some(items)
}

/// Over zones, then over nodes; never so strictly that a pod finds no place.
fn spread(inputs: &Inputs) -> Vec<TopologySpreadConstraint> {
    let over = |key: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector { match_labels: Some(selector_labels(inputs)), ..LabelSelector::default() }),
        // Each revision by itself: the pods that are being replaced do not count.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    };
    vec![over("topology.kubernetes.io/zone"), over("kubernetes.io/hostname")]
}
