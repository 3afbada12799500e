//! Makes RSA keys beside the reconciles, one at a time, as each takes a processor for a tenth of a second and more: a
//! MailDomain asks for its key, and comes back when it is there.
//!
//! In memory only, until its Secret is made. Bounded by the number of MailDomains.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::table::Name;
use crate::{
    api::domain::DkimKey,
    domain::{
        key_plan::NewKey,
        keys::{KeyError, KeyPair, generate},
    },
};

struct Order {
    key: DkimKey,
    /// Under no selector yet: which one is free shows when its Secret is made.
    made: Option<Result<KeyPair, KeyError>>,
}

/// The keys that were asked for.
#[derive(Default)]
pub struct Making {
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Default)]
struct State {
    /// One a MailDomain: it has one RSA key to make at most.
    orders: HashMap<Name, Order>,
    line: VecDeque<Name>,
}

impl Making {
    /// The key; `None`: it is being made, and whoever runs [`Making::run`] hears of it. The same one again until
    /// [`Making::forget`]: where its Secret is refused, nobody makes another for each try.
    pub fn key(&self, domain: &Name, new: &NewKey) -> Option<Result<KeyPair, KeyError>> {
        let mut state = self.lock();
        match state.orders.remove(domain) {
            Some(Order { key: same, made: Some(Err(error)) }) if same == new.key => return Some(Err(error)),
            Some(order) if order.key == new.key => {
                let made = order.made.as_ref().and_then(|it| it.as_ref().ok()).cloned();
                state.orders.insert(domain.clone(), order);
                return made.map(|pair| Ok(KeyPair { selector: new.selector.clone(), ..pair }));
            }
            // Another one than was asked for before takes its place in the line.
            before => {
                if before.is_none_or(|it| it.made.is_some()) {
                    state.line.push_back(domain.clone());
                }
                state.orders.insert(domain.clone(), Order { key: new.key.clone(), made: None });
                drop(state);
                self.asked.notify_one();
            }
        }
        None
    }

    /// Nobody wants it any more: its Secret is there, the spec is another, or the MailDomain is gone.
    pub fn forget(&self, domain: &Name) {
        let mut state = self.lock();
        if state.orders.remove(domain).is_some_and(|it| it.made.is_none()) {
            state.line.retain(|it| it != domain);
        }
    }

    /// Makes one after the other; tells whose is there.
    pub async fn run(&self, there: impl Fn(Name)) {
        loop {
            let Some((domain, key)) = self.next() else {
                self.asked.notified().await;
                continue;
            };
            let asked = key.clone();
            let made = tokio::task::spawn_blocking(move || generate("", &asked)).await;
            if self.made(&domain, &key, made.unwrap_or(Err(KeyError::Generate))) {
                there(domain);
            }
        }
    }

    fn next(&self) -> Option<(Name, DkimKey)> {
        let mut state = self.lock();
        loop {
            let domain = state.line.pop_front()?;
            if let Some(order) = state.orders.get(&domain).filter(|it| it.made.is_none()) {
                return Some((domain.clone(), order.key.clone()));
            }
        }
    }

    /// Whether anybody still wants it.
    fn made(&self, domain: &Name, key: &DkimKey, made: Result<KeyPair, KeyError>) -> bool {
        let mut state = self.lock();
        match state.orders.get_mut(domain) {
            Some(order) if order.key == *key => order.made = Some(made),
            Some(_) => {
                // Another one was asked for meanwhile.
                state.line.push_back(domain.clone());
                return false;
            }
            None => return false,
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::domain::Algorithm;

    fn name(name: &str) -> Name {
        Name::new("mail", name)
    }

    fn new(selector: &str, bits: u32) -> NewKey {
        // What stands in the line is not looked at here: the quick algorithm will do.
        NewKey { selector: selector.to_owned(), key: DkimKey { algorithm: Algorithm::Ed25519, bits: Some(bits) } }
    }

    /// Makes the next one.
    fn step(making: &Making) -> Option<(Name, bool)> {
        let (domain, key) = making.next()?;
        let wanted = making.made(&domain, &key, generate("", &key));
        Some((domain, wanted))
    }

    fn key(making: &Making, domain: &str, bits: u32) -> Option<String> {
        making.key(&name(domain), &new("s1", bits)).map(|it| it.unwrap().selector)
    }

    #[test]
    fn a_key_is_made_once() {
        let making = Making::default();
        assert_eq!(key(&making, "a", 1), None);
        assert_eq!(key(&making, "b", 1), None);
        assert_eq!(key(&making, "a", 1), None, "asked again");
        assert_eq!(step(&making), Some((name("a"), true)));
        assert_eq!(step(&making), Some((name("b"), true)));
        assert_eq!(step(&making), None);
        for _ in 0..2 {
            assert_eq!(key(&making, "a", 1).as_deref(), Some("s1"));
            assert_eq!(key(&making, "b", 1).as_deref(), Some("s1"));
        }
        let next = making.key(&name("a"), &new("s2", 1)).unwrap().unwrap();
        assert_eq!(next.selector, "s2", "the first selector was somebody else's");
        making.forget(&name("a"));
        assert_eq!(key(&making, "a", 1), None, "a later one is another");
        assert_eq!(step(&making), Some((name("a"), true)));
    }

    #[test]
    fn what_nobody_wants_any_more_is_dropped() {
        let making = Making::default();
        for domain in ["gone", "gone at once", "changed", "changed late"] {
            assert_eq!(key(&making, domain, 1), None);
        }
        making.forget(&name("gone at once"));
        assert_eq!(making.lock().line.len(), 3);
        assert_eq!(step(&making), Some((name("gone"), true)));
        making.forget(&name("gone"));
        assert_eq!(key(&making, "changed", 2), None);
        assert_eq!(step(&making), Some((name("changed"), true)));
        assert_eq!(key(&making, "changed", 2).as_deref(), Some("s1"));
        // The other one is asked for while the first is made.
        let (domain, first) = making.next().unwrap();
        assert_eq!(key(&making, "changed late", 2), None);
        assert!(!making.made(&domain, &first, generate("", &first)));
        assert_eq!(step(&making), Some((name("changed late"), true)));
        assert_eq!(key(&making, "changed late", 2).as_deref(), Some("s1"));
        assert_eq!(step(&making), None);
        assert_eq!(making.lock().orders.len(), 2);
    }
}
