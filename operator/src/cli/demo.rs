//! `paquebot demo`: the whole of email, live, on this machine.

use std::path::PathBuf;

use super::output::{Failure, Output};
use crate::local::demo;

/// Shows the whole of email, live: two mail systems and their DNS on this machine, and six messages' journeys.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  paquebot demo                  leaves nothing behind
  paquebot demo --keep demo/     keeps YAML, data and logs there

Exit code 0 only if every case ended as it must.")]
pub struct Args {
    /// Keep YAML, data and logs in this directory; it must be new or empty.
    #[arg(long, value_name = "DIRECTORY")]
    keep: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// A case that did not end as it must; a world that could not be set up.
pub async fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let colour = out.colour;
    let mut show = |text: &str| out.text(text).and_then(|()| out.flush());
    match demo::run(args.keep.as_deref(), colour, &mut show).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::Failed("the demo did not end as it must: look at the lines with WRONG".to_owned())),
        Err(demo::DemoError::Output(failure)) => Err(failure),
        Err(fault) => Err(Failure::Failed(fault.to_string())),
    }
}
