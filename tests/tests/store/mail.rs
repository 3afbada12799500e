//! Mailboxes: UIDs, modseq, tombstones, the POP3 lease, usage.

use std::time::Duration;

use paquebot_mta::store::*;
use paquebot_mta_api::journey::Step;
use uuid::Uuid;

use super::bench::*;

on_every_store!(
    stored_twice_is_once,
    the_copy_has_its_own_fields,
    uids_and_modseq_rise,
    expunged_mail_leaves_a_tombstone,
    expunge_needs_the_lease,
    the_maildrop_is_one_sessions,
    a_lease_expires_and_is_renewed,
    usage_counts_what_is_there,
    mailboxes_are_apart,
);

fn account() -> AccountId {
    AccountId(Uuid::now_v7())
}

/// Accepts and stores a message; gives its id.
async fn deliver(
    bench: &Bench,
    me: Incarnation,
    account: AccountId,
    mailbox: &str,
) -> paquebot_mta::message::MessageId {
    let mut one = accept(&[], Some(me));
    one.recipients = vec![recipient(0, "b@example.org", Some(account))];
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    bench.store.attempt(attempt(id, me, vec![(0, stored(account, mailbox))])).await.unwrap();
    id
}

async fn inbox(bench: &Bench, account: AccountId) -> MailboxState {
    bench.store.mailbox(account, "INBOX").await.unwrap().unwrap()
}

async fn uids(bench: &Bench, mailbox: MailboxId) -> Vec<u32> {
    bench.store.mails(mailbox, 1000).await.unwrap().iter().map(|mail| mail.uid.0).collect()
}

async fn stored_twice_is_once(bench: Bench) {
    let (me, bob) = (bench.incarnation().await, account());
    let mut one = accept(&[], Some(me));
    one.recipients = (0..3).map(|index| recipient(index, "b@example.org", Some(bob))).collect();
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    let both = vec![(0, stored(bob, "INBOX")), (1, stored(bob, "Junk"))];
    bench.store.attempt(attempt(id, me, both)).await.unwrap();
    let inbox = inbox(&bench, bob).await;
    bench.store.expunge(bob, inbox.id, vec![Uid(1)], None, vec![]).await.unwrap();
    bench.store.attempt(attempt(id, me, vec![(2, stored(bob, "INBOX"))])).await.unwrap();
    assert_eq!(uids(&bench, inbox.id).await, [0_u32; 0]);
    assert_eq!(bench.store.queue_depth().await.unwrap().0, 0);
    if let Some(junk) = bench.store.mailbox(bob, "Junk").await.unwrap() {
        assert_eq!(uids(&bench, junk.id).await, [0_u32; 0]);
    }
}

async fn the_copy_has_its_own_fields(bench: Bench) {
    let (me, bob) = (bench.incarnation().await, account());
    let id = deliver(&bench, me, bob, "inbox").await;
    let inbox = inbox(&bench, bob).await;
    let content = bench.store.mail(inbox.id, Uid(1)).await.unwrap();
    assert_eq!(content.copy_fields, "Return-Path: <a@example.com>\r\nDelivered-To: b@example.org\r\n");
    assert_eq!((content.message.id, content.message.body.size_bytes()), (id, BODY.len() as u64));
    let mail = &bench.store.mails(inbox.id, 10).await.unwrap()[0];
    assert_eq!(mail.size_bytes, content.copy_fields.len() as u64 + content.message.size_bytes());
    assert_eq!(mail.internal_date, START);
    assert!(matches!(bench.store.mail(inbox.id, Uid(2)).await, Err(StoreError::Conflict(_))));
}

async fn uids_and_modseq_rise(bench: Bench) {
    let (me, bob) = (bench.incarnation().await, account());
    assert_eq!(bench.store.mailbox(bob, "INBOX").await.unwrap(), None);
    let mut before = None;
    for number in 1..=5 {
        deliver(&bench, me, bob, "INBOX").await;
        let state = inbox(&bench, bob).await;
        let mails = bench.store.mails(state.id, 10).await.unwrap();
        assert_eq!(state.uid_next, Uid(number + 1));
        assert_eq!(mails.iter().map(|mail| mail.uid.0).collect::<Vec<_>>(), (1..=number).collect::<Vec<_>>());
        assert_eq!(mails.last().unwrap().modseq, state.modseq);
        assert!(before.is_none_or(|before: MailboxState| {
            before.modseq < state.modseq && before.uid_validity == state.uid_validity && before.id == state.id
        }));
        before = Some(state);
    }
    let state = inbox(&bench, bob).await;
    bench.store.expunge(bob, state.id, vec![Uid(5)], None, vec![]).await.unwrap();
    let after = inbox(&bench, bob).await;
    assert!(after.modseq > state.modseq);
    deliver(&bench, me, bob, "INBOX").await;
    assert_eq!(uids(&bench, state.id).await, [1, 2, 3, 4, 6], "a UID is never given twice");
    assert_eq!(bench.store.mails(state.id, 2).await.unwrap().len(), 2);
}

