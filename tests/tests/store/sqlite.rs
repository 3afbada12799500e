//! What only a store on disk can show: restarts, SIGKILL, a full disk, a failed disk, sealed keys, its lock.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use paquebot_mta::{
    message::{Body, MessageId},
    store::{sqlite::Options, *},
    time::Micros,
};
use paquebot_mta_api::directory::*;
use uuid::Uuid;

use super::bench::*;

/// Tells the child which directory to write to, and how large its bodies are.
const CHILD: &str = "PAQUEBOT_STORE_CHILD";
const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;

fn open(directory: &Path, pages_max: Option<u32>) -> Result<Store, StoreError> {
    let (backend, blobs) = Sqlite::open_with(directory, seal_key(), Options { pages_max, ..Options::default() })?;
    Ok(Store::new(backend, blobs))
}

/// Opens it as soon as the one before, which was dropped, has let go.
async fn reopen(directory: &Path) -> Store {
    let soon = async {
        loop {
            match open(directory, None) {
                Err(StoreError::Conflict(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
                other => return other.unwrap(),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), soon).await.expect("the lock is given back")
}

async fn begin(store: &Store) -> Incarnation {
    let me = Incarnation(Uuid::now_v7());
    store.beat(me, Duration::from_secs(3600)).await.unwrap();
    me
}

#[tokio::test]
async fn a_restarted_process_gets_its_rows_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(folder.path()).await;
    let before = begin(&store).await;
    let one = accept(&["b@example.org"], Some(before));
    let id = one.message.id;
    store.accept(one).await.unwrap();
    drop(store);
    let store = reopen(folder.path()).await;
    let me = begin(&store).await;
    let held = store.claim(me, Micros::now(), 10).await.unwrap();
    assert_eq!(held.iter().map(|held| held.message).collect::<Vec<_>>(), [id]);
    assert_eq!(store.beat(before, TTL).await, Err(StoreError::Fenced));
}

#[tokio::test]
async fn a_restarted_process_locks_nobody_out_of_their_maildrop() {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(folder.path()).await;
    let account = AccountId(Uuid::from_u128(1));
    store.lock(account, Uuid::from_u128(1), Duration::from_secs(3600)).await.unwrap();
    drop(store);
    let store = reopen(folder.path()).await;
    store.lock(account, Uuid::from_u128(2), Duration::from_secs(3600)).await.unwrap();
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(folder.path(), None).unwrap();
    let Err(StoreError::Conflict(why)) = open(folder.path(), None).map(drop) else {
        panic!("two stores on one directory")
    };
    assert!(why.contains("another process uses the data directory"), "{why}");
}

#[tokio::test]
async fn files_are_their_owners_only() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    let store = Store::open_sqlite(&directory, &folder.path().join("seal.key")).unwrap();
    let me = begin(&store).await;
    store.accept(accept(&["b@example.org"], Some(me))).await.unwrap();
    let mut blob = store.create_blob(MessageId::new()).await.unwrap();
    blob.write(vec![1; 1_000_000].into()).await.unwrap();
    blob.finish().await.unwrap();
    let (mut folders, mut files) = (vec![directory.clone()], 0);
    while let Some(next) = folders.pop() {
        assert_eq!(std::fs::metadata(&next).unwrap().permissions().mode() & 0o777, 0o700, "{next:?}");
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
                files += 1;
            }
        }
    }
    assert!(files >= 4, "{files}");
}

#[tokio::test]
async fn sealed_keys_cannot_be_read_from_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(folder.path()).await;
    let secret = b"a private key that nobody may read in the file";
    let key = DkimKeyEntry {
        domain: "example.com".parse().unwrap(),
        selector: "selector-to-find".into(),
        algorithm: KeyAlgorithm::Ed25519,
        private_key: PrivateKey(secret.to_vec()),
    };
    let base64 = serde_json::to_string(&key.private_key).unwrap();
    let put = vec![Entry::new(Uuid::nil(), Value::DkimKey(key))];
    store.change_directory(DirectoryChange { epoch: 1, put: put.clone(), ..DirectoryChange::default() }).await.unwrap();
    assert_eq!(store.directory().await.unwrap().entries, put);
    let octets: Vec<u8> = ["store.sqlite", "store.sqlite-wal"]
        .iter()
        .flat_map(|name| std::fs::read(folder.path().join(name)).unwrap())
        .collect();
    let has = |needle: &[u8]| octets.windows(needle.len()).any(|window| window == needle);
    assert!(has(b"selector-to-find"), "the entry is in these files");
    assert!(!has(secret) && !has(base64.trim_matches('"').as_bytes()) && !has(&secret[..16]));
}

