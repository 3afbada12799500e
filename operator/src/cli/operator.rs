//! `paquebot operator`: makes the cluster what the resources say, and keeps it so.

use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output::{Failure, Output};
use crate::{controllers, settings::Settings};

/// Octets of the settings' file at most.
const FILE_OCTETS_MAX: u64 = 1024 * 1024;

/// What is logged where RUST_LOG says nothing. What ends a watch we say ourselves, and only where it matters.
const LOG_DEFAULT: &str = "info,kube_runtime::watcher=off";

/// Makes the cluster what the resources say, and keeps it so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: paquebot operator --config operator.yaml

The smallest file is one line, the image of the mail servers' pods: image: paquebot:dev
The cluster is the one that this pod runs in, or that of the kubeconfig. RUST_LOG sets the log level (default: info).")]
pub struct Args {
    /// The operator's settings, YAML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
/// The settings cannot be read, the API server's client cannot be made.
pub async fn run(args: Args, _: &mut Output) -> Result<(), Failure> {
    let settings = settings(&args.config)?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(LOG_DEFAULT));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = kube::Config::infer().await.map_err(|error| {
        Failure::Failed(format!(
            "no cluster is known ({error}): set KUBECONFIG, or run it in a pod with a ServiceAccount"
        ))
    })?;
    let closing = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let asked = closing.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        asked.cancel();
    });
    controllers::run::run(settings, config, closing).await.map_err(|error| Failure::Failed(error.to_string()))
}

fn settings(path: &Path) -> Result<Settings, Failure> {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_OCTETS_MAX).read_to_string(&mut text));
    read.map_err(|error| {
        Failure::Usage(format!("{}: {error}: name the settings' file with --config", path.display()))
    })?;
    serde_yaml::from_str(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}
