//! The command line. Each subcommand is a module with `Args` and `run`.
//!
//! - [`output`]: where results go, and in which form; how commands fail.
//! - [`inputs`]: what several commands read: the YAML, the keys in a data directory.
//! - [`render`]: what follows from the YAML.
//! - [`dns`]: the records to publish.
//! - [`crds`]: the CustomResourceDefinitions.
//! - [`journey`]: a message's journey as people read it.
//! - [`queue`]: what waits to be delivered.
//! - [`socket`]: asks a running MTA over its Unix socket.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or invalid input.

use std::{ffi::OsString, io::Write, process::ExitCode};

use clap::{Parser, Subcommand};

pub mod crds;
pub mod dns;
pub mod inputs;
pub mod journey;
pub mod output;
pub mod queue;
pub mod render;
pub mod socket;

use output::{Format, Output};

const AFTER_HELP: &str = "\
Examples:
  paquebot render -f examples/            what follows from the YAML
  paquebot dns -f examples/ example.com   the records to publish, as a zone file

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
    /// Shows what follows from the YAML: directory entries, MTA configuration, DNS records.
    Render(render::Args),
    /// Shows the DNS records to publish.
    Dns(dns::Args),
    /// Prints the CustomResourceDefinitions.
    Crds(crds::Args),
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
    };
    match outcome.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = std::io::stderr().write_all(failure.to_string().as_bytes());
            ExitCode::from(failure.exit_code())
        }
    }
}