#[tokio::test]
async fn blobs_without_a_message_go_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(folder.path()).await;
    let me = begin(&store).await;
    let mut kept = message(b"");
    kept.body = Body::Blob { size_bytes: 10 };
    let (orphan, id) = (MessageId::new(), kept.id);
    for one in [orphan, id] {
        let mut blob = store.create_blob(one).await.unwrap();
        blob.write(vec![b'x'; 10].into()).await.unwrap();
        blob.finish().await.unwrap();
    }
    let unfinished = MessageId::new();
    std::mem::forget(store.create_blob(unfinished).await.unwrap());
    store.accept(accept_of(kept, &["b@example.org"], Some(me))).await.unwrap();
    drop(store);
    let store = reopen(folder.path()).await;
    let names = || {
        let folders = std::fs::read_dir(folder.path().join("blobs")).unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let soon = async {
        while names() != [id.to_string()] {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), soon).await.expect("only the kept one is left");
    let back = store.message(id).await.unwrap().message;
    assert_eq!(store.read_body(&back, 0..99).await.unwrap(), [b'x'; 10][..]);
}

#[tokio::test]
async fn a_full_store_says_so_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Some(400)).unwrap();
    let me = begin(&store).await;
    let (mut ids, mut number) = (Vec::new(), 0_u64);
    let full = loop {
        let one = accept_of(message(&noise(&mut number, 50_000)), &["b@example.org"], Some(me));
        let id = one.message.id;
        match store.accept(one).await {
            Ok(()) => ids.push(id),
            Err(error) => break error,
        }
        assert!(ids.len() < 100, "400 pages are full by now");
    };
    assert!(matches!(full, StoreError::Full(_)), "{full:?}");
    assert_eq!(store.queue_depth().await.unwrap().0, ids.len() as u64);
    for id in &ids {
        assert!(store.message(*id).await.is_ok());
    }
    store.attempt(attempt(ids[0], me, vec![(0, Outcome::Done)])).await.unwrap();
    store.attempt(attempt(ids[1], me, vec![(0, Outcome::Done)])).await.unwrap();
    let small = accept(&["b@example.org"], Some(me));
    assert_eq!(store.accept(small).await, Ok(()), "there is room again");
}

/// The log is copied beside the writer and starts anew, also while the writer is never idle and a reader reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_short() {
    const WORKERS: u64 = 4;
    const EACH: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let store = reopen(folder.path()).await;
    let me = begin(&store).await;
    let workers = (0..WORKERS).map(|mut seed| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let one = accept_of(message(&noise(&mut seed, 100_000)), &["b@example.org"], Some(me));
                store.accept(one).await.unwrap();
                store.queue(None, 1).await.unwrap();
            }
        })
    });
    for worker in futures::future::join_all(workers).await {
        worker.unwrap();
    }
    let length = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
    assert!(length("store.sqlite") > 40_000_000, "{}", length("store.sqlite"));
    assert!(length("store.sqlite-wal") < 40_000_000, "{}", length("store.sqlite-wal"));
    assert_eq!(store.queue_depth().await.unwrap().0, WORKERS * EACH);
}

/// Octets that do not compress.
fn noise(state: &mut u64, length: usize) -> Vec<u8> {
    let next = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Not a test by itself: the process that the tests below kill. Says on its standard output what was acknowledged.
#[test]
fn child() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let (body_bytes, directory) = what.split_once(' ').unwrap();
    let body_bytes: usize = body_bytes.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = reopen(Path::new(directory)).await;
        let me = begin(&store).await;
        let workers = (0..8).map(|number| tokio::spawn(work(store.clone(), me, number, body_bytes)));
        futures::future::join_all(workers).await;
    });
}

