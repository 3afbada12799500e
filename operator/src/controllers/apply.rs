//! Writes objects: server-side apply with a field manager of our own, only what differs, only while we lead.
//!
//! What was applied and how it looked afterwards is remembered by digest. As long as the same is wanted and the watch
//! shows the object as it was left, nothing is written.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PropagationPolicy},
};
use paquebot_mta_api::directory::Digest;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    leader::Leadership,
    owned::{Owned, digest},
    table::{Name, Table},
};
use crate::{names::MANAGER, refusal::Refusal};

/// A request is given up by then.
pub const REQUEST_SECONDS: Duration = Duration::from_secs(20);

/// Why something could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API server's word.
    #[error("{what}: {error}")]
    Refused {
        /// What was asked for.
        what: String,
        /// What it said.
        error: Box<kube::Error>,
    },
    /// No word in time.
    #[error("{0}: the API server did not answer in time")]
    Silent(String),
    /// More than anybody makes.
    #[error("{what}: there are more than {most}: delete those that nobody needs")]
    TooMany {
        /// What was asked for.
        what: String,
        /// How many are read.
        most: u32,
    },
    /// Another operator leads.
    #[error("another operator leads")]
    NotLeading,
    /// The object is none: a fault of ours.
    #[error("{0} is not an object that can be applied")]
    NotAnObject(String),
}

impl ApiError {
    /// The status code, where there was an answer.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { error, .. } => match &**error {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }

    /// What is to be said in a status, where the API server refused an object; `None`: a fault that passes.
    pub fn refusal(&self) -> Option<Refusal> {
        let Self::Refused { what, error } = self else { return None };
        let kube::Error::Api(status) = &**error else { return None };
        Refusal::of(what, status.code, &status.message)
    }
}

/// A kind of object, as the tables tell them apart.
pub type Kind = &'static str;

/// The tables of what we own, by kind.
pub type OwnedTables = HashMap<Kind, Arc<Table<Owned>>>;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Applied {
    wanted: Digest,
    left: Digest,
}

/// Applies objects.
pub struct Applier {
    client: Client,
    leadership: Leadership,
    owned: OwnedTables,
    applied: Mutex<HashMap<(String, Name), Applied>>,
}

impl Applier {
    /// With this client, while we lead; `owned` is what the watches show.
    pub fn new(client: Client, leadership: Leadership, owned: OwnedTables) -> Self {
        Self { client, leadership, owned, applied: Mutex::default() }
    }

    /// The client; writers ask [`Applier::may_write`] first.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// # Errors
    /// [`ApiError::NotLeading`].
    pub fn may_write(&self) -> Result<u64, ApiError> {
        self.leadership.epoch().ok_or(ApiError::NotLeading)
    }

    /// Applies an object where it differs from what is there. Says whether it was written.
    ///
    /// # Errors
    /// It could not be.
    pub async fn apply(&self, object: &Value) -> Result<bool, ApiError> {
        let Some((resource, name)) = identity(object) else {
            return Err(ApiError::NotAnObject(object["kind"].to_string()));
        };
        let key = (resource.kind.clone(), name.clone());
        let wanted = Digest::of(object.to_string().as_bytes());
        let seen = self.owned.get(resource.kind.as_str()).and_then(|table| table.get(&name));
        let before = self.applied.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let (Some(seen), Some(before)) = (seen, before)
            && before == (Applied { wanted, left: seen.digest })
        {
            return Ok(false);
        }
        self.may_write()?;
        let what = format!("{} {name} could not be applied", resource.kind);
        let api = dynamic(&self.client, &resource, &name.namespace);
        let params = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(object);
        let left = within(what, api.patch(&name.name, &params, &patch)).await?;
        let left = digest(&serde_json::to_value(left).unwrap_or_default());
        tracing::debug!(kind = resource.kind, %name, "applied");
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Applied { wanted, left });
        Ok(true)
    }

    /// Deletes an object; one that is not there is as well. `orphan`: what it owns stays.
    ///
    /// # Errors
    /// It could not be.
    pub async fn delete(&self, kind: &GroupVersionKind, name: &Name, orphan: bool) -> Result<(), ApiError> {
        self.may_write()?;
        let resource = ApiResource::from_gvk(kind);
        let what = format!("{} {name} could not be deleted", resource.kind);
        let policy = if orphan { PropagationPolicy::Orphan } else { PropagationPolicy::Background };
        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        let api = dynamic(&self.client, &resource, &name.namespace);
        self.forget(&resource.kind, name);
        match within(what, api.delete(&name.name, &params)).await {
            Err(error) if error.code() == Some(404) => Ok(()),
            other => other.map(drop),
        }
    }

    /// What was applied counts no more: applied anew at the next time.
    pub fn forget(&self, kind: &str, name: &Name) {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).remove(&(kind.to_owned(), name.clone()));
    }
}

/// A request with its deadline.
///
/// # Errors
/// It was refused, or not answered.
pub async fn within<T>(what: String, request: impl Future<Output = kube::Result<T>>) -> Result<T, ApiError> {
    match timeout(REQUEST_SECONDS, request).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(ApiError::Refused { what, error: Box::new(error) }),
        Err(_) => Err(ApiError::Silent(what)),
    }
}

/// The API of a kind in a namespace, or of the whole cluster where that is empty.
pub fn dynamic(client: &Client, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
    match namespace {
        "" => Api::all_with(client.clone(), resource),
        namespace => Api::namespaced_with(client.clone(), namespace, resource),
    }
}

fn identity(object: &Value) -> Option<(ApiResource, Name)> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (group, version) = text("/apiVersion")?.split_once('/').unwrap_or(("", text("/apiVersion")?));
    let kind = GroupVersionKind::gvk(group, version, text("/kind")?);
    let name = Name::new(text("/metadata/namespace").unwrap_or_default(), text("/metadata/name")?);
    Some((ApiResource::from_gvk(&kind), name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_name_themselves() {
        let object = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a", "namespace": "n"}});
        let (resource, name) = identity(&object).unwrap();
        assert_eq!((resource.plural.as_str(), resource.group.as_str()), ("networkpolicies", "networking.k8s.io"));
        assert_eq!(name.to_string(), "n/a");
        let core = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "n"}});
        assert_eq!(identity(&core).unwrap().0.plural, "serviceaccounts");
        assert!(identity(&json!({"kind": "X"})).is_none());
    }
}
