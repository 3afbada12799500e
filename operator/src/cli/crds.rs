//! `paquebot crds`: the CustomResourceDefinitions.

use std::path::PathBuf;

use super::output::{Failure, Format, Output};
use crate::api::crd;

/// Prints the CustomResourceDefinitions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  paquebot crds | kubectl apply --server-side -f -
  paquebot crds --directory crds                     writes a file for each")]
pub struct Args {
    /// Writes a file for each into this directory, which must exist.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// A file that cannot be written.
pub async fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    if let Some(directory) = args.directory {
        for (name, text) in crd::files() {
            let path = directory.join(name);
            std::fs::write(&path, text).map_err(|fault| {
                Failure::Failed(format!("{}: {fault}; name a directory that exists and can be written", path.display()))
            })?;
            out.text(&format!("{}\n", path.display()))?;
        }
        return Ok(());
    }
    if out.format == Format::Json {
        let list: Vec<_> = crd::crds().iter().map(|(_, definition)| definition).collect();
        return out.value(&list);
    }
    for (_, text) in crd::files() {
        out.text("---\n")?;
        out.text(&text)?;
    }
    Ok(())
}
