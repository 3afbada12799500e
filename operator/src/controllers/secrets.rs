//! What Secrets hold, read one by one, and again only when the watch shows another version.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};

use super::{
    apply::{ApiError, Applier, within},
    table::Name,
    world::World,
};
use crate::names::{COMPONENT, INSTANCE};

/// What a Secret holds.
pub type Data = BTreeMap<String, ByteString>;
/// Secrets of one resource that are read at most.
const LISTED_MAX: u32 = 500;
/// Rows that may be of Secrets that are gone; at this number, and each time it has doubled, those go.
const KNOWN_MIN: usize = 1024;

/// Reads Secrets; remembers, by version, what somebody made of one.
pub struct Secrets<T> {
    client: Client,
    world: Arc<World>,
    known: Mutex<HashMap<Name, Known<T>>>,
}

/// What was made of one version of a Secret, by the part of it that it was made of.
struct Known<T> {
    version: String,
    parts: HashMap<String, T>,
}

impl<T: Clone> Known<T> {
    fn part(&self, version: &str, part: &str) -> Option<T> {
        if self.version == version { self.parts.get(part).cloned() } else { None }
    }

    fn set(&mut self, version: String, part: &str, made: T) {
        if self.version != version {
            *self = Self { version, parts: HashMap::new() };
        }
        self.parts.insert(part.to_owned(), made);
    }
}

impl<T: Clone> Secrets<T> {
    /// With this client; `world` says which versions there are.
    pub fn new(client: Client, world: Arc<World>) -> Self {
        Self { client, world, known: Mutex::default() }
    }

    /// What `make` makes of a Secret; `None`: there is none. Read only where the version is a new one.
    ///
    /// # Errors
    /// It cannot be read now.
    pub async fn get(&self, name: &Name, make: impl FnOnce(&Secret) -> T) -> Result<Option<T>, ApiError> {
        self.get_part(name, "", make).await
    }

    /// The same of a part of a Secret: two who refer to one Secret may mean different keys in it.
    ///
    /// # Errors
    /// It cannot be read now.
    pub async fn get_part(
        &self,
        name: &Name,
        part: &str,
        make: impl FnOnce(&Secret) -> T,
    ) -> Result<Option<T>, ApiError> {
        let Some(version) = self.world.secret_version(name) else {
            self.lock().remove(name);
            return Ok(None);
        };
        if let Some(made) = self.lock().get(name).and_then(|known| known.part(&version, part)) {
            return Ok(Some(made));
        }
        let Some(secret) = read(&self.client, name).await? else { return Ok(None) };
        let made = make(&secret);
        let mut known = self.lock();
        if known.len() >= KNOWN_MIN && known.len().is_power_of_two() {
            known.retain(|name, _| self.world.secret_version(name).is_some());
        }
        let empty = || Known { version: version.clone(), parts: HashMap::new() };
        known.entry(name.clone()).or_insert_with(empty).set(version.clone(), part, made.clone());
        Ok(Some(made))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Known<T>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A Secret as it is now.
///
/// # Errors
/// It cannot be read now.
pub async fn read(client: &Client, name: &Name) -> Result<Option<Secret>, ApiError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &name.namespace);
    within(format!("Secret {name} could not be read"), api.get_opt(&name.name)).await
}

/// The Secrets of a resource with this component label, as they are now: not as a watch has shown them.
///
/// # Errors
/// They cannot be read now.
pub async fn list(client: &Client, namespace: &str, base: &str, component: &str) -> Result<Vec<Secret>, ApiError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default().labels(&format!("{INSTANCE}={base},{COMPONENT}={component}")).limit(LISTED_MAX);
    let what = format!("Secrets of {namespace}/{base} could not be listed");
    let page = within(what.clone(), api.list(&params)).await?;
    // What is cut off would count as lost.
    match page.metadata.continue_.filter(|it| !it.is_empty()) {
        Some(_) => Err(ApiError::TooMany { what, most: LISTED_MAX }),
        None => Ok(page.items),
    }
}

