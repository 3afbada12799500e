//! What is kept of an object that we made: enough to see that it was edited, deleted, or belongs to somebody else.
//! Pure.

use std::sync::Arc;

use kube::{Resource, api::DynamicObject};
use paquebot_mta_api::directory::Digest;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Fields of `metadata` that the API server writes: a change of them is no edit.
const META_OF_SERVER: [&str; 7] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "uid",
    "creationTimestamp",
    "selfLink",
    "deletionGracePeriodSeconds",
];

/// What is kept of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Owned {
    /// Its UID: another one means that it was deleted and made again.
    pub uid: Uuid,
    /// The UID of its owner, where it has one.
    pub owner: Option<Uuid>,
    /// The resource that it belongs to: kind and name, from its labels and annotations.
    pub instance: Option<String>,
    /// Of all that people and we write in it.
    pub digest: Digest,
    /// The whole of it; only of the few kinds whose status is read.
    pub whole: Option<Arc<Value>>,
}

impl Owned {
    /// Of an object as a watch brings it.
    pub fn of(object: DynamicObject, keep: bool) -> Self {
        let meta = object.meta();
        let uid = |text: Option<&String>| text.and_then(|it| Uuid::parse_str(it).ok());
        let owner = meta.owner_references.iter().flatten().find(|it| it.controller == Some(true));
        let (own, owner) = (uid(meta.uid.as_ref()).unwrap_or_default(), owner.and_then(|it| uid(Some(&it.uid))));
        let instance = meta.labels.as_ref().and_then(|labels| labels.get(crate::names::INSTANCE)).cloned();
        let value = serde_json::to_value(object).unwrap_or_default();
        let digest = digest(&value);
        Self { uid: own, owner, instance, digest, whole: keep.then(|| Arc::new(value)) }
    }

    /// The object itself, where it is kept.
    pub fn typed<K: DeserializeOwned>(&self) -> Option<K> {
        K::deserialize(self.whole.as_deref()?).ok()
    }
}

/// The digest of what people and we write in an object: without its status and the API server's own fields.
pub fn digest(object: &Value) -> Digest {
    let Some(fields) = object.as_object() else { return Digest::default() };
    let mut kept: Map<String, Value> = fields.iter().filter(|(key, _)| *key != "status").map(pair).collect();
    if let Some(meta) = fields.get("metadata").and_then(Value::as_object) {
        let meta: Map<String, Value> =
            meta.iter().filter(|(key, _)| !META_OF_SERVER.contains(&key.as_str())).map(pair).collect();
        kept.insert("metadata".to_owned(), Value::Object(meta));
    }
    Digest::of(Value::Object(kept).to_string().as_bytes())
}

fn pair((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_written_counts() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"k": "v"}});
        let with = |change: &dyn Fn(&mut Value)| {
            let mut changed = object.clone();
            change(&mut changed);
            digest(&changed)
        };
        assert_eq!(with(&|it| it["metadata"]["resourceVersion"] = json!("7")), digest(&object));
        assert_eq!(with(&|it| it["metadata"]["managedFields"] = json!([{}])), digest(&object));
        assert_eq!(with(&|it| it["status"] = json!({"phase": "x"})), digest(&object));
        assert_ne!(with(&|it| it["data"]["k"] = json!("w")), digest(&object));
        assert_ne!(with(&|it| it["metadata"]["labels"] = json!({})), digest(&object));
        assert_ne!(with(&|it| it["metadata"]["ownerReferences"] = json!([{"uid": "u"}])), digest(&object));
    }
}
