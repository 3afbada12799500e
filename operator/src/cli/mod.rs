//! The command line. Each subcommand is a module with `Args` and `run`.
//!
//! - [`output`]: where results go, and in which form; how commands fail.
//! - [`inputs`]: what several commands read: the YAML, the keys in a data directory.
//! - [`up`]: mail domains from YAML on this machine.
//! - [`demo`]: the whole of email, live.
//! - [`render`]: what follows from the YAML.
//! - [`dns`]: the records to publish, and whether the world sees them.
//! - [`crds`]: the CustomResourceDefinitions.
//! - [`operator`]: the cluster as the resources say.
//! - [`trace`]: where a message is; [`journey`]: as people read it.
//! - [`queue`]: what waits to be delivered.
//! - [`socket`]: asks a running MTA over its Unix socket; [`cluster`]: finds a cluster, asks in its pods; [`source`]: which of both.
//! - [`status`]: a cluster's servers, domains and mailboxes as a tree.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or invalid input, 3 partly done.

use std::{ffi::OsString, io::Write, path::Path, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub mod cluster;
pub mod crds;
pub mod demo;
pub mod dns;
pub mod inputs;
pub mod journey;
pub mod operator;
pub mod output;
pub mod queue;
pub mod render;
pub mod socket;
pub mod source;
pub mod status;
pub mod trace;
pub mod up;

use output::{Format, Output};

const AFTER_HELP: &str = "\
Examples:
  paquebot demo                           the whole of email, live, on this machine
  paquebot up -f examples/                serve what the YAML declares
  paquebot render -f examples/            what follows from the YAML
  paquebot dns -f examples/ example.com   the records to publish, as a zone file
  paquebot dns check -f examples/         whether the world sees them
  paquebot operator --config FILE         make a cluster what its resources say
  paquebot status -A                      a cluster's servers, domains, mailboxes; what to mend
  paquebot trace MESSAGE-ID               a message's journey
  paquebot queue list                     what waits to be delivered

Exit codes:
  0  done
  1  failed: something outside the command line and the YAML is in the way
  2  wrong usage, or invalid YAML
  3  what is printed is true and not all: somebody did not answer

Under the name kubectl-paquebot it is a plugin: kubectl paquebot status.
Colours only on a terminal, and not with NO_COLOR set.";

/// Mail for Kubernetes: declare mail domains as YAML, and run them.
#[derive(Debug, Parser)]
#[command(name = "paquebot", version, about, after_help = AFTER_HELP)]
struct Cli {
    /// The form of what is printed: human, json, yaml.
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Format::Human, global = true,
        hide_possible_values = true)]
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
    /// Makes the cluster what the resources say, and keeps it so.
    Operator(operator::Args),
    /// Shows what follows from the YAML: directory entries, MTA configuration, DNS records.
    Render(render::Args),
    /// Shows the DNS records to publish, and checks whether they are.
    Dns(dns::Args),
    /// Prints the CustomResourceDefinitions.
    Crds(crds::Args),
    /// Shows a cluster's mail servers, domains and mailboxes: what holds, what does not, what to do next.
    Status(status::Args),
    /// Shows a message's journey: time, actor, what happened, the DNS answers used.
    Trace(trace::Args),
    /// Shows what waits to be delivered.
    Queue(queue::Args),
}

/// The name under which kubectl finds its plugin.
const PLUGIN: &str = "kubectl-paquebot";

/// The commands that ask a cluster.
const PLUGIN_COMMANDS: [&str; 4] = ["status", "dns", "trace", "queue"];

/// Whether kubectl runs this program, by the name that it has.
fn is_plugin(program: Option<&OsString>) -> bool {
    program.and_then(|it| Path::new(it).file_name()).is_some_and(|it| it == PLUGIN)
}

/// The examples as the plugin's user types them; those that need no cluster stay as they are.
fn as_plugin(mut command: clap::Command) -> clap::Command {
    if let Some(text) = command.get_after_help().map(ToString::to_string) {
        let line = |line: &str| {
            let asks = PLUGIN_COMMANDS.iter().any(|name| line.starts_with(&format!("  paquebot {name}")));
            if asks && !line.contains(" -f ") && !line.contains("--data") {
                return line.replacen("  paquebot", "  kubectl paquebot", 1);
            }
            // The others' descriptions stay below each other.
            match line.rfind("  ").filter(|at| *at > 2 && line.contains("paquebot ")) {
                Some(at) => {
                    format!("{}{:8}{}", line.get(..at).unwrap_or_default(), "", line.get(at..).unwrap_or_default())
                }
                None => line.to_owned(),
            }
        };
        command = command.after_help(text.lines().map(line).collect::<Vec<_>>().join("\n"));
    }
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, as_plugin))
}

fn parsed(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let command = match is_plugin(arguments.first()) {
        true => as_plugin(Cli::command()).bin_name("kubectl paquebot"),
        false => Cli::command(),
    };
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// Runs a command line; the first argument is the program's name.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match parsed(arguments.into_iter().collect()) {
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
        Command::Operator(args) => operator::run(args, &mut out).await,
        Command::Demo(args) => demo::run(args, &mut out).await,
        Command::Status(args) => status::run(args, &mut out).await,
        Command::Trace(args) => trace::run(args, &mut out).await,
        Command::Queue(args) => queue::run(args, &mut out).await,
    };
    match outcome.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = std::io::stderr().write_all(output::harmless(&failure.to_string()).as_bytes());
            ExitCode::from(failure.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usage_names_the_plugin_as_kubectl_calls_it() {
        let usage = |program: &str| {
            let words = [program, "status", "--nonsense"].map(OsString::from).to_vec();
            parsed(words).unwrap_err().to_string()
        };
        assert!(usage("/usr/local/bin/kubectl-paquebot").contains("kubectl paquebot status"));
        assert!(!usage("/usr/local/bin/paquebot").contains("kubectl"));
        let help = |program: &str, command: &str| {
            parsed([program, command, "--help"].map(OsString::from).to_vec()).unwrap_err().to_string()
        };
        assert!(help("kubectl-paquebot", "trace").contains("\n  kubectl paquebot trace '<2026"));
        assert!(help("paquebot", "trace").contains("\n  paquebot trace '<2026"));
    }
}
