//! Which objects have a property: whose domain a Mailbox is of, say.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::{PoisonError, RwLock},
};

use super::table::Name;

/// Which objects have a property.
#[derive(Debug)]
pub struct Index<P>(RwLock<HashMap<P, BTreeSet<Name>>>);

impl<P: Hash + Eq> Default for Index<P> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<P: Hash + Eq> Index<P> {
    /// An object had this property, and has this one now.
    pub fn moved(&self, name: &Name, before: Option<P>, after: Option<P>) {
        if before == after {
            return;
        }
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = before
            && let Some(names) = index.get_mut(&before)
        {
            names.remove(name);
            if names.is_empty() {
                index.remove(&before);
            }
        }
        if let Some(after) = after {
            index.entry(after).or_default().insert(name.clone());
        }
    }

    /// The objects with this property, in the order of their names.
    pub fn with(&self, property: &P) -> Vec<Name> {
        let index = self.0.read().unwrap_or_else(PoisonError::into_inner);
        index.get(property).into_iter().flatten().cloned().collect()
    }
}
