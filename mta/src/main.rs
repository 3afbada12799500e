//! `paquebot-mta`: the mail server as a process.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// The mail server of Paquebot.
#[derive(Parser)]
#[command(
    name = "paquebot-mta",
    version,
    after_help = "Example: paquebot-mta serve --config /etc/paquebot/mta.yaml\n\n\
        Exit status: 0 ended as asked, 1 could not serve, 2 wrong use."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How the log is written.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true)]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Command {
    /// Serve mail until SIGTERM or Ctrl-C, then drain.
    #[command(after_help = "Example: paquebot-mta serve --config /etc/paquebot/mta.yaml\n\n\
        The file is read again when it changes and on SIGHUP. RUST_LOG sets the log level (default: info).")]
    Serve {
        /// The configuration file, YAML.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    let Command::Serve { config } = arguments.command;
    match paquebot_mta::serve::run::run(&config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
