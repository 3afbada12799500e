//! What a watch has told: one table a kind, current, small, and whether it is complete.
//!
//! A table holds what is made of an object, never more: of most owned objects their UID, owner and digest.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use kube::{Resource, runtime::watcher::Event};

/// Namespace and name of an object; the namespace is empty for those of the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Name {
    /// Of these.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Of an object.
    pub fn of<K: Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// What a watch told of an object.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a, T> {
    /// Which object.
    pub name: &'a Name,
    /// What was known of it; `None`: nothing.
    pub before: Option<&'a T>,
    /// What is known now; `None`: it is gone.
    pub after: Option<&'a T>,
    /// A list told it, not an event: what a list lacks was perhaps never deleted by anybody.
    pub listed: bool,
}

impl<T: PartialEq> Told<'_, T> {
    /// Whether it moved before our eyes: what a first list brings has not.
    pub fn moved(&self) -> bool {
        (self.before.is_some() || !self.listed) && self.before != self.after
    }
}

/// The table of one kind, filled by one watch, or by one for each of some namespaces.
#[derive(Debug)]
pub struct Table<T> {
    rows: RwLock<HashMap<Name, T>>,
    /// What lists that are still coming have brought, by the namespace that they are of; empty: of all.
    coming: Mutex<HashMap<String, HashMap<Name, T>>>,
    /// The namespaces that were not listed yet.
    missing: Mutex<HashSet<String>>,
    present: AtomicBool,
}

impl<T: Clone> Table<T> {
    /// A table that is complete when each of these namespaces was listed; the empty one stands for all.
    pub fn new(namespaces: &[String]) -> Self {
        Self {
            rows: RwLock::default(),
            coming: Mutex::default(),
            missing: Mutex::new(namespaces.iter().cloned().collect()),
            present: AtomicBool::new(false),
        }
    }

    /// What is known of an object.
    pub fn get(&self, name: &Name) -> Option<T> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Those that a question is answered with yes for.
    pub fn find(&self, wanted: impl Fn(&Name, &T) -> bool) -> Vec<(Name, T)> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.iter().filter(|(name, row)| wanted(name, row)).map(|(name, row)| (name.clone(), row.clone())).collect()
    }

    /// All.
    pub fn all(&self) -> Vec<(Name, T)> {
        self.find(|_, _| true)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all that there is was listed once.
    pub fn is_synced(&self) -> bool {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether the cluster knows the kind.
    pub fn is_present(&self) -> bool {
        self.present.load(Ordering::Acquire)
    }

    /// The cluster knows the kind, or does not.
    pub fn set_present(&self, present: bool) {
        self.present.store(present, Ordering::Release);
    }

    /// Takes an event in; `told` learns of each change. A list that comes again replaces the
    /// rows of its namespace when it is complete: what it did not bring is gone.
    pub fn take<K: Resource>(
        &self,
        namespace: &str,
        event: Event<K>,
        make: impl Fn(K) -> T,
        mut told: impl FnMut(Told<'_, T>),
    ) {
        match event {
            Event::Apply(object) => {
                let (name, row) = (Name::of(&object), make(object));
                let before =
                    self.rows.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), row.clone());
                told(Told { name: &name, before: before.as_ref(), after: Some(&row), listed: false });
            }
            Event::Delete(object) => {
                let name = Name::of(&object);
                let before = self.rows.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
                // What was never seen is told too: it is gone now.
                let before = before.unwrap_or_else(|| make(object));
                told(Told { name: &name, before: Some(&before), after: None, listed: false });
            }
            Event::Init => drop(self.coming().insert(namespace.to_owned(), HashMap::new())),
            Event::InitApply(object) => {
                let (name, row) = (Name::of(&object), make(object));
                self.coming().entry(namespace.to_owned()).or_default().insert(name, row);
            }
            Event::InitDone => self.replace(namespace, told),
        }
    }

    fn coming(&self) -> MutexGuard<'_, HashMap<String, HashMap<Name, T>>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, namespace: &str, mut told: impl FnMut(Told<'_, T>)) {
        let Some(new) = self.coming().remove(namespace) else { return };
        let mut before: HashMap<Name, T> = {
            let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
            let before = rows.extract_if(|name, _| namespace.is_empty() || name.namespace == namespace).collect();
            rows.extend(new.iter().map(|(name, row)| (name.clone(), row.clone())));
            before
        };
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).remove(namespace);
        for (name, row) in &new {
            told(Told { name, before: before.remove(name).as_ref(), after: Some(row), listed: true });
        }
        for (name, row) in &before {
            told(Told { name, before: Some(row), after: None, listed: true });
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn map(name: &str, version: &str) -> ConfigMap {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.to_owned());
        map.metadata.resource_version = Some(version.to_owned());
        map
    }

    #[test]
    fn what_moves_before_our_eyes() {
        let name = Name::new("", "a");
        for (before, after, listed, moved) in [
            (None, Some(&1), true, false),
            (None, Some(&1), false, true),
            (Some(&1), Some(&1), false, false),
            (Some(&1), Some(&2), false, true),
            (Some(&1), None, false, true),
            (Some(&1), None, true, true),
        ] {
            assert_eq!(Told { name: &name, before, after, listed }.moved(), moved, "{before:?} {after:?} {listed}");
        }
    }

    #[test]
    fn namespaces_are_listed_one_by_one() {
        let table: Table<String> = Table::new(&["a".to_owned(), "b".to_owned()]);
        let list = |namespace: &str, names: &[&str]| {
            let make = |it: ConfigMap| it.metadata.name.unwrap();
            table.take::<ConfigMap>(namespace, Event::Init, make, |_| {});
            for name in names {
                let mut map = map(name, "1");
                map.metadata.namespace = Some(namespace.to_owned());
                table.take(namespace, Event::InitApply(map), make, |_| {});
            }
            table.take::<ConfigMap>(namespace, Event::InitDone, make, |_| {});
        };
        list("a", &["x", "y"]);
        assert!(!table.is_synced());
        list("b", &["x"]);
        assert!(table.is_synced());
        list("a", &["y"]);
        assert_eq!(table.len(), 2, "another namespace's rows stay");
    }

    #[test]
    fn a_list_replaces_when_it_is_complete() {
        let table: Table<String> = Table::new(&[String::new()]);
        let told = std::cell::RefCell::new(Vec::new());
        let take = |event| {
            table.take(
                "",
                event,
                |it: ConfigMap| it.metadata.resource_version.unwrap(),
                |it| told.borrow_mut().push(format!("{} {:?} {:?} {}", it.name, it.before, it.after, it.listed)),
            );
        };
        take(Event::Init);
        take(Event::InitApply(map("a", "1")));
        take(Event::InitApply(map("b", "1")));
        assert!(!table.is_synced() && table.is_empty());
        take(Event::InitDone);
        assert!(table.is_synced());
        assert_eq!(table.len(), 2);
        take(Event::Apply(map("a", "2")));
        take(Event::Delete(map("c", "9")));
        // The connection was lost: b went meanwhile.
        take(Event::Init);
        take(Event::InitApply(map("a", "2")));
        assert_eq!(table.len(), 2, "the old rows stay until the list is complete");
        take(Event::InitDone);
        assert_eq!(table.all(), [(Name::new("", "a"), "2".to_owned())]);
        let told = told.into_inner();
        assert_eq!(told.len(), 6);
        assert!(told[2] == "a Some(\"1\") Some(\"2\") false" && told[3] == "c Some(\"9\") None false", "{told:?}");
        assert_eq!(told[5], "b Some(\"1\") None true");
    }
}
