//! The queue: held and unheld rows, fencing, incarnations, shards, notices, paging.

use std::time::Duration;

use paquebot_mta::{
    message::{Body, MessageId},
    store::*,
    time::Micros,
};
use paquebot_mta_api::journey::Step;
use uuid::Uuid;

use super::bench::*;

on_every_store!(
    accepting_twice_is_once,
    a_message_is_read_back_as_it_was,
    an_outcome_needs_the_holder,
    an_attempt_is_all_or_nothing,
    a_message_goes_with_its_last_recipient,
    claims_take_what_is_due_and_no_more,
    a_deferred_row_is_due_again,
    the_dead_lose_their_rows,
    the_released_lose_their_rows_at_once,
    an_expired_incarnation_stays_dead,
    the_living_share_the_queue,
    a_holder_that_is_not_alive_holds_nothing,
    notices_come_with_their_attempt_or_not_at_all,
    a_bad_notice_undoes_its_attempt,
    one_bad_write_fails_alone,
    the_queue_is_listed_in_pages,
    journeys_are_in_order,
    a_big_body_is_a_blob_and_goes_with_its_message,
    next_due_tells_when,
);

async fn accepting_twice_is_once(bench: Bench) {
    let me = bench.incarnation().await;
    let mut one = accept(&["b@example.org"], Some(me));
    one.events = vec![event(START, one.message.id.0, "x@y", Step::Queued)];
    let (first, second) = tokio::join!(bench.store.accept(one.clone()), bench.store.accept(one.clone()));
    assert_eq!((first, second), (Ok(()), Ok(())));
    bench.store.accept(one.clone()).await.unwrap();
    assert_eq!(bench.store.queue_depth().await.unwrap(), (1, Some(START)));
    assert_eq!(bench.store.journey(JourneyOf::Message(one.message.id), 10).await.unwrap().len(), 1);
}

async fn a_message_is_read_back_as_it_was(bench: Bench) {
    let mut inside = message(&(0..=255).cycle().take(100_000).collect::<Vec<u8>>());
    inside.eight_bit = true;
    inside.utf8_header = true;
    let mut one = accept_of(inside, &["b@example.org", "jörg@example.org"], None);
    let envelope = Envelope { reverse_path: None, smtputf8: true, junk: true, ..(*one.envelope).clone() };
    one.envelope = envelope.into();
    bench.store.accept(one.clone()).await.unwrap();
    let back = bench.store.message(one.message.id).await.unwrap();
    assert_eq!(back.message, one.message);
    assert_eq!(back.envelope, one.envelope);
    let gone = bench.store.message(MessageId::new()).await;
    assert!(matches!(gone, Err(StoreError::Conflict(_))), "{gone:?}");
}

async fn an_outcome_needs_the_holder(bench: Bench) {
    let (me, other) = (bench.incarnation().await, bench.incarnation().await);
    let one = accept(&["b@example.org"], Some(me));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    let done = |who| attempt(id, who, vec![(0, Outcome::Done)]);
    assert_eq!(bench.store.attempt(done(other)).await, Err(StoreError::Fenced));
    assert_eq!(bench.store.attempt(attempt(id, me, vec![(7, Outcome::Done)])).await, Err(StoreError::Fenced));
    assert_eq!(bench.store.attempt(done(me)).await, Ok(()));
    assert_eq!(bench.store.attempt(done(me)).await, Err(StoreError::Fenced));
}

async fn an_attempt_is_all_or_nothing(bench: Bench) {
    let me = bench.incarnation().await;
    let one = accept(&["b@example.org", "c@example.org"], Some(me));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    let later = START + Duration::from_secs(60);
    bench.store.attempt(attempt(id, me, vec![(1, deferred(later))])).await.unwrap();
    let mut both = attempt(id, me, vec![(0, Outcome::Done), (1, Outcome::Done)]);
    both.events = vec![event(START, id.0, "x@y", Step::Delivered)];
    both.notices = vec![accept(&["a@example.com"], None)];
    assert_eq!(bench.store.attempt(both).await, Err(StoreError::Fenced));
    assert_eq!(bench.store.queue_depth().await.unwrap().0, 2);
    assert_eq!(bench.store.journey(JourneyOf::Message(id), 10).await.unwrap(), vec![]);
    assert_eq!(bench.store.attempt(attempt(id, me, vec![(0, Outcome::Done)])).await, Ok(()));
}

