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
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::cli::socket::SocketError;
use report::Report;
use world::World;

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
    /// Interrupted by its user.
    #[error("interrupted")]
    Interrupted,
}

/// Runs all cases and prints each as it ends; whether every one ended as it must.
pub async fn run(keep: Option<&Path>, colour: bool, out: &mut (impl Write + Send)) -> Result<bool, DemoError> {
    let started = Instant::now();
    let mut world = World::start(keep).await?;
    let ended = tokio::select! {
        ended = cases(&mut world, colour, out) => ended,
        () = tokio::time::sleep(Duration::from_secs(DEMO_SECONDS_MAX)) => Err(DemoError::Late),
        _ = tokio::signal::ctrl_c() => Err(DemoError::Interrupted),
    };
    world.stop().await;
    let held = ended?;
    let seconds = started.elapsed().as_secs_f64();
    let _ = match held {
        6 => writeln!(out, "All 6 cases ended as they must, in {seconds:.1} s."),
        _ => writeln!(out, "{} of 6 cases did not end as they must.", 6 - held),
    };
    Ok(held == 6)
}

/// How many cases held.
async fn cases(world: &mut World, colour: bool, out: &mut (impl Write + Send)) -> Result<usize, DemoError> {
    let mut held = 0;
    let mut show = |number: usize, title: &str, report: Result<Report, DemoError>| {
        let text = match &report {
            Ok(report) => report.text(colour),
            Err(error) => format!("  WRONG {error}\n"),
        };
        held += usize::from(report.is_ok_and(|report| report.holds()));
        let _ = writeln!(out, "{number}. {title}\n{text}");
    };
    show(1, arrives::TITLE, arrives::run(world).await);
    show(2, next_host::TITLE, next_host::run(world).await);
    show(3, retry::TITLE, retry::run(world).await);
    show(4, bounce::TITLE, bounce::run(world).await);
    show(5, forger::TITLE, forger::run(world).await);
    show(6, killed::TITLE, killed::run(world).await);
    Ok(held)
}
