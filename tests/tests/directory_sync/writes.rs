//! What it writes, and what it never deletes.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use paquebot::directory::{Desired, PodState, compare::Why};
use paquebot_mta_api::directory::{LoginKeys, Value};

use super::world::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_first_fill_is_complete_and_a_change_follows() {
    let world = World::new();
    world.book.0.lock().unwrap().insert("bob@a.example".to_owned(), "open sesame".to_owned());
    let pod = world.pod().await;
    let entries = || vec![domain(1, "a.example"), mailbox(2, 1, "bob@a.example", "open sesame")];
    let mut running = world.engine(1, target(vec![pod.pod(false)], desired(entries())));
    // Nobody is ready before the first complete set, and nothing is programmed where nobody is ready.
    running.until("written", |report| report.complete).await;
    assert!(running.report.borrow().programmed.is_empty());
    running.targets.send_modify(|target| target.pods = vec![pod.pod(true)]);
    let report = running.programmed("filled", &[1, 2]).await;
    assert_eq!(
        report.holders.iter().map(|(name, uid)| (name.as_str(), *uid)).collect::<Vec<_>>(),
        [("a.example", uid(1))]
    );
    let set = pod.directory().await;
    let login = set.entries.iter().find_map(|it| match &it.value {
        Value::Mailbox(mailbox) => mailbox.login.clone(),
        _ => None,
    });
    let login = login.unwrap();
    assert!(!login.is_underived() && login.iterations == 4096);
    assert_eq!(login.password_digest, LoginKeys::digest("open sesame", DIGEST_KEY));

    let mut more = entries();
    more.push(alias(3, 1, "info@a.example", "bob@a.example"));
    running.targets.send_modify(|target| target.desired = Arc::new(desired(more)));
    running.programmed("changed", &[1, 2, 3]).await;
    let after = pod.directory().await;
    assert!(set.entries.iter().all(|it| after.entries.contains(it)), "the keys were not derived again");
    running.targets.send_modify(|target| {
        let existing = HashSet::from([uid(2), uid(3)]);
        target.desired = Arc::new(Desired::new(vec![domain(1, "a.example")], existing, HashMap::new()));
    });
    running.until("deleted", |report| report.compared && report.revision > after.revision).await;
    assert_eq!(pod.keys().await, ["domain/a.example"]);
    running.engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_directory_is_left_alone_and_a_late_pod_serves_it() {
    let world = World::new();
    let pod = world.pod().await;
    let mut running = world.engine(1, target(vec![pod.pod(true)], desired(vec![domain(1, "a.example")])));
    let before = running.programmed("filled", &[1]).await;
    // A pod that comes later makes the engine compare again.
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(pod.folder.path().join("seal.key"), folder.path().join("seal.key")).unwrap();
    let late = Served::start(&world.authority, SERVER, folder, Some(pod.server.store().clone())).await;
    running.targets.send_modify(|target| target.pods.push(late.pod(true)));
    let report = running.until("the late pod serves it too", |report| {
        report.pods.len() == 2 && report.pods.values().all(|it| matches!(it, PodState::Serves { current: true, .. }))
    });
    let report = report.await;
    assert_eq!((report.revision, &report.programmed), (before.revision, &before.programmed));
    assert_eq!(pod.directory().await.revision, before.revision, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_cache_deletes_nothing() {
    let world = World::new();
    let pod = world.pod().await;
    let all: Vec<_> = (0..5).map(|it| domain(it + 1, &format!("d{it}.example"))).collect();
    let mut first = world.engine(1, target(vec![pod.pod(true)], desired(all)));
    first.programmed("filled", &[1, 2, 3, 4, 5]).await;
    first.engine.stop().await;
    let before = pod.directory().await;
    let mut empty = target(vec![pod.pod(true)], Desired::default());
    empty.watches_synced = false;
    let mut second = world.engine(2, empty);
    let report = second.until("compared", |report| report.compared).await;
    assert_eq!(report.held.iter().map(|it| it.why).collect::<Vec<_>>(), [Why::NotSynced; 5]);
    assert_eq!(pod.directory().await, before);
    // One watch has seen one domain: it is kept as it is, and the others too.
    second.targets.send_modify(|target| target.desired = Arc::new(desired(vec![domain(1, "d0.example")])));
    second.until("one is known", |report| report.held.len() == 4).await;
    assert_eq!(pod.directory().await.entries, before.entries);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_is_not_known_the_others_go_on() {
    let world = World::new();
    let pod = world.pod().await;
    let all = vec![domain(1, "a.example"), domain(2, "b.example"), domain(3, "c.example")];
    let mut start = target(vec![pod.pod(true)], desired(all));
    start.all_known = false;
    let mut running = world.engine(1, start);
    let report = running.programmed("filled", &[1, 2, 3]).await;
    assert!(!report.complete, "nobody is refused for good by a directory that lacks one");
    // The second waits for its key, the third wants nothing any more.
    running.targets.send_modify(|target| {
        let existing = HashSet::from([uid(2), uid(3)]);
        let (wanted, unknown) =
            (vec![domain(1, "a.example")], HashMap::from([(uid(2), Arc::new(HashSet::from([uid(2)])))]));
        target.desired = Arc::new(Desired::new(wanted, existing, unknown));
    });
    running.until("the third is gone", |report| report.holders.len() == 2).await;
    running.targets.send_modify(|target| target.all_known = true);
    running.until("complete", |report| report.complete).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_explains_waits_for_a_person() {
    let world = World::new();
    let pod = world.pod().await;
    let all: Vec<_> = (0..30).map(|it| domain(it + 1, &format!("d{it}.example"))).collect();
    let mut running = world.engine(1, target(vec![pod.pod(true)], desired(all)));
    running.programmed("filled", &(1..=30).collect::<Vec<_>>()).await;
    running.targets.send_modify(|target| target.desired = Arc::default());
    let report = running.until("held", |report| report.to_confirm == 30).await;
    assert_eq!(report.holders.len(), 30);
    assert_eq!(pod.keys().await.len(), 30);
    running.targets.send_modify(|target| target.confirmed = Some(29));
    running.targets.send_modify(|target| target.gone = Arc::new(HashSet::from([uid(30)])));
    running.until("one is explained, and so the number is right", |report| report.to_confirm == 0).await;
    assert!(pod.keys().await.is_empty());
    assert!(running.report.borrow().complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_password_a_mailbox_takes_mail_and_nobody_logs_in() {
    let world = World::new();
    let pod = world.pod().await;
    let entries = vec![domain(1, "a.example"), mailbox(2, 1, "bob@a.example", "later")];
    let mut running = world.engine(1, target(vec![pod.pod(true)], desired(entries)));
    let report =
        running.until("said", |report| report.failed.contains_key(&uid(2)) && !report.programmed.is_empty()).await;
    assert_eq!(*report.programmed, HashMap::from([(uid(1), 0)]));
    assert!(report.failed[&uid(2)].contains("make the Secret"), "{:?}", report.failed);
    let login = |set: &paquebot_mta::store::DirectorySet| {
        set.entries.iter().find_map(|it| match &it.value {
            Value::Mailbox(mailbox) => Some(mailbox.login.is_some()),
            _ => None,
        })
    };
    assert_eq!(login(&pod.directory().await), Some(false));
    world.book.0.lock().unwrap().insert("bob@a.example".to_owned(), "later".to_owned());
    running.programmed("the Secret came", &[1, 2]).await;
    assert_eq!(login(&pod.directory().await), Some(true));
}
