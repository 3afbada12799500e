//! `v1` Secrets: `data` in base64, `stringData` as text. Their values never appear in a message or a log.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::schema::Finding;

/// Octets of all values at most (the limit of Kubernetes).
const SECRET_OCTETS_MAX: usize = 1024 * 1024;

/// A Secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its values, decoded.
    pub data: BTreeMap<String, Vec<u8>>,
}

impl Secret {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.data.get(key).map(Vec::as_slice)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.data.keys().collect();
        write!(f, "Secret({}/{}, keys {keys:?})", self.namespace, self.name)
    }
}

/// The schema of a Secret; `writeOnly` keeps values out of messages.
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let values = json!({"type": "object", "additionalProperties": {"type": "string", "writeOnly": true}});
        json!({
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "type": {"type": "string", "maxLength": 253},
                "immutable": {"type": "boolean"},
                "data": values,
                "stringData": values,
            },
        })
    })
}

/// The values of a Secret that has passed its schema; `stringData` wins, as in Kubernetes.
pub fn values(object: &Value) -> Result<BTreeMap<String, Vec<u8>>, Vec<Finding>> {
    let mut values = BTreeMap::new();
    let mut findings = Vec::new();
    let entries = |name: &str| object.get(name).and_then(Value::as_object).into_iter().flatten();
    for (key, value) in entries("data") {
        let text: String = value.as_str().unwrap_or_default().split_whitespace().collect();
        match STANDARD.decode(text) {
            Ok(octets) => drop(values.insert(key.clone(), octets)),
            Err(_) => findings.push((
                format!("data.{key}"),
                "the value is not base64: encode it, or move it to stringData, which takes it as it is".to_owned(),
            )),
        }
    }
    for (key, value) in entries("stringData") {
        values.insert(key.clone(), value.as_str().unwrap_or_default().as_bytes().to_vec());
    }
    if values.values().map(Vec::len).sum::<usize>() > SECRET_OCTETS_MAX {
        findings.push(("data".to_owned(), format!("has more than {SECRET_OCTETS_MAX} octets: make it smaller")));
    }
    if findings.is_empty() { Ok(values) } else { Err(findings) }
}
