//! `paquebot render`: what follows from the YAML, without any secret.

use kube::ResourceExt;
use paquebot_mta_api::{config::Config, directory::Entry};
use serde::Serialize;
use serde_json::Value;

use super::{
    inputs::{self, Inputs},
    output::{Failure, Format, Output},
};
use crate::{
    api::Mailbox,
    dns::{self, Record},
    domain,
    load::Resources,
    server::{self, Process},
};

/// Shows what follows from the YAML.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  paquebot render -f examples/mail.yaml
  paquebot render -f examples/ --data paquebot-data -o json

Private keys and what is kept of passwords are never shown.")]
pub struct Args {
    #[command(flatten)]
    inputs: Inputs,
}

/// All that follows.
#[derive(Debug, Serialize)]
struct Rendered {
    servers: Vec<RenderedServer>,
    domains: Vec<RenderedDomain>,
}

/// What follows from a MailServer.
#[derive(Debug, Serialize)]
struct RenderedServer {
    name: String,
    /// The MTA's configuration in a pod; local mode has its own ports and files.
    configuration: Config,
}

/// What follows from a MailDomain and its mailboxes.
#[derive(Debug, Serialize)]
struct RenderedDomain {
    name: String,
    directory: Vec<Value>,
    dns: Vec<Record>,
    notes: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// Invalid YAML, an unreadable key.
pub async fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let resources = args.inputs.load()?;
    let rendered = Rendered { servers: servers(&resources), domains: domains(&args.inputs, &resources)? };
    if out.format != Format::Human {
        return out.value(&rendered);
    }
    for it in &rendered.servers {
        out.heading(&format!("# MailServer {}: the MTA's configuration", it.name))?;
        out.value(&it.configuration)?;
        out.text("\n")?;
    }
    for it in &rendered.domains {
        out.heading(&format!("# MailDomain {}: the directory's entries", it.name))?;
        out.value(&it.directory)?;
        out.text("\n")?;
        out.heading(&format!("# MailDomain {}: the DNS records", it.name))?;
        out.text(&dns::zone_text(&it.dns))?;
        out.text("\n")?;
        it.notes.iter().for_each(|note| out.note(note));
    }
    Ok(())
}

fn servers(resources: &Resources) -> Vec<RenderedServer> {
    let render = |carrier| {
        let facts = server::facts(carrier, &inputs::first_domain(resources, carrier)?)?;
        let name = format!("{}/{}", carrier.namespace().unwrap_or_default(), carrier.name_any());
        Some(RenderedServer { name, configuration: server::config(carrier, &facts, Process::pod()) })
    };
    resources.servers.iter().filter_map(|it| render(&it.object)).collect()
}

fn domains(inputs: &Inputs, resources: &Resources) -> Result<Vec<RenderedDomain>, Failure> {
    let mut rendered = Vec::new();
    let mailboxes: Vec<&Mailbox> = resources.mailboxes.iter().map(|it| &it.object).collect();
    for it in &resources.domains {
        let Some(facts) = inputs::facts(resources, &it.object) else { continue };
        let keys = inputs.keys(resources, &it.object)?;
        let public: Vec<_> = keys.iter().map(domain::keys::KeyPair::public_key).collect();
        let entries = domain::entries(&it.object, &mailboxes, &keys, &|_| None);
        rendered.push(RenderedDomain {
            name: format!("{}/{}", it.object.namespace().unwrap_or_default(), it.object.name_any()),
            directory: entries.iter().map(|entry| shown(entry, &mailboxes)).collect(),
            dns: domain::records(&it.object, &facts, &public),
            notes: domain::notes(&it.object, &facts, &public),
        });
    }
    Ok(rendered)
}

/// An entry without its secrets: where they come from stands in their place.
fn shown(entry: &Entry, mailboxes: &[&Mailbox]) -> Value {
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    if let Some(key) = value.pointer_mut("/value/dkimKey/privateKey") {
        *key = "(not shown)".into();
    }
    let address = value.pointer("/value/mailbox/address").and_then(Value::as_str).map(str::to_owned);
    if let (Some(address), Some(login)) = (address, value.pointer_mut("/value/mailbox/login")) {
        let declared = mailboxes.iter().find(|mailbox| mailbox.spec.address.eq_ignore_ascii_case(&address));
        let source = declared.and_then(|mailbox| mailbox.spec.password_secret_ref.as_ref());
        *login = match source {
            Some(secret) => format!("(from the Secret {}, key {})", secret.name, secret.key).into(),
            None => "(a generated password)".into(),
        };
    }
    value
}
