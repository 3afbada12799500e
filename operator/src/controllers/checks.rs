//! Looks at the name servers, again and again, a few domains at a time; keeps what came of the last look.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    table::Name,
    world::{Key, World},
};
use crate::dns::{
    Record,
    verify::{Checks, Options, Outcome, Verification, fingerprint, verify},
};

/// What to look for, and what came of it.
struct Look {
    records: Vec<Record>,
    resolvers: Vec<SocketAddr>,
    fingerprint: u64,
    /// The look that was made of just these records.
    last: Option<Arc<Verification>>,
}

#[derive(Default)]
struct State {
    checks: Checks<Name>,
    looks: HashMap<Name, Look>,
}

/// The looks at the name servers. Cheap to clone.
#[derive(Clone)]
pub struct NameServers {
    world: Arc<World>,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    options: Options,
}

impl NameServers {
    /// Tells `world` of domains whose records look other than before.
    pub fn new(world: Arc<World>) -> Self {
        Self { world, state: Arc::default(), changed: Arc::default(), options: Options::default() }
    }

    /// These records of a domain are to be looked at; gives what came of the last look at just them.
    pub fn want(&self, name: &Name, records: &[Record], resolvers: &[SocketAddr]) -> Option<Arc<Verification>> {
        let fingerprint = fingerprint(records, resolvers);
        let mut state = self.lock();
        state.checks.want(name, fingerprint, Instant::now());
        let last = match state.looks.get(name) {
            Some(look) if look.fingerprint == fingerprint => look.last.clone(),
            _ => {
                let look = Look { records: records.to_vec(), resolvers: resolvers.to_vec(), fingerprint, last: None };
                state.looks.insert(name.clone(), look);
                None
            }
        };
        drop(state);
        self.changed.notify_one();
        last
    }

    /// A domain is not looked at any more.
    pub fn forget(&self, name: &Name) {
        let mut state = self.lock();
        state.checks.forget(name);
        state.looks.remove(name);
    }

    /// Looks until `closing`.
    pub async fn run(self, closing: CancellationToken) {
        let tasks = TaskTracker::new();
        while !closing.is_cancelled() {
            let (due, next) = {
                let mut state = self.lock();
                let due = state.checks.due(Instant::now());
                (due, state.checks.next_due())
            };
            for name in due {
                let (servers, ended) = (self.clone(), self.clone());
                let key = name.clone();
                let look =
                    tokio::spawn(closing.clone().run_until_cancelled_owned(async move { servers.look(&name).await }));
                // A look that panicked is over too.
                tasks.spawn(async move {
                    let started = Instant::now();
                    if look.await.is_err() {
                        ended.finished(&key, Outcome::Failing, started);
                    }
                });
            }
            let wait = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                () = self.changed.notified() => {}
                () = closing.cancelled() => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn look(&self, name: &Name) {
        let started = Instant::now();
        let wanted = self.lock().looks.get(name).map(|it| (it.records.clone(), it.resolvers.clone(), it.fingerprint));
        let Some((records, resolvers, fingerprint)) = wanted else {
            return self.finished(name, Outcome::Failing, started);
        };
        let seen = Arc::new(verify(&records, &resolvers, &self.options).await);
        let before = {
            let mut state = self.lock();
            let look = state.looks.get_mut(name).filter(|it| it.fingerprint == fingerprint);
            look.map(|look| look.last.replace(seen.clone()))
        };
        let outcome = outcome(before.as_ref().and_then(Option::as_deref), &seen);
        if before.is_some_and(|it| it.as_ref() != Some(&seen)) {
            self.world.queue.add(Key::Domain(name.clone()));
        }
        self.finished(name, outcome, started);
    }

    fn finished(&self, name: &Name, outcome: Outcome, started: Instant) {
        self.lock().checks.finished(name, outcome, started, Instant::now(), rand::random());
        self.changed.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of two looks at the same records. Words may differ from look to look; what becomes of a record does not.
fn outcome(before: Option<&Verification>, seen: &Verification) -> Outcome {
    let states = |it: &Verification| it.records.iter().map(|it| it.state).collect::<Vec<_>>();
    match before {
        _ if seen.holds() => Outcome::Fine,
        Some(before) if states(before) != states(seen) => Outcome::Moving,
        _ => Outcome::Failing,
    }
}
