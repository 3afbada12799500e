//! The maildrop's lock (RFC 1939 §4): a lease in the store, renewed while the session lives.
//!
//! It excludes other POP3 sessions and nothing else. One task takes, renews and gives it back, in that
//! order, so that a session that ends at any await leaves no lock behind; a process that dies leaves it
//! until it expires.

use std::time::Duration;

use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::store::{AccountId, Store, StoreError};

/// How long a lease holds without renewal.
pub const LEASE_TTL: Duration = Duration::from_secs(120);
/// How often it is renewed: three tries before it expires.
pub const RENEWAL: Duration = Duration::from_secs(30);
/// How long a goodbye waits for the store to take the lease back.
const RELEASE_MAX: Duration = Duration::from_secs(5);

/// A lease. Dropped, it is given back soon.
pub struct Lease {
    session: Uuid,
    account: AccountId,
    task: JoinHandle<()>,
    guard: DropGuard,
}

impl Lease {
    /// Takes the lease of an account; [`StoreError::Conflict`] when another session has it.
    pub async fn take(store: Store, account: AccountId) -> Result<Self, StoreError> {
        Self::take_renewed(store, account, RENEWAL).await
    }

    async fn take_renewed(store: Store, account: AccountId, renewal: Duration) -> Result<Self, StoreError> {
        let (session, ended) = (Uuid::now_v7(), CancellationToken::new());
        let (taken, result) = oneshot::channel();
        let guard = ended.clone().drop_guard();
        let task = tokio::spawn(hold(store, account, session, renewal, taken, ended));
        result.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the lease's task has ended".into())))?;
        Ok(Self { session, account, task, guard })
    }

    /// The session's id: what a write names to prove the lease.
    pub fn session(&self) -> Uuid {
        self.session
    }

    /// Whose maildrop it locks.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Gives it back, and waits until it is.
    pub async fn release(self) {
        drop(self.guard);
        let _ = timeout(RELEASE_MAX, self.task).await;
    }
}

async fn hold(
    store: Store,
    account: AccountId,
    session: Uuid,
    renewal: Duration,
    taken: oneshot::Sender<Result<(), StoreError>>,
    ended: CancellationToken,
) {
    let result = store.lock(account, session, LEASE_TTL).await;
    let conflict = matches!(result, Err(StoreError::Conflict(_)));
    // An unknown result may be a lease: only a conflict surely is none.
    let _ = taken.send(result);
    if conflict {
        return;
    }
    while timeout(renewal, ended.cancelled()).await.is_err() {
        match store.lock(account, session, LEASE_TTL).await {
            // It expired and another has it: never take it back, the snapshot may be old.
            Err(StoreError::Conflict(_)) => return,
            Err(error) => tracing::warn!(%error, "the maildrop's lease could not be renewed"),
            Ok(()) => {}
        }
    }
    if let Err(error) = store.unlock(account, session).await {
        tracing::warn!(%error, "the maildrop's lease was not given back; it expires");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst},
    };

    use super::*;
    use crate::{
        store::{Clock, Memory},
        time::Micros,
    };

    const ACCOUNT: AccountId = AccountId(Uuid::from_u128(1));

    /// A store by a clock that the test moves, and how often it was asked.
    fn store() -> (Store, Arc<AtomicI64>, Arc<AtomicUsize>) {
        let (now, asked) = (Arc::new(AtomicI64::new(1)), Arc::new(AtomicUsize::new(0)));
        let (tell, count) = (now.clone(), asked.clone());
        let clock = Clock::new(move || {
            count.fetch_add(1, SeqCst);
            Micros(tell.load(SeqCst))
        });
        let memory = Arc::new(Memory::with_clock(clock));
        let blobs = memory.blobs();
        (Store::new(memory, blobs), now, asked)
    }

    fn pass(now: &AtomicI64, pause: Duration) {
        now.fetch_add(i64::try_from(pause.as_micros()).unwrap(), SeqCst);
    }

    async fn becomes_free(store: Store) {
        let free = async {
            while Lease::take(store.clone(), ACCOUNT).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), free).await.unwrap();
    }

    #[tokio::test]
    async fn one_session_at_a_time_and_free_when_released() {
        let (store, ..) = store();
        let lease = Lease::take(store.clone(), ACCOUNT).await.unwrap();
        assert!(matches!(Lease::take(store.clone(), ACCOUNT).await, Err(StoreError::Conflict(_))));
        assert!(Lease::take(store.clone(), AccountId(Uuid::from_u128(2))).await.is_ok());
        lease.release().await;
        assert!(Lease::take(store, ACCOUNT).await.is_ok());
    }

    #[tokio::test]
    async fn dropped_it_becomes_free() {
        let (store, ..) = store();
        drop(Lease::take(store.clone(), ACCOUNT).await.unwrap());
        becomes_free(store).await;
    }

    /// The session is dropped between asking the store and its answer.
    #[tokio::test]
    async fn cancelled_while_it_is_taken_it_becomes_free() {
        let (store, ..) = store();
        let mut taking = Box::pin(Lease::take(store.clone(), ACCOUNT));
        assert!(futures::poll!(&mut taking).is_pending());
        drop(taking);
        becomes_free(store).await;
    }

    #[tokio::test]
    async fn it_is_renewed_and_a_dead_one_expires() {
        let (store, now, asked) = store();
        let held = Lease::take_renewed(store.clone(), ACCOUNT, Duration::from_millis(1)).await.unwrap();
        for _ in 0..4 {
            pass(&now, LEASE_TTL * 3 / 4);
            let before = asked.load(SeqCst);
            while asked.load(SeqCst) < before + 2 {
                tokio::task::yield_now().await;
            }
        }
        assert!(matches!(Lease::take(store.clone(), ACCOUNT).await, Err(StoreError::Conflict(_))));
        // As if its process had died: nothing is given back, nothing renewed.
        held.task.abort();
        pass(&now, LEASE_TTL * 2);
        assert!(Lease::take(store, ACCOUNT).await.is_ok());
    }
}
