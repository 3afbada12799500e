//! Writes a status where it differs; tells people when a resource became ready, or no longer is, and why.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use paquebot_mta_api::directory::Digest;
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

/// The statuses that were written last. What a watch shows may be older: a state that turned and turned back at once
/// looks as if it had never been written, and a status of our own wakes nobody.
#[derive(Debug, Default)]
pub struct Statuses(Mutex<HashMap<(String, Name), Digest>>);

impl Statuses {
    /// Whether nothing else was written after this, as far as we know.
    fn is_last(&self, kind: &str, name: &Name, said: Digest) -> bool {
        self.lock().get(&(kind.to_owned(), name.clone())).is_none_or(|it| *it == said)
    }

    fn set(&self, kind: &str, name: &Name, said: Digest) {
        self.lock().insert((kind.to_owned(), name.clone()), said);
    }

    /// A resource is gone.
    pub fn forget(&self, kind: &str, name: &Name) {
        self.lock().remove(&(kind.to_owned(), name.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Name), Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the status of a resource, where it is another one than `before`, or another one was written since.
///
/// # Errors
/// It could not be written.
pub async fn write<K, S>(context: &Context, resource: &K, before: Option<&S>, after: &S) -> Result<(), ApiError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    S: Serialize + PartialEq,
{
    let name = Name::of(resource);
    let body = patch(&K::kind(&()), &name.name, resource.meta().uid.as_deref(), after);
    let said = Digest::of(body.to_string().as_bytes());
    if before == Some(after) && context.statuses.is_last(&K::kind(&()), &name, said) {
        return Ok(());
    }
    context.applier.may_write()?;
    // Also where no answer comes: it may have been written.
    context.statuses.set(&K::kind(&()), &name, said);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_counts_and_not_what_a_watch_shows() {
        let (statuses, name) = (Statuses::default(), Name::new("mail", "example.com"));
        let (ready, not_ready) = (Digest::of(b"ready"), Digest::of(b"not ready"));
        assert!(statuses.is_last("MailDomain", &name, ready), "nothing was written in this term");
        statuses.set("MailDomain", &name, not_ready);
        assert!(!statuses.is_last("MailDomain", &name, ready), "it turned back before the watch brought it");
        assert!(statuses.is_last("Mailbox", &name, ready), "another kind's");
        statuses.set("MailDomain", &name, ready);
        assert!(statuses.is_last("MailDomain", &name, ready));
        statuses.forget("MailDomain", &name);
        assert!(statuses.lock().is_empty());
    }
}
