//! The coalescing writer over a backend that misbehaves, and over real ones.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::{FutureExt, future::BoxFuture};
use paquebot_mta::{admin::metrics::Metrics, message::MessageId, store::*, time::Micros};
use paquebot_mta_api::journey::{Event, Queued, Step};
use uuid::Uuid;

use super::bench::*;

on_every_store!(refusals_come_with_the_next_batch, many_at_once_share_commits);

async fn refusals_come_with_the_next_batch(bench: Bench) {
    let id = Uuid::now_v7();
    bench.store.note_lossy(vec![event(START, id, "", Step::Refused); 10]);
    bench.store.note_lossy(vec![event(START, id, "", Step::Refused); 100_000]);
    let me = bench.incarnation().await;
    bench.store.accept(accept(&["b@example.org"], Some(me))).await.unwrap();
    let kept = bench.store.journey(JourneyOf::Message(MessageId(id)), 1_000_000).await.unwrap().len();
    assert!((10..=2048).contains(&kept), "{kept}");
}

async fn many_at_once_share_commits(bench: Bench) {
    let metrics = Arc::new(Metrics::new().unwrap());
    bench.store.observe(metrics.clone());
    let me = bench.incarnation().await;
    let all = (0..200).map(|_| bench.store.accept(accept(&["b@example.org"], Some(me))));
    assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
    assert!(metrics.commit_seconds.get_sample_count() < 20);
    assert_eq!(metrics.batch_writes.get_sample_sum(), 201.0);
}

#[tokio::test]
async fn refusals_are_written_after_a_while() {
    let bench = Bench::memory();
    let id = Uuid::now_v7();
    bench.store.note_lossy(vec![event(START, id, "", Step::Refused)]);
    let written = async {
        while bench.store.journey(JourneyOf::Message(MessageId(id)), 9).await.unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), written).await.expect("written");
}

#[tokio::test]
async fn a_panic_fails_its_batch_and_not_the_writer() {
    let backend = Arc::new(Moody { memory: Memory::new(), panics: AtomicUsize::new(1), fails: AtomicUsize::new(0) });
    let store = Store::new(backend.clone(), backend.memory.blobs());
    let first = store.accept(accept(&["b@example.org"], None)).await;
    assert!(matches!(first, Err(StoreError::Unavailable(_))), "{first:?}");
    assert_eq!(store.accept(accept(&["b@example.org"], None)).await, Ok(()));
}

#[tokio::test]
async fn a_failed_batch_is_tried_one_by_one() {
    let backend = Arc::new(Moody { memory: Memory::new(), panics: AtomicUsize::new(0), fails: AtomicUsize::new(1) });
    let store = Store::new(backend.clone(), backend.memory.blobs());
    store.note_lossy(vec![event(START, Uuid::now_v7(), "", Step::Refused)]);
    let all = (0..5).map(|_| store.accept(accept(&["b@example.org"], None)));
    assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(store.queue_depth().await.unwrap().0, 5);
}

/// A memory store that panics or fails a few times first.
struct Moody {
    memory: Memory,
    panics: AtomicUsize,
    fails: AtomicUsize,
}

fn one_less(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Backend for Moody {
    fn apply(&self, batch: Arc<[Write]>) -> BoxFuture<'_, backend::BatchResult> {
        assert!(!one_less(&self.panics), "in a bad mood");
        match one_less(&self.fails) {
            true => async { Err(StoreError::Unavailable("not now".into())) }.boxed(),
            false => self.memory.apply(batch),
        }
    }
    fn message(&self, id: MessageId) -> BoxFuture<'_, Result<Stored, StoreError>> {
        self.memory.message(id)
    }
    fn next_due(&self, incarnation: Incarnation) -> BoxFuture<'_, Result<Option<Micros>, StoreError>> {
        self.memory.next_due(incarnation)
    }
    fn directory(&self) -> BoxFuture<'_, Result<DirectorySet, StoreError>> {
        self.memory.directory()
    }
    fn directory_listing(&self, of: ListingOf) -> BoxFuture<'_, Result<DirectoryListing, StoreError>> {
        self.memory.directory_listing(of)
    }

    fn directory_revision(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.memory.directory_revision()
    }
    fn queue(
        &self,
        after: Option<(MessageId, RecipientIndex)>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(RecipientIndex, Queued)>, StoreError>> {
        self.memory.queue(after, limit)
    }
    fn queue_depth(&self) -> BoxFuture<'_, Result<(u64, Option<Micros>), StoreError>> {
        self.memory.queue_depth()
    }
    fn journey(&self, of: JourneyOf, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        self.memory.journey(of, limit)
    }
    fn mailbox(&self, account: AccountId, name: &str) -> BoxFuture<'_, Result<Option<MailboxState>, StoreError>> {
        self.memory.mailbox(account, name)
    }
    fn mails(&self, mailbox: MailboxId, limit: usize) -> BoxFuture<'_, Result<Vec<Mail>, StoreError>> {
        self.memory.mails(mailbox, limit)
    }
    fn mail(&self, mailbox: MailboxId, uid: Uid) -> BoxFuture<'_, Result<MailContent, StoreError>> {
        self.memory.mail(mailbox, uid)
    }
    fn usage(&self, account: AccountId) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.memory.usage(account)
    }
}