/// Makes a Secret; one that is there stays as it is. Says whether it was made.
///
/// # Errors
/// It could not be made.
pub async fn create(applier: &Applier, secret: &Secret) -> Result<bool, ApiError> {
    applier.may_write()?;
    let name = Name::of(secret);
    let api: Api<Secret> = Api::namespaced(applier.client().clone(), &name.namespace);
    let params = PostParams { field_manager: Some(crate::names::MANAGER.to_owned()), ..PostParams::default() };
    match within(format!("Secret {name} could not be made"), api.create(&params, secret)).await {
        Err(error) if error.code() == Some(409) => Ok(false),
        // A quota or a policy is asked before anybody looks whether it is there.
        Err(error) if error.refusal().is_some() && read(applier.client(), &name).await?.is_some() => Ok(false),
        other => other.map(|_| true),
    }
}

/// Brings a Secret back as it was, where somebody deleted or edited it: others' labels stay; its data is ours. Says
/// whether it was written.
///
/// # Errors
/// It could not be read or written.
pub async fn keep(applier: &Applier, wanted: &Secret) -> Result<bool, ApiError> {
    let name = Name::of(wanted);
    let Some(present) = read(applier.client(), &name).await? else { return create(applier, wanted).await };
    let Some(mended) = mended(present, wanted) else { return Ok(false) };
    applier.may_write()?;
    let api: Api<Secret> = Api::namespaced(applier.client().clone(), &name.namespace);
    let params = PostParams { field_manager: Some(crate::names::MANAGER.to_owned()), ..PostParams::default() };
    let what = format!("Secret {name} could not be put right");
    // It names the version that was read: nothing newer is overwritten.
    within(what, api.replace(&name.name, &params, &mended)).await?;
    Ok(true)
}

/// The Secret as it is to be; `None`: it is.
fn mended(present: Secret, wanted: &Secret) -> Option<Secret> {
    let mut mended = present.clone();
    mended.data.clone_from(&wanted.data);
    mended.metadata.labels.get_or_insert_default().extend(wanted.metadata.labels.clone().unwrap_or_default());
    (mended != present).then_some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_right() {
        let pairs = |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let secret = |labels: &[(&str, &str)], key: &str| {
            let mut secret = Secret::default();
            secret.metadata.labels = Some(pairs(labels));
            secret.data = Some([("key".to_owned(), ByteString(key.as_bytes().to_vec()))].into());
            secret
        };
        let wanted = secret(&[("by", "us")], "k");
        for (case, present, mended_labels) in [
            ("as it was", secret(&[("by", "us")], "k"), None),
            ("others' labels stay", secret(&[("by", "us"), ("x", "y")], "k"), None),
            ("a label edited", secret(&[("by", "them"), ("x", "y")], "k"), Some(pairs(&[("by", "us"), ("x", "y")]))),
            ("the key edited", secret(&[("by", "us")], "other"), Some(pairs(&[("by", "us")]))),
            ("all gone", Secret::default(), Some(pairs(&[("by", "us")]))),
        ] {
            let found = mended(present, &wanted);
            assert_eq!(found.as_ref().and_then(|it| it.metadata.labels.clone()), mended_labels, "{case}");
            assert!(found.is_none_or(|it| it.data == wanted.data), "{case}");
        }
    }

    #[test]
    fn parts_are_kept_apart_and_go_with_their_version() {
        let mut known = Known { version: "1".to_owned(), parts: HashMap::new() };
        known.set("1".to_owned(), "alice", "a");
        known.set("1".to_owned(), "bob", "b");
        assert_eq!(
            (known.part("1", "alice"), known.part("1", "bob"), known.part("2", "bob")),
            (Some("a"), Some("b"), None)
        );
        known.set("2".to_owned(), "bob", "c");
        assert_eq!((known.part("2", "alice"), known.part("2", "bob")), (None, Some("c")));
    }
}
