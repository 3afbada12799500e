//! `paquebot up`: the MTA in this process, from YAML, until Ctrl-C.
//!
//! Starts all or nothing; then applies edits, each all or nothing; then drains.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use paquebot_mta::{
    serve::Server,
    store::{DirectorySet, Store, StoreError, seal::SealKey, sqlite::Sqlite},
    time::Micros,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::load;

use super::{
    apply::{self, ApplyError, Changed, Prepared, Target},
    data::DataDir,
    plan,
    settings::Settings,
    started::Started,
    watch::{LOOK_PERIOD, Watch, stamp},
};

/// Also without an edit, the certificate's end is looked at that often.
const CERTIFICATE_PERIOD: Duration = Duration::from_secs(60 * 60);
/// The process's exit status when a second Ctrl-C ends it at once: 128 + SIGINT, as shells have it.
pub const ENDED_AT_ONCE: i32 = 130;

/// What to run, and where.
#[derive(Debug, Clone)]
pub struct Wish {
    /// YAML files and folders.
    pub files: Vec<PathBuf>,
    /// The data directory.
    pub data: PathBuf,
    /// Where to listen.
    pub address: IpAddr,
    /// What no resource says.
    pub settings: Settings,
    /// End when standard input closes: for those who start this as a child.
    pub until_stdin_closes: bool,
}

/// What happens while it runs.
#[derive(Debug)]
pub enum News {
    /// It serves.
    Serving(Box<Started>),
    /// An edit was applied.
    Applied(Changed),
    /// An edit was not; the running state is what it was.
    Kept(ApplyError),
    /// It ends; how long open sessions may take.
    Draining {
        /// Seconds.
        seconds: u64,
    },
}

/// Runs until it is told to end. `tell` hears what happens.
pub async fn run(wish: Wish, tell: &mut (dyn FnMut(News) + Send)) -> Result<(), ApplyError> {
    let watch = Watch::new(stamp(&wish.files));
    // Before anything is made on the disk.
    plan::carrier(&load::load(&wish.files).map_err(ApplyError::Invalid)?)?;
    let data = Arc::new(DataDir::open(&wish.data)?);
    let stop = Stop::new(wish.until_stdin_closes)?;
    let target = Target::new(wish.files, data.clone(), wish.settings, wish.address)?;
    let store = open_store(&data).await?;
    let (server, prepared) = start(&target, store).await?;
    tell(News::Serving(Box::new(Started::new(&prepared, data.passwords()))));
    let drain_seconds = follow(&target, &server, prepared, watch, stop, tell).await;
    // Before anybody is told that another one ends it at once.
    let mut again = interrupts()?;
    tell(News::Draining { seconds: drain_seconds });
    tokio::select! {
        () = server.drain() => Ok(()),
        _ = again.recv() => std::process::exit(ENDED_AT_ONCE),
    }
}

async fn open_store(data: &Arc<DataDir>) -> Result<Store, ApplyError> {
    let data = data.clone();
    let open =
        move || -> Result<_, StoreError> { Sqlite::open(&data.store(), SealKey::load_or_make(&data.seal_key())?) };
    let opened = tokio::task::spawn_blocking(open).await;
    let (backend, blobs) = opened.map_err(|_| ApplyError::System("opening the store ended early"))??;
    Ok(Store::new(backend, blobs))
}

/// The directory is there before anybody is let in: nobody hears 451 for a start.
async fn start(target: &Target, store: Store) -> Result<(Server, Prepared), ApplyError> {
    let before: DirectorySet = store.directory().await?;
    let prepared = target.prepare(before.clone(), Micros::now().0).await?;
    apply::write(&store, &before, &prepared.entries).await?;
    let server = Server::start_on(prepared.config.clone(), store).await?;
    Ok((server, prepared))
}

/// Applies edits until it is time to end; gives the seconds that draining may take.
async fn follow(
    target: &Target,
    server: &Server,
    mut running: Prepared,
    mut watch: Watch,
    mut stop: Stop,
    tell: &mut (dyn FnMut(News) + Send),
) -> u64 {
    let mut looks = tokio::time::interval(LOOK_PERIOD);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut looked_at_certificate = Instant::now();
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = stop.asked() => return running.config.limits.drain_seconds,
        }
        let files = target.files.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || stamp(&files)).await else { continue };
        let edited = watch.due(now);
        if !edited && looked_at_certificate.elapsed() < CERTIFICATE_PERIOD {
            continue;
        }
        looked_at_certificate = Instant::now();
        match apply::again(target, server, &running, Micros::now().0).await {
            Ok((prepared, changed)) => {
                running = prepared;
                if edited {
                    tell(News::Applied(changed));
                }
            }
            Err(error) => tell(News::Kept(error)),
        }
    }
}

/// What ends it: SIGINT, SIGTERM, or standard input that closes.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    closed: Option<oneshot::Receiver<()>>,
}

fn interrupts() -> Result<Signal, ApplyError> {
    signals(SignalKind::interrupt())
}

fn signals(kind: SignalKind) -> Result<Signal, ApplyError> {
    signal(kind).map_err(|_| ApplyError::System("signals cannot be received"))
}

impl Stop {
    fn new(until_stdin_closes: bool) -> Result<Self, ApplyError> {
        let closed = until_stdin_closes.then(stdin_closed);
        Ok(Self { interrupt: interrupts()?, terminate: signals(SignalKind::terminate())?, closed })
    }

    async fn asked(&mut self) {
        let closed = async {
            match self.closed.as_mut() {
                Some(closed) => drop(closed.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = closed => {}
        }
    }
}

/// On a thread of its own that nobody waits for: a runtime would wait for a read that never ends.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (tell, closed) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = tell.send(());
    });
    closed
}