async fn a_message_goes_with_its_last_recipient(bench: Bench) {
    let me = bench.incarnation().await;
    let one = accept(&["b@example.org", "c@example.org"], Some(me));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    bench.store.attempt(attempt(id, me, vec![(0, Outcome::Done)])).await.unwrap();
    assert!(bench.store.message(id).await.is_ok());
    bench.store.attempt(attempt(id, me, vec![(1, Outcome::Done)])).await.unwrap();
    assert!(matches!(bench.store.message(id).await, Err(StoreError::Conflict(_))));
    assert_eq!(bench.store.queue_depth().await.unwrap(), (0, None));
}

async fn claims_take_what_is_due_and_no_more(bench: Bench) {
    let me = bench.incarnation().await;
    let mut expected = Vec::new();
    for seconds in [5, 1, 4, 2, 3] {
        let mut one = accept(&["b@example.org"], None);
        let accepted = START + Duration::from_secs(seconds);
        one.envelope = Envelope { accepted, ..(*one.envelope).clone() }.into();
        expected.push((seconds, one.message.id));
        bench.store.accept(one).await.unwrap();
    }
    expected.sort();
    let held = accept(&["b@example.org"], Some(me));
    bench.store.accept(held).await.unwrap();
    let due = START + Duration::from_secs(3);
    let first = bench.store.claim(me, due, 2).await.unwrap();
    let then = bench.store.claim(me, due, 100).await.unwrap();
    let ids: Vec<_> = first.iter().chain(&then).map(|held| held.message).collect();
    assert_eq!(first.len(), 2);
    assert_eq!(ids, expected[..3].iter().map(|(_, id)| *id).collect::<Vec<_>>());
    assert_eq!(bench.store.claim(me, due, 100).await.unwrap().len(), 0);
}

async fn a_deferred_row_is_due_again(bench: Bench) {
    let me = bench.incarnation().await;
    let one = accept(&["b@example.org"], Some(me));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    let later = START + Duration::from_secs(60);
    bench.store.attempt(attempt(id, me, vec![(0, deferred(later))])).await.unwrap();
    assert_eq!(bench.store.attempt(attempt(id, me, vec![(0, Outcome::Done)])).await, Err(StoreError::Fenced));
    assert_eq!(bench.store.claim(me, Micros(later.0 - 1), 10).await.unwrap().len(), 0);
    let listed = &bench.store.queue(None, 10).await.unwrap()[0].1;
    assert_eq!((listed.next_attempt_us, listed.attempts), (Some(later.0), 1));
    assert_eq!(listed.last_error, "451 later");
    let held = bench.store.claim(me, later, 10).await.unwrap();
    assert_eq!((held[0].message, held[0].attempts, held[0].warned), (id, 1, true));
    assert_eq!((held[0].original.as_str(), held[0].account), ("<b@example.org>", None));
    assert_eq!(bench.store.attempt(attempt(id, me, vec![(0, Outcome::Done)])).await, Ok(()));
}

async fn the_dead_lose_their_rows(bench: Bench) {
    let dead = bench.incarnation().await;
    let one = accept(&["b@example.org"], Some(dead));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    bench.clock.pass(TTL / 2);
    let me = bench.incarnation().await;
    assert_eq!(bench.claim(me).await.len(), 0, "the first still lives");
    bench.clock.pass(TTL / 2);
    bench.store.beat(me, TTL).await.unwrap();
    assert_eq!(bench.claim(me).await.len(), 1);
    assert_eq!(bench.store.attempt(attempt(id, dead, vec![(0, Outcome::Done)])).await, Err(StoreError::Fenced));
    assert_eq!(bench.store.attempt(attempt(id, me, vec![(0, Outcome::Done)])).await, Ok(()));
}

async fn the_released_lose_their_rows_at_once(bench: Bench) {
    let (gone, me) = (bench.incarnation().await, bench.incarnation().await);
    bench.store.accept(accept(&["b@example.org"], Some(gone))).await.unwrap();
    bench.store.release(gone).await.unwrap();
    assert_eq!(bench.claim(me).await.len(), 1);
    assert_eq!(bench.store.beat(gone, TTL).await, Err(StoreError::Fenced));
    assert_eq!(bench.claim(gone).await.len(), 0);
}

