//! Writes a status where it differs; tells people when a resource became ready, or no longer is, and why.

use std::fmt::Debug;

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    apply::{ApiError, within},
    context::Context,
    table::Name,
};
use crate::{
    api::{API_VERSION, refs::Conditions},
    conditions,
    names::MANAGER,
};

/// Reasons of states that pass by themselves within seconds: nobody needs to be told.
const PASSING: [&str; 7] = ["Waiting", "NotChecked", "Starting", "Pending", "NotWritten", "NoHostname", "KeyPending"];

/// Writes the status of a resource, where it is another one than `before`.
///
/// # Errors
/// It could not be written.
pub async fn write<K, S>(context: &Context, resource: &K, before: Option<&S>, after: &S) -> Result<(), ApiError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    S: Serialize + PartialEq,
{
    if before == Some(after) {
        return Ok(());
    }
    context.applier.may_write()?;
    let name = Name::of(resource);
    let body = patch(&K::kind(&()), &name.name, resource.meta().uid.as_deref(), after);
    let api: Api<K> = Api::namespaced(context.client().clone(), &name.namespace);
    let what = format!("the status of {} {name} could not be written", K::kind(&()));
    let params = PatchParams::apply(MANAGER).force();
    match within(what, api.patch_status(&name.name, &params, &Patch::Apply(&body))).await {
        // It was deleted meanwhile, or made anew.
        Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
        other => other.map(drop),
    }
}

/// Tells people of a turn of `Ready`.
pub async fn tell<K: Resource<DynamicType = ()>>(
    context: &Context,
    resource: &K,
    before: Option<&Conditions>,
    after: &Conditions,
) {
    let ready = |all: &Conditions| conditions::find(all, "Ready").cloned();
    let Some(now) = ready(after) else { return };
    if PASSING.contains(&now.reason.as_str()) {
        return;
    }
    let old = before.and_then(ready);
    let turned = |old: &Condition| old.status != now.status || old.reason != now.reason;
    if old.as_ref().is_none_or(turned) {
        let was_ready = old.is_some_and(|old| old.status == "True");
        // What is on its way for the first time warns nobody.
        let warning = now.status != "True" && (was_ready || conditions::find(after, "Stalled").is_some());
        context.events.tell(resource, warning, &now.reason, &now.message).await;
    }
}

/// The UID makes sure that a resource of the same name that was made anew does not get the old one's status.
fn patch<S: Serialize>(kind: &str, name: &str, uid: Option<&str>, status: &S) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "uid": uid},
        "status": status,
    })
}
