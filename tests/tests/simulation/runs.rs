//! The runs: a death at every write, and many seeds of everything at once.

use std::{sync::atomic::Ordering, time::Duration};

use paquebot_mta::store::Backend;
use tokio::time::{sleep, timeout};

use super::{
    check,
    process::{Accepted, Process, World},
    unreliable::Death,
};

const ALICE: &str = "alice@example.com";
/// Simulated time in which every queue must be empty: several times what retries may take.
const SETTLED_WITHIN: Duration = Duration::from_secs(900);

/// What a run is fed with: sender and recipients.
const MAIL: &[(Option<&str>, &[&str])] = &[
    (Some(ALICE), &["bob@example.com", "x@one.example", "y@one.example", "z@two.example"]),
    (Some(ALICE), &["unknown@one.example", "x@one.example", "full@two.example"]),
    (None, &["x@one.example", "unknown@two.example", "bob@example.com"]),
    (Some(ALICE), &["x@nowhere.example"]),
    (Some("stranger@three.example"), &["alice@example.com", "bob@example.com"]),
    (Some(ALICE), &["x@down.example", "x@three.example"]),
];

async fn feed(process: &Process, rounds: std::ops::Range<u64>) -> Vec<Accepted> {
    let mut accepted = Vec::new();
    for round in rounds {
        for (place, (sender, to)) in MAIL.iter().enumerate() {
            let number = round * 100 + place as u64;
            tokio::select! {
                one = process.accept(number, *sender, to) => accepted.extend(one),
                () = process.backend.died.notified() => return accepted,
            }
        }
    }
    accepted
}

async fn empty(world: &World, what: &str) {
    let wait = async {
        while world.memory.queue_depth().await.unwrap().0 > 0 {
            sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(SETTLED_WITHIN, wait).await.is_err() {
        let left = world.memory.queue(None, 100).await.unwrap();
        panic!("{what}: still in the queue: {left:#?}");
    }
}

fn simulate(run: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(run);
}

/// One process that dies as told, one that finishes its work.
async fn two_lives(seed: u64, faults: u64, death: Death) -> u64 {
    let what = format!("seed {seed}, faults {faults}, death {death:?}");
    let world = World::new(seed, faults);
    let first = world.process(faults, death);
    let mut accepted = feed(&first, 0..1).await;
    if death == Death::Never {
        empty(&world, &what).await;
    } else {
        let _ = timeout(Duration::from_secs(100), first.backend.died.notified()).await;
    }
    first.kill();
    let writes = first.writes();
    let second = world.process(faults, Death::Never);
    accepted.extend(second.accept(9999, Some(ALICE), &["bob@example.com", "x@one.example"]).await);
    empty(&world, &what).await;
    check::all(&world, &accepted, &what).await;
    writes
}

#[test]
fn a_death_between_every_two_writes() {
    simulate(async {
        // No death: how many writes there are to die at, heartbeats included.
        let writes = two_lives(1, 0, Death::Never).await.min(80);
        assert!(writes > 10, "{writes}");
        for number in 0..writes {
            two_lives(1, 0, Death::Before(number)).await;
            two_lives(1, 0, Death::After(number)).await;
        }
    });
}

#[test]
fn everything_fails_at_random() {
    simulate(async {
        for seed in 1..=150 {
            let number = seed * 7 % 60;
            let death = [Death::Never, Death::Before(number), Death::After(number)][usize::try_from(seed % 3).unwrap()];
            two_lives(seed, 20, death).await;
        }
    });
}

/// The store is away for longer than the lease lasts: the process begins anew, and nothing is lost.
#[test]
fn a_lost_lease() {
    simulate(async {
        for seed in 1..=30 {
            let what = format!("seed {seed}");
            let world = World::new(seed, 10);
            let process = world.process(0, Death::Never);
            let accepted = feed(&process, 0..2).await;
            sleep(Duration::from_millis(seed * 50)).await;
            process.backend.down.store(true, Ordering::SeqCst);
            sleep(Duration::from_secs(28 + seed % 10)).await;
            process.backend.down.store(false, Ordering::SeqCst);
            empty(&world, &what).await;
            check::all(&world, &accepted, &what).await;
        }
    });
}

/// Two processes share the store; one drains in the middle of its work.
#[test]
fn a_drain_hands_over_at_once() {
    simulate(async {
        for seed in 1..=30 {
            let what = format!("seed {seed}");
            let world = World::new(seed, 10);
            let (first, second) = (world.process(0, Death::Never), world.process(0, Death::Never));
            let mut accepted = feed(&first, 0..1).await;
            accepted.extend(feed(&second, 1..2).await);
            sleep(Duration::from_millis(seed * 20)).await;
            first.engine.drain(Duration::from_secs(5)).await;
            assert!(first.engine.holder().is_none());
            first.kill();
            empty(&world, &what).await;
            check::all(&world, &accepted, &what).await;
        }
    });
}