async fn expunged_mail_leaves_a_tombstone(bench: Bench) {
    let (me, bob) = (bench.incarnation().await, account());
    let id = deliver(&bench, me, bob, "INBOX").await;
    deliver(&bench, me, bob, "INBOX").await;
    let inbox = inbox(&bench, bob).await;
    let events = vec![event(START, id.0, "x@y", Step::Deleted)];
    bench.store.expunge(bob, inbox.id, vec![Uid(1), Uid(77)], None, events).await.unwrap();
    assert_eq!(uids(&bench, inbox.id).await, [2]);
    assert!(bench.store.mail(inbox.id, Uid(1)).await.is_ok(), "a session that saw it may still fetch");
    assert_eq!(bench.store.journey(JourneyOf::Message(id), 9).await.unwrap().len(), 1);
    let strangers = bench.store.expunge(account(), inbox.id, vec![Uid(2)], None, vec![]).await;
    assert!(matches!(strangers, Err(StoreError::Conflict(_))), "{strangers:?}");
    assert_eq!(uids(&bench, inbox.id).await, [2]);
    bench.clock.pass(Duration::from_secs(2 * 86_400));
    assert_eq!(bench.store.sweep(bench.clock.now(), 10).await.unwrap(), 1);
    assert!(matches!(bench.store.mail(inbox.id, Uid(1)).await, Err(StoreError::Conflict(_))));
    assert!(matches!(bench.store.message(id).await, Err(StoreError::Conflict(_))));
    assert!(bench.store.mail(inbox.id, Uid(2)).await.is_ok());
}

async fn expunge_needs_the_lease(bench: Bench) {
    let (me, bob) = (bench.incarnation().await, account());
    let id = deliver(&bench, me, bob, "INBOX").await;
    deliver(&bench, me, bob, "INBOX").await;
    let (inbox, session) = (inbox(&bench, bob).await, Uuid::now_v7());
    let expunge = || {
        let events = vec![event(START, id.0, "x@y", Step::Deleted)];
        bench.store.expunge(bob, inbox.id, vec![Uid(1), Uid(2)], Some(session), events)
    };
    assert_eq!(expunge().await, Err(StoreError::Fenced));
    bench.store.lock(bob, session, TTL).await.unwrap();
    bench.clock.pass(TTL);
    assert_eq!(expunge().await, Err(StoreError::Fenced));
    assert_eq!(uids(&bench, inbox.id).await, [1, 2]);
    assert_eq!(bench.store.journey(JourneyOf::Message(id), 9).await.unwrap().len(), 0);
    bench.store.lock(bob, session, TTL).await.unwrap();
    assert_eq!(expunge().await, Ok(()));
    assert_eq!(uids(&bench, inbox.id).await, [0_u32; 0]);
}

async fn the_maildrop_is_one_sessions(bench: Bench) {
    let (bob, carol, one, two) = (account(), account(), Uuid::now_v7(), Uuid::now_v7());
    bench.store.lock(bob, one, TTL).await.unwrap();
    assert!(matches!(bench.store.lock(bob, two, TTL).await, Err(StoreError::Conflict(_))));
    bench.store.lock(carol, two, TTL).await.unwrap();
    bench.store.unlock(bob, two).await.unwrap();
    assert!(matches!(bench.store.lock(bob, two, TTL).await, Err(StoreError::Conflict(_))));
    bench.store.unlock(bob, one).await.unwrap();
    bench.store.lock(bob, two, TTL).await.unwrap();
}

async fn a_lease_expires_and_is_renewed(bench: Bench) {
    let (bob, one, two) = (account(), Uuid::now_v7(), Uuid::now_v7());
    bench.store.lock(bob, one, TTL).await.unwrap();
    bench.clock.pass(TTL / 2);
    bench.store.lock(bob, one, TTL).await.unwrap();
    bench.clock.pass(TTL - Duration::from_micros(1));
    assert!(matches!(bench.store.lock(bob, two, TTL).await, Err(StoreError::Conflict(_))));
    bench.clock.pass(Duration::from_micros(1));
    bench.store.lock(bob, two, TTL).await.unwrap();
    assert!(matches!(bench.store.lock(bob, one, TTL).await, Err(StoreError::Conflict(_))));
}

async fn usage_counts_what_is_there(bench: Bench) {
    let (me, bob) = (bench.incarnation().await, account());
    assert_eq!(bench.store.usage(bob).await.unwrap(), 0);
    deliver(&bench, me, bob, "INBOX").await;
    deliver(&bench, me, bob, "Junk").await;
    let inbox = inbox(&bench, bob).await;
    let size = bench.store.mails(inbox.id, 1).await.unwrap()[0].size_bytes;
    assert_eq!(bench.store.usage(bob).await.unwrap(), 2 * size);
    for _ in 0..2 {
        bench.store.expunge(bob, inbox.id, vec![Uid(1)], None, vec![]).await.unwrap();
        assert_eq!(bench.store.usage(bob).await.unwrap(), size);
    }
}

async fn mailboxes_are_apart(bench: Bench) {
    let (me, bob, carol) = (bench.incarnation().await, account(), account());
    let mut one = accept(&[], Some(me));
    one.recipients = vec![recipient(0, "b@example.org", Some(bob)), recipient(1, "c@example.org", Some(carol))];
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    let outcomes = vec![(0, stored(bob, "INBOX")), (1, stored(carol, "Junk"))];
    bench.store.attempt(attempt(id, me, outcomes)).await.unwrap();
    let bobs = inbox(&bench, bob).await;
    let carols = bench.store.mailbox(carol, "Junk").await.unwrap().unwrap();
    assert_ne!(bobs.id, carols.id);
    assert_eq!(bench.store.mailbox(carol, "INBOX").await.unwrap(), None);
    bench.store.expunge(bob, bobs.id, vec![Uid(1)], None, vec![]).await.unwrap();
    bench.clock.pass(Duration::from_secs(2 * 86_400));
    bench.store.sweep(bench.clock.now(), 100).await.unwrap();
    assert!(bench.store.mail(carols.id, Uid(1)).await.is_ok(), "carol's copy keeps the message");
}