/// Accepts for ever; stores every other message into a mailbox.
async fn work(store: Store, me: Incarnation, mut seed: u64, body_bytes: usize) {
    loop {
        for to_mailbox in [false, true] {
            let one = accept_of(message(&noise(&mut seed, body_bytes)), &["b@example.org"], Some(me));
            let id = one.message.id;
            store.accept(one).await.unwrap();
            if to_mailbox {
                let outcome = stored(AccountId(Uuid::from_u128(5)), "INBOX");
                store.attempt(attempt(id, me, vec![(0, outcome)])).await.unwrap();
            }
            let word = if to_mailbox { "stored" } else { "queued" };
            let _ = writeln!(std::io::stdout().lock(), "\nacknowledged {word} {id}");
        }
    }
}

fn child_command(shell: &str, directory: &Path, body_bytes: usize) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\" \"$@\"")]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "store::sqlite::child", "--nocapture", "--test-threads", "1"]);
    command.env(CHILD, format!("{body_bytes} {}", directory.display()));
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn acknowledged(line: &str) -> Option<(bool, MessageId)> {
    let (word, id) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
    Some((word == "stored", MessageId(Uuid::try_parse(id).ok()?)))
}

async fn assert_all_there(store: &Store, acknowledged: &[(bool, MessageId)]) {
    let inbox = store.mailbox(AccountId(Uuid::from_u128(5)), "INBOX").await.unwrap().unwrap();
    let mails = store.mails(inbox.id, 1_000_000).await.unwrap();
    let there: std::collections::HashSet<_> = mails.iter().map(|mail| mail.message).collect();
    assert!(mails.windows(2).all(|two| two[0].uid < two[1].uid && two[0].modseq < two[1].modseq));
    for (in_mailbox, id) in acknowledged {
        assert!(store.message(*id).await.is_ok(), "{id} was acknowledged and is lost");
        assert!(!in_mailbox || there.contains(id), "{id} was stored and is not in the mailbox");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for round in 1..=3 {
        let mut child = child_command("", folder.path(), 4096).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = all.len() + 300 * round;
        while all.len() < enough {
            let line = lines.next().expect("the child goes on").unwrap();
            all.extend(acknowledged(&line));
        }
        child.kill().unwrap();
        all.extend(lines.map_while(Result::ok).filter_map(|line| acknowledged(&line)));
        assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL));
        let store = reopen(folder.path()).await;
        assert_all_there(&store, &all).await;
    }
}

/// A file that may not grow fails as a disk does: EFBIG, which is no "full" that could pass.
#[tokio::test]
async fn a_failed_disk_ends_the_process_and_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    // In blocks of 512 octets: a little more than the log that is laid out at the start.
    let shell = "trap '' XFSZ; ulimit -c 0; ulimit -f 28672;";
    let mut child = child_command(shell, folder.path(), 100_000).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let all: Vec<_> = lines.map_while(Result::ok).filter_map(|line| acknowledged(&line)).collect();
    assert_eq!(child.wait().unwrap().signal(), Some(SIGABRT));
    assert!(all.len() > 50, "{}", all.len());
    let store = reopen(folder.path()).await;
    assert_all_there(&store, &all).await;
    let me = begin(&store).await;
    assert_eq!(store.accept(accept(&["b@example.org"], Some(me))).await, Ok(()));
}

#[tokio::test]
async fn a_panic_in_a_write_undoes_it_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let bad = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (bad_too, told) = (bad.clone(), clock.as_clock());
    let clock = Clock::new(move || match bad_too.swap(false, std::sync::atomic::Ordering::SeqCst) {
        true => panic!("in a bad mood"),
        false => told.now(),
    });
    let (backend, blobs) =
        Sqlite::open_with(folder.path(), seal_key(), Options { clock, ..Options::default() }).unwrap();
    let store = Store::new(backend, blobs);
    bad.store(true, std::sync::atomic::Ordering::SeqCst);
    let first = store.accept(accept(&["b@example.org"], None)).await;
    assert!(matches!(first, Err(StoreError::Unavailable(_))), "{first:?}");
    assert_eq!(store.queue_depth().await.unwrap().0, 0);
    assert_eq!(store.accept(accept(&["b@example.org"], None)).await, Ok(()));
}
