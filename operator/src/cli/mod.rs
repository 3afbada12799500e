//! The command line. Each subcommand is a module with `Args` and `run`.
//!
//! - [`output`]: where results go, and in which form; how commands fail.
//! - [`inputs`]: what several commands read: the YAML, the keys in a data directory.
//! - [`up`]: mail domains from YAML on this machine.
//! - [`demo`]: the whole of email, live.
//! - [`render`]: what follows from the YAML.
//! - [`dns`]: the records to publish.
//! - [`crds`]: the CustomResourceDefinitions.
//! - [`trace`]: where a message is; [`journey`]: as people read it.
//! - [`queue`]: what waits to be delivered.
//! - [`socket`]: asks a running MTA over its Unix socket.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or invalid input.

use std::{ffi::OsString, io::Write, process::ExitCode};

use clap::{Parser, Subcommand};

pub mod crds;
pub mod demo;
pub mod dns;
pub mod inputs;
pub mod journey;
pub mod output;
pub mod queue;
pub mod render;
pub mod socket;
pub mod trace;
pub mod up;

use output::{Format, Output};

const AFTER_HELP: &str = "\
Examples:
  paquebot demo                           the whole of email, live, on this machine
  paquebot up -f examples/                serve what the YAML declares
  paquebot render -f examples/            what follows from the YAML
  paquebot dns -f examples/ example.com   the records to publish, as a zone file
  paquebot trace MESSAGE-ID               a message's journey
  paquebot queue list                     what waits to be delivered

Exit codes:
  0  done
  1  failed: something outside the command line and the YAML is in the way
  2  wrong usage, or invalid YAML

Colours only on a terminal, and not with NO_COLOR set.";

/// Mail for Kubernetes: declare mail domains as YAML, and run them.
#[derive(Debug, Parser)]
#[command(name = "paquebot", version, about, after_help = AFTER_HELP)]
struct Cli {
    /// The form of what is printed.
    #[arg(short = 'o', long, value_enum, default_value_t = Format::Human, global = true)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs mail domains from YAML on this machine: one process, SQLite, unprivileged ports.
    Up(up::Args),
    /// Shows the whole of email, live: two mail systems and their DNS, six messages' journeys.
    Demo(demo::Args),
    /// Shows what follows from the YAML: directory entries, MTA configuration, DNS records.
    Render(render::Args),
    /// Shows the DNS records to publish.
    Dns(dns::Args),
    /// Prints the CustomResourceDefinitions.
    Crds(crds::Args),
    /// Shows a message's journey: time, actor, what happened, the DNS answers used.
    Trace(trace::Args),
    /// Shows what waits to be delivered.
    Queue(queue::Args),
}

/// Runs a command line; the first argument is the program's name.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(usage) => {
            // Nobody is left to tell when printing fails.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(output::INVALID));
        }
    };
    let mut out = Output::stdout(cli.output);
    let outcome = match cli.command {
        Command::Render(args) => render::run(args, &mut out).await,
        Command::Dns(args) => dns::run(args, &mut out).await,
        Command::Crds(args) => crds::run(args, &mut out).await,
        Command::Up(args) => up::run(args, &mut out).await,
        Command::Demo(args) => demo::run(args, &mut out).await,
        Command::Trace(args) => trace::run(args, &mut out).await,
        Command::Queue(args) => queue::run(args, &mut out).await,
    };
    match outcome.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = std::io::stderr().write_all(failure.to_string().as_bytes());
            ExitCode::from(failure.exit_code())
        }
    }
}