async fn an_expired_incarnation_stays_dead(bench: Bench) {
    let me = bench.incarnation().await;
    bench.clock.pass(TTL - Duration::from_micros(1));
    bench.store.beat(me, TTL).await.unwrap();
    bench.clock.pass(TTL);
    assert_eq!(bench.store.beat(me, TTL).await, Err(StoreError::Fenced));
    assert_eq!(bench.store.beat(me, TTL).await, Err(StoreError::Fenced));
    bench.store.accept(accept(&["b@example.org"], None)).await.unwrap();
    assert_eq!(bench.claim(me).await.len(), 0);
}

async fn the_living_share_the_queue(bench: Bench) {
    let (one, two) = (bench.incarnation().await, bench.incarnation().await);
    for number in 0..100 {
        bench.store.accept(accept(&[&format!("b@d{number}.example")], None)).await.unwrap();
    }
    let (first, second) = (bench.claim(one).await, bench.claim(two).await);
    assert_eq!(first.len() + second.len(), 100);
    assert!(first.len() > 20 && second.len() > 20, "{} and {}", first.len(), second.len());
    assert!(first.iter().all(|held| second.iter().all(|other| other.message != held.message)));
}

async fn a_holder_that_is_not_alive_holds_nothing(bench: Bench) {
    let stranger = Incarnation(Uuid::now_v7());
    let one = accept(&["b@example.org"], Some(stranger));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    assert_eq!(bench.store.attempt(attempt(id, stranger, vec![(0, Outcome::Done)])).await, Err(StoreError::Fenced));
    let me = bench.incarnation().await;
    assert_eq!(bench.claim(me).await.len(), 1);
}

async fn notices_come_with_their_attempt_or_not_at_all(bench: Bench) {
    let (me, other) = (bench.incarnation().await, bench.incarnation().await);
    let one = accept(&["b@example.org"], Some(me));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    let notice = accept(&["a@example.com"], Some(me));
    let mut bounce = attempt(id, other, vec![(0, Outcome::Done)]);
    bounce.notices = vec![notice.clone()];
    assert_eq!(bench.store.attempt(bounce.clone()).await, Err(StoreError::Fenced));
    assert!(bench.store.message(notice.message.id).await.is_err());
    bounce.holder = me;
    bench.store.attempt(bounce).await.unwrap();
    assert!(bench.store.message(notice.message.id).await.is_ok());
    assert!(bench.store.message(id).await.is_err());
    let done = attempt(notice.message.id, me, vec![(0, Outcome::Done)]);
    assert_eq!(bench.store.attempt(done).await, Ok(()));
}

async fn a_bad_notice_undoes_its_attempt(bench: Bench) {
    let me = bench.incarnation().await;
    let one = accept(&["b@example.org"], Some(me));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    let mut twice = accept(&["a@example.com"], Some(me));
    twice.recipients.push(twice.recipients[0].clone());
    for bad in [twice, Accept { recipients: vec![], ..accept(&[], Some(me)) }] {
        let mut bounce = attempt(id, me, vec![(0, Outcome::Done)]);
        bounce.notices = vec![accept(&["a@example.com"], Some(me)), bad];
        let refused = bench.store.attempt(bounce).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        assert_eq!(bench.store.queue_depth().await.unwrap().0, 1);
    }
    assert_eq!(bench.store.attempt(attempt(id, me, vec![(0, Outcome::Done)])).await, Ok(()));
}

async fn one_bad_write_fails_alone(bench: Bench) {
    let me = bench.incarnation().await;
    let good: Vec<_> = (0..20).map(|_| accept(&["b@example.org"], Some(me))).collect();
    let bad = Accept { recipients: Vec::new(), ..accept(&[], Some(me)) };
    let fenced = attempt(MessageId::new(), me, vec![(0, Outcome::Done)]);
    let (all, bad, fenced) = tokio::join!(
        futures::future::join_all(good.into_iter().map(|one| bench.store.accept(one))),
        bench.store.accept(bad),
        bench.store.attempt(fenced),
    );
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert!(matches!(bad, Err(StoreError::Conflict(_))));
    assert_eq!(fenced, Err(StoreError::Fenced));
    assert_eq!(bench.store.queue_depth().await.unwrap().0, 20);
}

