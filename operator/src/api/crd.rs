//! The CustomResourceDefinitions: what `crds/` has and `paquebot crds` prints, and the schema by which
//! files are read in local mode.
//!
//! The derived definitions are mended here: optional fields are absent, never null; a `spec` whose
//! fields have defaults may itself be left out; `rules` adds the CEL rules.

use std::sync::OnceLock;

use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{MailDomain, MailServer, Mailbox, rules};

/// The first line of each generated file.
pub const GENERATED: &str = "# Generated from operator/src/api by `make crds`: do not edit.\n";

/// The three definitions as the API server takes them: kind, and the definition as JSON.
pub fn crds() -> &'static [(&'static str, Value)] {
    static CRDS: OnceLock<Vec<(&'static str, Value)>> = OnceLock::new();
    CRDS.get_or_init(|| {
        let with_rules = |(kind, crd): &(&'static str, Value)| {
            let mut crd = crd.clone();
            if let Some(schema) = crd.pointer_mut(SCHEMA) {
                rules::add(schema, kind);
            }
            (*kind, crd)
        };
        plain_crds().iter().map(with_rules).collect()
    })
}

/// The same without CEL rules, patterns as they are: what files are read by.
fn plain_crds() -> &'static [(&'static str, Value)] {
    static CRDS: OnceLock<Vec<(&'static str, Value)>> = OnceLock::new();
    CRDS.get_or_init(|| {
        vec![
            ("MailDomain", mended(serde_json::to_value(MailDomain::crd()).unwrap_or_default(), "MailDomain")),
            ("MailServer", mended(serde_json::to_value(MailServer::crd()).unwrap_or_default(), "MailServer")),
            ("Mailbox", mended(serde_json::to_value(Mailbox::crd()).unwrap_or_default(), "Mailbox")),
        ]
    })
}

/// The OpenAPI schema of a kind.
pub fn schema(kind: &str) -> Option<&'static Value> {
    let (_, crd) = plain_crds().iter().find(|(name, _)| *name == kind)?;
    crd.pointer(SCHEMA)
}

/// The name of a kind's file in `crds/`, and its text.
pub fn files() -> Vec<(String, String)> {
    crds()
        .iter()
        .map(|(kind, crd)| {
            let text = serde_yaml::to_string(crd).unwrap_or_default();
            (format!("{}.yaml", kind.to_lowercase()), format!("{GENERATED}{text}"))
        })
        .collect()
}

const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

fn mended(mut crd: Value, kind: &str) -> Value {
    let Some(schema) = crd.pointer_mut(SCHEMA) else { return crd };
    plain(schema);
    let Some(root) = schema.as_object_mut() else { return crd };
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
        properties.insert("kind".to_owned(), json!({"type": "string"}));
        properties.insert("metadata".to_owned(), json!({"type": "object"}));
        if let (true, Some(Value::Object(spec))) = (kind != "Mailbox", properties.get_mut("spec")) {
            spec.insert("default".to_owned(), json!({}));
        }
    }
    if kind != "Mailbox" {
        root.remove("required");
    }
    crd
}

/// Leaves out what Kubernetes would warn about or what would let a field be null.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            unwrap_option(map);
            map.remove("nullable");
            if map.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                map.remove("format");
            }
            for (key, inner) in map.iter_mut() {
                // A default is a value, not a schema.
                if key != "default" {
                    plain(inner);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

/// `anyOf: [T, null]` is T that may be left out.
fn unwrap_option(map: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = map.get("anyOf") else { return };
    let is_null = |it: &Value| it.get("enum").is_some_and(|values| *values == json!([null]));
    if !variants.iter().any(is_null) {
        return;
    }
    let whole = variants.iter().find(|it| !is_null(it)).cloned().unwrap_or_default();
    map.remove("anyOf");
    if let Value::Object(whole) = whole {
        for (key, value) in whole {
            map.entry(key).or_insert(value);
        }
    }
}
