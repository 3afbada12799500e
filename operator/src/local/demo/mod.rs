//! `paquebot demo`: two mail systems and their DNS on loopback addresses, and six cases that show all of email.
//!
//! Set up from YAML alone, like anybody's. Leaves no process and no file behind, in whatever way it ends.
//!
//! - [`world`]: the two systems and the name server.
//! - [`system`]: one mail system: `paquebot up` in a process of its own.
//! - [`zones`]: what the name server serves.
//! - [`gateway`]: a next host that is not well.
//! - [`mua`]: the users' programs.
//! - [`message`]: the messages.
//! - [`report`]: what a case found.
//! - The cases: [`arrives`], [`next_host`], [`retry`], [`bounce`], [`forger`], [`killed`].

pub mod arrives;
pub mod bounce;
pub mod forger;
pub mod gateway;
pub mod killed;
pub mod message;
pub mod mua;
pub mod next_host;
pub mod report;
pub mod retry;
pub mod system;
pub mod world;
pub mod zones;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{output::Failure, socket::SocketError};
use report::Report;
use world::World;

/// The cases of the demo.
const CASES: usize = 6;
/// All of it must end within this, whatever hangs.
const DEMO_SECONDS_MAX: u64 = 60;

/// What kept a case from being shown at all.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file or directory.
    #[error("{path}: {source}; give another place with --keep")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A mail system.
    #[error("the mail system of {name} {what}. It said:\n{log}")]
    System {
        /// Which.
        name: &'static str,
        /// What it does.
        what: String,
        /// The end of what it printed.
        log: String,
    },
    /// A user's program.
    #[error(transparent)]
    Mua(#[from] mua::MuaError),
    /// The journey cannot be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// DNS.
    #[error(transparent)]
    Dns(#[from] super::nameserver::NameServerError),
    /// No port is free on all addresses.
    #[error("no port is free on all of 127.0.0.2 to 127.0.0.6: {0}; stop what listens there, then try again")]
    Ports(std::io::Error),
    /// The whole took too long.
    #[error("the demo did not end within {DEMO_SECONDS_MAX} s: run it again with --keep DIR and read the logs there")]
    Late,
    /// Nobody reads what it shows.
    #[error(transparent)]
    Output(#[from] Failure),
    /// Without signals nothing could be cleaned up.
    #[error("signals cannot be received ({0}): look for what the system lacks (memory, file descriptors)")]
    Signals(std::io::Error),
    /// Things of others, or of a demo before.
    #[error("{0} is not empty: give a new directory with --keep")]
    NotEmpty(PathBuf),
    /// Interrupted by its user.
    #[error("interrupted")]
    Interrupted,
}

/// Prints a piece of text.
type Show<'a> = &'a mut (dyn FnMut(&str) -> Result<(), Failure> + Send);

/// Runs all cases and shows each as it ends; whether every one ended as it must.
pub async fn run(keep: Option<&Path>, colour: bool, show: Show<'_>) -> Result<bool, DemoError> {
    let started = Instant::now();
    // Both before anything is made: from here on each end cleans up.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DemoError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DemoError::Signals)?;
    let whole = async {
        let mut world = World::start(keep).await?;
        let held = cases(&mut world, colour, show).await;
        world.stop().await;
        held.map(|held| (held, show))
    };
    // What is dropped here takes its processes and files along.
    let (held, show) = tokio::select! {
        ended = whole => ended?,
        () = tokio::time::sleep(Duration::from_secs(DEMO_SECONDS_MAX)) => return Err(DemoError::Late),
        _ = interrupt.recv() => return Err(DemoError::Interrupted),
        _ = terminate.recv() => return Err(DemoError::Interrupted),
    };
    let seconds = started.elapsed().as_secs_f64();
    show(&match held {
        CASES => format!("All {CASES} cases ended as they must, in {seconds:.1} s.\n"),
        _ => format!("{} of {CASES} cases did not end as they must.\n", CASES - held),
    })?;
    Ok(held == CASES)
}

/// How many cases held.
async fn cases(world: &mut World, colour: bool, show: Show<'_>) -> Result<usize, DemoError> {
    let mut held = 0;
    let mut done = |number: usize, title: &str, report: Result<Report, DemoError>| {
        let text = match &report {
            Ok(report) => report.text(colour),
            Err(error) => format!("  WRONG {error}\n"),
        };
        held += usize::from(report.is_ok_and(|report| report.holds()));
        show(&format!("{number}. {title}\n{text}\n"))
    };
    done(1, arrives::TITLE, arrives::run(world).await)?;
    done(2, next_host::TITLE, next_host::run(world).await)?;
    done(3, retry::TITLE, retry::run(world).await)?;
    done(4, bounce::TITLE, bounce::run(world).await)?;
    done(5, forger::TITLE, forger::run(world).await)?;
    done(6, killed::TITLE, killed::run(world).await)?;
    Ok(held)
}