async fn the_queue_is_listed_in_pages(bench: Bench) {
    let me = bench.incarnation().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        let one = accept(&["b@example.org", "c@example.org", "d@example.org"], Some(me));
        expected.extend((0..3).map(|index| (one.message.id.0, RecipientIndex(index))));
        bench.store.accept(one).await.unwrap();
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = bench.store.queue(after, 4).await.unwrap();
        assert!(page.len() <= 4);
        let Some((index, last)) = page.last() else { break };
        after = Some((MessageId(last.message), *index));
        seen.extend(page.iter().map(|(index, row)| (row.message, *index)));
    }
    assert_eq!(seen, expected);
    let row = &bench.store.queue(None, 1).await.unwrap()[0].1;
    assert_eq!((row.reverse_path.as_str(), row.recipient.as_str()), ("a@example.com", "b@example.org"));
    assert_eq!((row.accepted_us, row.next_attempt_us, row.attempts), (START.0, None, 0));
    assert_eq!(row.size_bytes, message(BODY).size_bytes());
}

async fn journeys_are_in_order(bench: Bench) {
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let at = |seconds| START + Duration::from_secs(seconds);
    bench
        .store
        .note(vec![event(at(2), one, "x@y", Step::Delivered), event(at(0), two, "x@y", Step::Received)])
        .await
        .unwrap();
    bench
        .store
        .note(vec![event(at(1), one, "x@y", Step::Queued), event(at(1), one, "x@y", Step::Routed)])
        .await
        .unwrap();
    bench.store.note(vec![event(at(1), Uuid::nil(), "", Step::Refused)]).await.unwrap();
    let field = bench.store.journey(JourneyOf::MessageIdField("x@y".into()), 10).await.unwrap();
    let steps: Vec<_> = field.iter().map(|event| event.step).collect();
    assert_eq!(steps, [Step::Received, Step::Queued, Step::Routed, Step::Delivered]);
    assert_eq!(field[3], event(at(2), one, "x@y", Step::Delivered));
    let by_id = bench.store.journey(JourneyOf::Message(MessageId(one)), 2).await.unwrap();
    assert_eq!(by_id.iter().map(|event| event.step).collect::<Vec<_>>(), [Step::Queued, Step::Routed]);
    assert_eq!(bench.store.journey(JourneyOf::MessageIdField(String::new()), 9).await.unwrap().len(), 0);
}

async fn a_big_body_is_a_blob_and_goes_with_its_message(bench: Bench) {
    let me = bench.incarnation().await;
    let mut big = message(b"");
    let id = big.id;
    let octets: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut blob = bench.store.create_blob(id).await.unwrap();
    for piece in octets.chunks(70_000) {
        blob.write(piece.to_vec().into()).await.unwrap();
    }
    blob.finish().await.unwrap();
    big.body = Body::Blob { size_bytes: octets.len() as u64 };
    bench.store.accept(accept_of(big, &["b@example.org"], Some(me))).await.unwrap();
    let back = bench.store.message(id).await.unwrap().message;
    assert_eq!(back.body, Body::Blob { size_bytes: octets.len() as u64 });
    assert_eq!(bench.store.read_body(&back, 0..u64::MAX).await.unwrap(), octets);
    assert_eq!(bench.store.read_body(&back, 70_001..70_011).await.unwrap(), octets[70_001..70_011]);
    assert_eq!(bench.store.read_body(&back, 3_000_000..3_000_001).await.unwrap(), &[][..]);
    assert_eq!((bench.blobs)(), 1);
    let mut dropped = bench.store.create_blob(MessageId::new()).await.unwrap();
    dropped.write(octets.into()).await.unwrap();
    drop(dropped);
    assert_eq!((bench.blobs)(), 1);
    bench.store.attempt(attempt(id, me, vec![(0, Outcome::Done)])).await.unwrap();
    bench.until_blobs(0).await;
    assert!(bench.store.read_body(&back, 0..1).await.is_err());
}

async fn next_due_tells_when(bench: Bench) {
    let me = bench.incarnation().await;
    assert_eq!(bench.store.next_due(me).await.unwrap(), None);
    let one = accept(&["b@example.org"], Some(me));
    let id = one.message.id;
    bench.store.accept(one).await.unwrap();
    assert_eq!(bench.store.next_due(me).await.unwrap(), None);
    let later = START + Duration::from_secs(60);
    bench.store.attempt(attempt(id, me, vec![(0, deferred(later))])).await.unwrap();
    assert_eq!(bench.store.next_due(me).await.unwrap(), Some(later));
    assert_eq!(bench.store.next_due(Incarnation(Uuid::now_v7())).await.unwrap(), None);
}
