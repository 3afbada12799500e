//! Another leader in the middle of 10,000 entries.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use paquebot::directory::{Wanted, engine::Pace};

use super::world::*;

const DOMAINS: u128 = 2000;

/// Five entries a domain; the version makes other targets.
fn entries(version: &str) -> Vec<Wanted> {
    let of = |number: u128| {
        let name = format!("d{number}.example");
        let to = format!("x@{version}.example");
        let aliases = ["a", "b", "c", "d"].map(|local| alias(number + 1, number + 1, &format!("{local}@{name}"), &to));
        std::iter::once(domain(number + 1, &name)).chain(aliases)
    };
    (0..DOMAINS).flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_was_replaced_in_the_middle_writes_no_more() {
    let world = World::new();
    let pod = world.pod().await;
    let (cut, cut_off) = mpsc::channel::<()>();
    let (go, going) = mpsc::channel::<()>();
    let (going, asked) = (std::sync::Mutex::new(going), AtomicUsize::new(0));
    // The first leader is stopped before a change in the middle, and goes on when another has taken over: it still
    // believes that it leads.
    let first = Arc::new(move || {
        if asked.fetch_add(1, Ordering::SeqCst) == 6 {
            tokio::task::block_in_place(|| {
                cut.send(()).unwrap();
                going.lock().unwrap().recv_timeout(WAIT_MAX).unwrap();
            });
        }
        Some(1)
    });
    let begun = std::time::Instant::now();
    let old = target(vec![pod.pod(true)], desired(entries("old")));
    let mut first = world.engine_led(first, old, Pace { compare: WAIT_MAX, ..QUICK });
    tokio::task::spawn_blocking(move || cut_off.recv_timeout(WAIT_MAX).unwrap()).await.unwrap();
    let middle = pod.directory().await;
    assert!((1000..10_000).contains(&middle.entries.len()), "{}", middle.entries.len());
    assert!(!pod.server.store().directory_listing(paquebot_mta::store::ListingOf::Domains).await.unwrap().complete);

    let new = target(vec![pod.pod(true)], desired(entries("new")));
    let mut second = world.engine_led(Arc::new(|| Some(2)), new, Pace { compare: WAIT_MAX, ..QUICK });
    second.programmed("the new leader's", &(1..=DOMAINS).collect::<Vec<_>>()).await;
    let whole = pod.directory().await;
    assert_eq!(whole.entries.len(), 10_000);
    println!("10,000 entries by two leaders: {:?}", begun.elapsed());

    go.send(()).unwrap();
    let fenced = first.until("fenced", |report| report.problem.as_ref().is_some_and(|it| it.reason == "Fenced")).await;
    assert!(fenced.programmed.is_empty());
    assert_eq!(pod.directory().await, whole, "nothing of the old leader's came after");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_lead_writes_nothing_and_a_new_leader_says_so_at_once() {
    let world = World::new();
    let pod = world.pod().await;
    let wanted = || target(vec![pod.pod(true)], desired(vec![domain(1, "a.example")]));
    let mut follower = world.engine_led(Arc::new(|| None), wanted(), QUICK);
    let report = follower.until("said", |report| report.problem.is_some()).await;
    assert_eq!(report.problem.unwrap().reason, "NotLeading");
    assert_eq!(pod.directory().await.revision, 0);

    let mut first = world.engine(3, wanted());
    let before = first.programmed("filled", &[1]).await;
    // The second has nothing to write; the first must write no more all the same.
    let mut second = world.engine(4, wanted());
    let after = second.programmed("taken over", &[1]).await;
    assert_eq!(after.revision, before.revision);
    let fenced = first.until("fenced", |report| report.problem.as_ref().is_some_and(|it| it.reason == "Fenced")).await;
    assert_eq!(fenced.programmed, before.programmed, "what it saw stays true");
}
