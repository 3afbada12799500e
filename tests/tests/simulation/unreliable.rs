//! Chance with a seed, and a store that fails and dies.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures::future::{BoxFuture, FutureExt, pending};
use paquebot_mta::{
    message::MessageId,
    store::{backend::BatchResult, *},
    time::Micros,
};
use paquebot_mta_api::journey::{Event, Queued};
use tokio::sync::Notify;

/// Chance that a seed repeats (xorshift64*).
pub struct Chance(Mutex<u64>);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
    }

    pub fn below(&self, most: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % most
    }

    /// True so many times of a hundred.
    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn range(&self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }
}

/// When a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    Never,
    /// Before its nth write reaches the store.
    Before(u64),
    /// After it was committed, before anybody heard of it.
    After(u64),
}

/// The store as one process sees it. What it wrote outlives the process.
pub struct Unreliable {
    pub inner: Arc<Memory>,
    pub chance: Arc<Chance>,
    /// Percent of writes that fail.
    pub faults: u64,
    pub death: Death,
    pub writes: AtomicU64,
    pub dead: AtomicBool,
    pub died: Notify,
    /// No write succeeds.
    pub down: AtomicBool,
}

impl Unreliable {
    pub fn new(inner: Arc<Memory>, chance: Arc<Chance>, faults: u64, death: Death) -> Arc<Self> {
        Arc::new(Self {
            inner,
            chance,
            faults,
            death,
            writes: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            down: AtomicBool::new(false),
        })
    }

    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    async fn written(&self, batch: Arc<[Write]>) -> BatchResult {
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(self.chance.range(1..20))).await;
        if self.death == Death::Before(number) {
            self.die();
        }
        if self.is_dead() {
            return pending().await;
        }
        if self.down.load(Ordering::SeqCst) || self.chance.percent(self.faults) {
            return Err(StoreError::Unavailable("simulated".into()));
        }
        let result = self.inner.apply(batch).await;
        if self.death == Death::After(number) {
            self.die();
            return pending().await;
        }
        result
    }

    /// A dead process reads nothing; a living one sometimes can't.
    fn read<'a, T: Send + 'a>(
        &'a self,
        read: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        async move {
            if self.is_dead() {
                return pending().await;
            }
            if self.down.load(Ordering::SeqCst) || self.chance.percent(self.faults) {
                return Err(StoreError::Unavailable("simulated".into()));
            }
            read.await
        }
        .boxed()
    }
}

impl Backend for Unreliable {
    fn apply(&self, batch: Arc<[Write]>) -> BoxFuture<'_, BatchResult> {
        self.written(batch).boxed()
    }

    fn message(&self, id: MessageId) -> BoxFuture<'_, Result<Stored, StoreError>> {
        self.read(self.inner.message(id))
    }

    fn next_due(&self, incarnation: Incarnation) -> BoxFuture<'_, Result<Option<Micros>, StoreError>> {
        self.read(self.inner.next_due(incarnation))
    }

    fn directory(&self) -> BoxFuture<'_, Result<DirectorySet, StoreError>> {
        self.read(self.inner.directory())
    }

    fn directory_listing(&self, of: ListingOf) -> BoxFuture<'_, Result<DirectoryListing, StoreError>> {
        self.read(self.inner.directory_listing(of))
    }

    fn directory_revision(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read(self.inner.directory_revision())
    }

    fn queue(
        &self,
        after: Option<(MessageId, RecipientIndex)>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(RecipientIndex, Queued)>, StoreError>> {
        self.read(self.inner.queue(after, limit))
    }

    fn queue_depth(&self) -> BoxFuture<'_, Result<(u64, Option<Micros>), StoreError>> {
        self.read(self.inner.queue_depth())
    }

    fn journey(&self, of: JourneyOf, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.read(self.inner.journey(of, limit))
    }

    fn mailbox(&self, account: AccountId, name: &str) -> BoxFuture<'_, Result<Option<MailboxState>, StoreError>> {
        self.read(self.inner.mailbox(account, name))
    }

    fn mails(&self, mailbox: MailboxId, limit: usize) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>> {
        self.read(self.inner.mails(mailbox, limit))
    }

    fn mail(&self, mailbox: MailboxId, uid: Uid) -> BoxFuture<'_, Result<MailContent, StoreError>> {
        self.read(self.inner.mail(mailbox, uid))
    }

    fn usage(&self, account: AccountId) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read(self.inner.usage(account))
    }
}
