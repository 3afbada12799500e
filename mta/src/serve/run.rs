//! `paquebot-mta serve --config FILE`: a server in a process of its own. Reads the file again when it changes or on
//! SIGHUP; SIGTERM and Ctrl-C drain.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::{
    ServeError, Server,
    file::{self, FileError},
};

/// How often the file is looked at.
const FILE_PERIOD: Duration = Duration::from_secs(1);

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What the file says.
    #[error("{path}: {error}", path = path.display())]
    Serve {
        /// Which file.
        path: PathBuf,
        /// Why it cannot be served.
        error: ServeError,
    },
    /// Signals cannot be had.
    #[error("cannot listen for signals: {0}")]
    Signals(#[from] std::io::Error),
}

/// Runs until a signal ends it.
pub async fn run(path: &Path) -> Result<(), RunError> {
    let mut signals = Signals::new()?;
    let mut text = file::read(path)?;
    let config = file::parse(path, &text)?;
    let server = Server::start(config).await.map_err(|error| RunError::Serve { path: path.to_owned(), error })?;
    let mut looks = interval(FILE_PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            _ = looks.tick() => false,
            _ = signals.reload.recv() => true,
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
        };
        reload(&server, path, &mut text, asked).await;
    }
    server.drain().await;
    Ok(())
}

/// Reloads where the file changed, or where that was asked for; a bad file is reported once and the running
/// configuration kept.
async fn reload(server: &Server, path: &Path, text: &mut String, asked: bool) {
    let new = match file::read(path) {
        Ok(new) => new,
        Err(error) if asked => return tracing::error!(%error, "reload refused, the running configuration kept"),
        // Gone for a moment while it is replaced.
        Err(_) => return,
    };
    if !asked && new == *text {
        return;
    }
    let result = match file::parse(path, &new) {
        Ok(config) => server.reload(config).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    *text = new;
    match result {
        Ok(()) => tracing::info!(file = %path.display(), "reloaded"),
        Err(error) => tracing::error!(file = %path.display(), error, "reload refused, the running configuration kept"),
    }
}

struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}
