//! `paquebot dns`: the records to publish.

use clap::ValueEnum;
use kube::ResourceExt;

use super::{
    inputs::{self, Inputs},
    output::{Failure, Format, Output},
};
use crate::{dns, domain};

/// Shows the DNS records to publish.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  paquebot dns -f examples/ --data paquebot-data            all domains, as a zone file
  paquebot dns -f examples/ example.com --form table        one domain, to copy into a form
  paquebot dns -f examples/ -o json                         for programs

DKIM keys are made by the server: without --data their records are missing, and a note says so.")]
pub struct Args {
    #[command(flatten)]
    inputs: Inputs,
    /// Only this domain.
    domain: Option<String>,
    /// How people see the records.
    #[arg(long, value_enum, default_value_t = Form::Zone)]
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
/// Invalid YAML, an unknown domain, an unreadable key.
pub async fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let resources = args.inputs.load()?;
    let wanted = args.domain.as_deref().map(|it| it.trim_end_matches('.').to_lowercase());
    let names: Vec<String> = resources.domains.iter().map(|it| it.object.name_any()).collect();
    if let Some(wanted) = wanted.as_ref().filter(|wanted| !names.contains(wanted)) {
        let known = if names.is_empty() { "none is".to_owned() } else { names.join(", ") };
        return Err(Failure::Usage(format!("the domain {wanted:?} is not declared: declared: {known}")));
    }
    let mut records = Vec::new();
    for it in &resources.domains {
        if wanted.as_ref().is_some_and(|wanted| *wanted != it.object.name_any()) {
            continue;
        }
        let Some(facts) = inputs::facts(&resources, &it.object) else { continue };
        let keys = args.inputs.keys(&resources, &it.object)?;
        let keys: Vec<_> = keys.iter().map(domain::keys::KeyPair::public_key).collect();
        records.extend(domain::records(&it.object, &facts, &keys));
        domain::notes(&it.object, &facts, &keys).iter().for_each(|note| out.note(note));
    }
    match (out.format, args.form) {
        (Format::Human, Form::Zone) => out.text(&dns::zone_text(&records)),
        (Format::Human, Form::Table) => out.text(&dns::table(&records)),
        _ => out.value(&records),
    }
}
