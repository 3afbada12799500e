//! `paquebot up`: mail domains from YAML on this machine.

use std::{net::IpAddr, path::PathBuf};

use super::output::{Failure, Format, Output};
use crate::local::{
    apply::ApplyError,
    settings::Settings,
    up::{self, News, Wish},
};

/// Where the data is unless --data says otherwise; `queue` and `trace` look there too.
pub const DATA_DEFAULT: &str = "paquebot-data";

/// Runs mail domains from YAML on this machine: one process, SQLite, unprivileged ports.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  paquebot up -f examples/                         serve on 127.0.0.1, data in ./paquebot-data
  paquebot up -f mail.yaml --address 192.0.2.10    serve others
  paquebot up -f mail.yaml --settings local.yaml   other ports, with `ports: {smtp: 3525, metrics: 3080}` there

Settings, each with a default: ports (smtp, submission, submissions, pop3, pop3s, metrics); resolvers;
delivery (port, sourceAddress, allowedTargets, connections, retry: {firstMs, longestMs, warnAfterMs,
giveUpAfterMs}); limits (messageBytes, recipients, sessions, sessionsPerAddress, failedLogins, drainSeconds).

Edits of the YAML take effect at once; a bad one is reported, and what runs goes on.
Ctrl-C ends when open sessions have ended, a second one at once (exit code 130).")]
pub struct Args {
    /// YAML files or folders (not their sub-folders).
    #[arg(short = 'f', long = "file", required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// Where keys, passwords, certificate and mail are kept: its owner's only.
    #[arg(long, value_name = "DIRECTORY", default_value = DATA_DEFAULT)]
    data: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,
    /// Settings of this process (YAML): ports, resolvers, delivery, limits.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// End when standard input closes.
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

/// Runs it.
///
/// # Errors
/// Invalid YAML, a data directory or a port that cannot be had.
pub async fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    log();
    let settings = match &args.settings {
        Some(path) => Settings::read(path).map_err(|fault| Failure::Usage(fault.to_string()))?,
        None => Settings::default(),
    };
    let wish = Wish {
        files: args.files,
        data: args.data,
        address: args.address,
        settings,
        until_stdin_closes: args.until_stdin_closes,
    };
    // Whoever read the output may go away; the mail goes on.
    let mut tell = |news| drop(told(news, out));
    up::run(wish, &mut tell).await.map_err(failure)
}

fn told(news: News, out: &mut Output) -> Result<(), Failure> {
    match news {
        News::Serving(started) if out.format == Format::Human => out.text(&started.text())?,
        News::Serving(started) => out.value(&started)?,
        News::Applied(changed) => {
            out.note(&format!("the edit is applied: {changed}"));
        }
        News::Kept(fault) => out.note(&format!("the edit is not applied, what runs goes on:\n{fault}")),
        News::Draining { seconds } => {
            out.note(&format!("ending: open sessions have {seconds} s to finish; Ctrl-C ends at once"));
        }
    }
    out.flush()
}

fn failure(fault: ApplyError) -> Failure {
    match fault {
        ApplyError::Invalid(problems) => Failure::Invalid(problems),
        ApplyError::Plan(fault) => Failure::Usage(fault.to_string()),
        other => Failure::Failed(other.to_string()),
    }
}

/// The log goes to standard error; RUST_LOG says how much of it.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // A second one in the same process: the first stays.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
