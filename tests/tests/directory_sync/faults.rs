//! Stores that are not as they were left, and pods that do not answer.

use std::{process::Command, sync::Arc};

use paquebot::directory::{Pod, PodState};
use paquebot_mta_api::directory::Digest;
use tokio::net::TcpListener;

use super::world::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_restored_from_an_old_backup_is_brought_up_to_date() {
    let world = World::new();
    let first = world.pod().await;
    let gone = vec![domain(1, "a.example"), alias(1, 1, "old@a.example", "x@elsewhere.example")];
    let mut running = world.engine(1, target(vec![first.pod(true)], desired(gone)));
    running.programmed("filled", &[1]).await;
    // The backup is what lies on disk once the pod has ended.
    let Served { server, folder, .. } = first;
    running.targets.send_modify(|target| target.pods.clear());
    server.drain().await;
    let backup = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-a").arg(folder.path().join(".")).arg(backup.path()).status().unwrap();
    assert!(copied.success());
    let second = Served::start(&world.authority, SERVER, folder, None).await;
    let wanted =
        || vec![domain(1, "a.example"), alias(1, 1, "new@a.example", "x@elsewhere.example"), domain(2, "b.example")];
    running.targets.send_modify(|target| {
        target.pods = vec![second.pod(true)];
        target.desired = Arc::new(desired(wanted()));
    });
    running.programmed("changed", &[1, 2]).await;
    let after = second.directory().await;
    second.server.drain().await;

    let restored = Served::start(&world.authority, SERVER, backup, None).await;
    assert!(restored.keys().await.contains(&"alias/old@a.example".to_owned()));
    let pod = restored.pod(true);
    running.targets.send_modify(|target| target.pods = vec![pod.clone()]);
    running
        .until("brought up to date", |report| {
            matches!(report.pods.get(&pod.uid), Some(PodState::Serves { current: true, .. }))
                && report.problem.is_none()
        })
        .await;
    assert_eq!(restored.directory().await.entries, after.entries);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_edited_inside_the_store_is_mended() {
    let world = World::new();
    let pod = world.pod().await;
    let entries = vec![domain(1, "a.example"), alias(2, 1, "info@a.example", "bob@elsewhere.example")];
    let mut running = world.engine(1, target(vec![pod.pod(true)], desired(entries)));
    let report = running.programmed("filled", &[1, 2]).await;
    let right = pod.directory().await;
    for statement in [
        "UPDATE directory_entry SET entry = replace(entry, 'bob@', 'eve@') WHERE key = 'alias/info@a.example'",
        "UPDATE directory_entry SET owner = zeroblob(16) WHERE key = 'domain/a.example'",
        "UPDATE directory_entry SET entry = 'no JSON' WHERE key = 'domain/a.example'",
        "DELETE FROM directory_entry WHERE key = 'domain/a.example'",
    ] {
        let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], timeout=20) as c:\n  assert c.execute(sys.argv[2]).rowcount == 1";
        let file = pod.folder.path().join("store/store.sqlite");
        let before = running.report.borrow().revision;
        let edited = Command::new("/usr/bin/python3").args(["-c", script]).arg(file).arg(statement).output().unwrap();
        assert!(edited.status.success(), "{statement}: {}", String::from_utf8_lossy(&edited.stderr));
        running.until(statement, |report| report.revision > before).await;
        assert_eq!(pod.directory().await.entries, right.entries, "{statement}");
    }
    running.programmed("as before", &[1, 2]).await;
    assert!(report.revision < running.report.borrow().revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_never_answers_holds_up_nobody_but_itself() {
    let world = World::new();
    let pod = world.pod().await;
    // The kernel takes the connection, nobody ever answers in it.
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent =
        Pod { uid: "00".to_owned(), name: "silent".to_owned(), address: socket.local_addr().unwrap(), ready: true };
    let desired = desired(vec![domain(1, "a.example")]);
    let mut running = world.engine(1, target(vec![silent.clone(), pod.pod(true)], desired));
    let report = running.until("written through the other", |report| report.complete).await;
    assert!(report.programmed.is_empty(), "a ready pod does not say what it serves");
    let Some(PodState::Silent(said)) = report.pods.get("00") else { panic!("{report:?}") };
    assert!(said.contains("did not answer within 5 seconds"), "{said}");
    running.targets.send_modify(|target| target.pods = vec![Pod { ready: false, ..silent }, pod.pod(true)]);
    running.programmed("not ready, it serves nobody", &[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pod_is_said() {
    let world = World::new();
    let mut running = world.engine(1, target(Vec::new(), desired(vec![domain(1, "a.example")])));
    let report = running.until("said", |report| report.problem.is_some()).await;
    assert_eq!(report.problem.unwrap().reason, "NoPod");
    // A port where nobody listens.
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let pod = Pod { uid: "1".to_owned(), name: "gone".to_owned(), address, ready: true };
    running.targets.send_modify(|target| target.pods = vec![pod]);
    let refused =
        |report: &paquebot::directory::Report| report.problem.as_ref().is_some_and(|it| it.reason == "PodUnreachable");
    let report = running.until("refused", refused).await;
    assert!(report.problem.unwrap().message.contains("NetworkPolicies"));
    // It comes.
    let pod = world.pod().await;
    running.targets.send_modify(|target| target.pods = vec![pod.pod(true)]);
    let report = running.programmed("it came", &[1]).await;
    assert!(report.pods.values().all(|it| !matches!(it, PodState::Serves { root, .. } if *root == Digest::default())));
}
