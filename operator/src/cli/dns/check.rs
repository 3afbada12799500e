//! `paquebot dns check`: the operator's verification from any machine, from YAML or a cluster's records.

use std::net::SocketAddr;

use serde::Serialize;

use super::{
    super::output::{Failure, Format, Output},
    wanted::{Origin, Wanted},
};
use crate::dns::{
    self,
    verify::{Options, State, Verification, verification_table, verify},
};

/// The port of authoritative servers.
const PORT: u16 = 53;

/// Asks every authoritative server for every record, and says what to put where.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  paquebot dns check -f examples/ --data paquebot-data           all domains
  paquebot dns check -f examples/ example.com --resolver 192.0.2.53
  kubectl paquebot dns check example.com -n mail

What should be there follows from the YAML of -f, with the DKIM keys of the server's data directory; without -f it is
what the operator of the kubeconfig's cluster wrote down. The name servers are asked from here in both cases.

Exit codes: 0 every record is answered as wanted by every authoritative server, 1 not, 2 wrong usage or invalid YAML,
3 they are, as far as they are known.")]
pub struct Args {
    #[command(flatten)]
    from: Origin,
    /// The resolver that is asked for the authoritative servers: 192.0.2.53 or 192.0.2.53:5353. May be repeated.
    /// Left out: those that the domain declares, else the system's.
    #[arg(long = "resolver", value_name = "ADDRESS")]
    resolvers: Vec<String>,
    /// The port of the authoritative servers, for tests.
    #[arg(long, hide = true, default_value_t = PORT)]
    authoritative_port: u16,
}

/// What is printed for programs.
#[derive(Debug, Serialize)]
struct Report {
    domain: String,
    verified: bool,
    #[serde(flatten)]
    verification: Verification,
}

/// Runs it.
///
/// # Errors
/// Invalid YAML, an unknown domain, no resolver; a record that is not as wanted.
pub async fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let mut reports = Vec::new();
    let wanted = args.from.wanted(out).await?;
    let complete = wanted.complete();
    for it in wanted.domains {
        reports.push(report(it, &args).await?);
    }
    match out.format {
        Format::Human => shown(&reports, out)?,
        _ => out.value(&reports)?,
    }
    out.flush()?;
    let own = || reports.iter().flat_map(|it| &it.verification.records).filter(|it| !it.elsewhere);
    if reports.iter().all(|it| it.verified) {
        return complete;
    }
    if let Err(missing) = complete {
        out.note(missing.to_string().trim().trim_start_matches("paquebot: "));
    }
    let failing = own().filter(|it| it.state != State::Verified).count();
    Err(Failure::Failed(format!(
        "{failing} of {} records are not answered as wanted: mend them as listed",
        own().count()
    )))
}

async fn report(wanted: Wanted, args: &Args) -> Result<Report, Failure> {
    let declared = if args.resolvers.is_empty() { &wanted.resolvers } else { &args.resolvers };
    let resolvers: Vec<SocketAddr> =
        dns::resolvers(declared, &[]).map_err(|fault| Failure::Usage(fault.to_string()))?;
    let options = Options { authoritative_port: args.authoritative_port, ..Options::default() };
    let verification = verify(&wanted.records, &resolvers, &options).await;
    Ok(Report { domain: wanted.domain, verified: verification.holds(), verification })
}

fn shown(reports: &[Report], out: &mut Output) -> Result<(), Failure> {
    for (place, report) in reports.iter().enumerate() {
        if place > 0 {
            out.text("\n")?;
        }
        if reports.len() > 1 {
            out.heading(&report.domain)?;
        }
        out.text(&verification_table(&report.verification))?;
    }
    Ok(())
}
