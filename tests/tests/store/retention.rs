//! The sweep: what is past its time goes, in bounded steps, and nothing else.

use std::time::Duration;

use paquebot_mta::store::*;
use paquebot_mta_api::{directory::*, journey::Step};
use uuid::Uuid;

use super::bench::*;

on_every_store!(journeys_are_kept_14_days, dead_letters_are_kept_14_days, mail_of_a_gone_account_is_kept_30_days);

const DAY: Duration = Duration::from_secs(86_400);

async fn journeys_are_kept_14_days(bench: Bench) {
    let id = Uuid::now_v7();
    for _ in 0..5 {
        bench.store.note(vec![event(START, id, "x@y", Step::Routed)]).await.unwrap();
    }
    bench.store.note(vec![event(START + DAY, id, "x@y", Step::Delivered)]).await.unwrap();
    bench.clock.pass(14 * DAY - Duration::from_micros(1));
    assert_eq!(bench.store.sweep(bench.clock.now(), 2).await.unwrap(), 0);
    bench.clock.pass(Duration::from_micros(1));
    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(bench.store.sweep(bench.clock.now(), 2).await.unwrap());
    }
    assert_eq!(counts, [2, 2, 1, 0]);
    assert_eq!(bench.store.journey(JourneyOf::MessageIdField("x@y".into()), 9).await.unwrap().len(), 1);
}

async fn dead_letters_are_kept_14_days(bench: Bench) {
    let me = bench.incarnation().await;
    let one = accept(&["b@example.org"], Some(me));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    let dead = Outcome::Dead { error: "550 no".into() };
    bench.store.attempt(attempt(id, me, vec![(0, dead)])).await.unwrap();
    assert_eq!(bench.store.queue_depth().await.unwrap().0, 0);
    bench.clock.pass(13 * DAY);
    assert_eq!(bench.store.sweep(bench.clock.now(), 10).await.unwrap(), 0);
    assert!(bench.store.message(id).await.is_ok(), "a dead letter keeps its message");
    bench.clock.pass(DAY);
    assert_eq!(bench.store.sweep(bench.clock.now(), 10).await.unwrap(), 1);
    assert!(bench.store.message(id).await.is_err());
}

async fn mail_of_a_gone_account_is_kept_30_days(bench: Bench) {
    let (me, bob) = (bench.incarnation().await, AccountId(Uuid::now_v7()));
    let entry = Entry::new(
        bob.0,
        Value::Mailbox(MailboxEntry {
            address: "b@example.org".parse().unwrap(),
            account: bob.0,
            quota_bytes: None,
            login: None,
        }),
    );
    let put = || DirectoryChange { epoch: 1, put: vec![entry.clone()], ..DirectoryChange::default() };
    let delete = || DirectoryChange { epoch: 1, delete: vec![entry.value.key()], ..DirectoryChange::default() };
    bench.store.change_directory(put()).await.unwrap();
    for _ in 0..3 {
        let mut one = accept(&[], Some(me));
        one.recipients = vec![recipient(0, "b@example.org", Some(bob))];
        let id = one.message.id;
        bench.store.beat(me, TTL).await.unwrap();
        bench.store.accept(one).await.unwrap();
        bench.store.attempt(attempt(id, me, vec![(0, stored(bob, "INBOX"))])).await.unwrap();
    }
    let before = bench.store.mailbox(bob, "INBOX").await.unwrap().unwrap();
    bench.store.change_directory(delete()).await.unwrap();
    bench.clock.pass(29 * DAY);
    bench.store.change_directory(put()).await.unwrap();
    bench.store.change_directory(delete()).await.unwrap();
    bench.clock.pass(29 * DAY);
    assert_eq!(bench.store.sweep(bench.clock.now(), 2).await.unwrap(), 0, "back in between: the 30 days start anew");
    bench.clock.pass(DAY);
    assert_eq!(bench.store.sweep(bench.clock.now(), 2).await.unwrap(), 2);
    assert_eq!(bench.store.sweep(bench.clock.now(), 2).await.unwrap(), 1);
    assert_eq!(bench.store.sweep(bench.clock.now(), 2).await.unwrap(), 0);
    assert_eq!(bench.store.usage(bob).await.unwrap(), 0);
    assert_eq!(bench.store.mailbox(bob, "INBOX").await.unwrap(), None);
    again_after(&bench, bob, before).await;
}

/// The name comes back with another UIDVALIDITY (RFC 9051 §2.3.1.1), even when the clock did not move.
async fn again_after(bench: &Bench, bob: AccountId, before: MailboxState) {
    let me = bench.incarnation().await;
    let one = accept(&["b@example.org"], Some(me));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    bench.store.attempt(attempt(id, me, vec![(0, stored(bob, "INBOX"))])).await.unwrap();
    let after = bench.store.mailbox(bob, "INBOX").await.unwrap().unwrap();
    assert!(after.uid_validity > before.uid_validity);
}
