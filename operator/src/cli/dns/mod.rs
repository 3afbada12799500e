//! `paquebot dns`: the records to publish; [`check`]: whether the world sees them; [`wanted`]: where they come
//! from, YAML or a cluster; [`derived`]: from a cluster whose operator writes no zone.

use clap::{Subcommand, ValueEnum};

use super::output::{Failure, Format, Output};
use crate::dns::{self, Record};

mod check;
mod derived;
mod wanted;

use wanted::Origin;

/// Shows the DNS records to publish, and checks whether they are.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  paquebot dns -f examples/ --data paquebot-data            all domains, as a zone file
  paquebot dns -f examples/ example.com --form table        one domain, to copy into a form
  paquebot dns -f examples/ -o json                         for programs
  paquebot dns check -f examples/ --data paquebot-data      are they published?
  kubectl paquebot dns example.com -n mail                  as the operator of a cluster wrote them
  kubectl paquebot dns check example.com -n mail            the same, looked at from here

Without -f the cluster of the kubeconfig is asked, with it the YAML. With -f, DKIM keys are made by the server:
without --data their records are missing, and a note says so."
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    show: Show,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Asks every authoritative server for every record, and says what to put where.
    Check(check::Args),
}

/// What is shown.
#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    from: Origin,
    /// How people see the records: as a zone file (RFC 1035) to be included, or as a table.
    #[arg(long, value_enum, default_value_t = Form::Zone, hide_possible_values = true)]
    form: Form,
}

/// How people see the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A zone file (RFC 1035), to be included.
    Zone,
    /// A table.
    Table,
}

/// Runs it.
///
/// # Errors
/// Invalid YAML, an unknown domain, an unreadable key; with `check`, a record that is not as wanted.
pub async fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    if let Some(Command::Check(check)) = args.command {
        return check::run(check, out).await;
    }
    let wanted = args.show.from.wanted(out).await?;
    let complete = wanted.complete();
    let records: Vec<Record> = wanted.domains.into_iter().flat_map(|it| it.records).collect();
    match (out.format, args.show.form) {
        (Format::Human, Form::Zone) => out.text(&dns::zone_text(&records))?,
        (Format::Human, Form::Table) => out.text(&dns::table(&records))?,
        _ => out.value(&records)?,
    }
    out.flush()?;
    complete
}
