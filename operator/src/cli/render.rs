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
    api::{MailServer, Mailbox},
    dns::{self, Record},
    domain,
    load::Resources,
    server::{self, Process, build::StoreNotSupported, volume::ClaimTemplate},
    settings::Settings,
};

/// The image where no operator says which.
const IMAGE: &str = concat!("paquebot:", env!("CARGO_PKG_VERSION"));

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
    /// The objects that run it in a cluster; Secrets are not among them.
    objects: Vec<Value>,
    notes: Vec<String>,
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
        out.heading(&format!("# MailServer {}: the objects that run it in a cluster", it.name))?;
        for object in &it.objects {
            out.text("---\n")?;
            out.value(object)?;
        }
        out.text("\n")?;
        it.notes.iter().for_each(|note| out.note(note));
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
    let settings = Settings::of_image(IMAGE);
    resources.servers.iter().filter_map(|it| render_server(resources, &it.object, &settings)).collect()
}

fn render_server(resources: &Resources, carrier: &MailServer, settings: &Settings) -> Option<RenderedServer> {
    let first = inputs::first_domain(resources, carrier)?;
    let facts = server::facts_in_cluster(carrier, &first, &settings.defaults, &[])?;
    let namespace = carrier.namespace().unwrap_or_default();
    let template = ClaimTemplate::wanted(carrier, settings);
    let objects = template.ok_or(StoreNotSupported).and_then(|template| {
        server::build::objects(&server::build::Inputs {
            server: carrier,
            namespace: &namespace,
            owner: None,
            facts: &facts,
            settings,
            image: server::build::wanted_image(carrier, settings),
            template: &template,
            cert_manager: true,
        })
    });
    let name = format!("{namespace}/{}", carrier.name_any());
    let (objects, notes) = match objects {
        Ok(objects) => (objects.all(), Vec::new()),
        Err(fault) => (Vec::new(), vec![format!("MailServer {name}: no objects: {fault}")]),
    };
    let configuration = server::config(carrier, &facts, Process::pod(carrier));
    Some(RenderedServer { name, configuration, objects, notes })
}

fn domains(inputs: &Inputs, resources: &Resources) -> Result<Vec<RenderedDomain>, Failure> {
    let mut rendered = Vec::new();
    let mailboxes: Vec<&Mailbox> = resources.mailboxes.iter().map(|it| &it.object).collect();
    for it in &resources.domains {
        let Some(facts) = inputs::facts(resources, &it.object) else { continue };
        let keys = inputs.keys(resources, &it.object)?;
        let public: Vec<_> = keys.iter().map(domain::keys::KeyPair::public_key).collect();
        let entries = domain::entries(&it.object, &mailboxes, &keys, &|_| None);
        let mut notes = domain::notes(&it.object, &facts, &public);
        notes.extend(domain::senders_note(&it.object));
        rendered.push(RenderedDomain {
            name: format!("{}/{}", it.object.namespace().unwrap_or_default(), it.object.name_any()),
            directory: entries.iter().map(|entry| shown(entry, &mailboxes)).collect(),
            dns: domain::records(&it.object, &facts, &public),
            notes,
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

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use clap::Parser;

    use super::*;
    use crate::{
        api::domain::{Algorithm, DkimKey},
        cli::dns as dns_command,
    };

    #[derive(Parser)]
    enum Line {
        Render(Args),
        Dns(Box<dns_command::Args>),
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Runs a command: its result and its notes, or why it failed.
    async fn run_line(format: Format, line: &[&str]) -> Result<(String, String), Failure> {
        let (result, notes) = (Sink::default(), Sink::default());
        let mut out = Output::to(format, result.clone(), notes.clone());
        match Line::parse_from([&["paquebot"], line].concat()) {
            Line::Render(args) => run(args, &mut out).await?,
            Line::Dns(args) => dns_command::run(*args, &mut out).await?,
        }
        out.flush()?;
        Ok((result.text(), notes.text()))
    }

    const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

    #[tokio::test]
    async fn examples_without_secrets() {
        for format in [Format::Human, Format::Json, Format::Yaml] {
            let (text, _) = run_line(format, &["render", "-f", EXAMPLES]).await.unwrap();
            assert!(text.contains("alice@shop.example") && !text.contains("only-an-example"), "{text}");
        }
        let (json, _) = run_line(Format::Json, &["render", "-f", EXAMPLES]).await.unwrap();
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["domains"].as_array().unwrap().len(), 2);
        insta::assert_snapshot!(run_line(Format::Human, &["render", "-f", EXAMPLES]).await.unwrap().0);
    }

    #[tokio::test]
    async fn senders_take_effect_later() {
        let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        let yaml = "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: example.com}\nspec:\n  \
            senders: [{serviceAccount: {namespace: shop, name: web}, from: [orders@example.com]}]\n";
        std::fs::write(file.path(), yaml).unwrap();
        let path = file.path().to_string_lossy().into_owned();
        let (_, notes) = run_line(Format::Human, &["render", "-f", &path]).await.unwrap();
        assert!(notes.contains("example.com: senders take effect with the sidecar"), "{notes}");
        let (json, _) = run_line(Format::Json, &["render", "-f", &path]).await.unwrap();
        assert!(json.contains("senders take effect"), "{json}");
    }

    #[tokio::test]
    async fn keys_of_a_data_directory() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("dkim/example.com");
        std::fs::create_dir_all(&folder).unwrap();
        let key = domain::keys::generate("s", &DkimKey { algorithm: Algorithm::Ed25519, bits: None }).unwrap();
        use base64::{Engine, engine::general_purpose::STANDARD};
        let private = STANDARD.encode(&key.private_key.0);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{private}\n-----END PRIVATE KEY-----\n");
        std::fs::write(folder.join("20261123-ed25519.pem"), pem).unwrap();
        let file = format!("{EXAMPLES}/mail.yaml");
        let data = data.path().to_string_lossy().into_owned();
        for line in [["render", "-f", &file, "--data", &data], ["dns", "-f", &file, "--data", &data]] {
            let (text, notes) = run_line(Format::Human, &line).await.unwrap();
            assert!(text.contains(&format!("p={}", key.public)), "{text}");
            assert!(!text.contains(&private[..30]) && !notes.contains("ed25519"), "{text}{notes}");
            assert!(notes.contains("no DKIM record for rsa"), "{notes}");
        }
        // An older key signs no more, so its record is none of those to publish.
        let older = domain::keys::generate("s", &DkimKey { algorithm: Algorithm::Ed25519, bits: None }).unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(&older.private_key.0)
        );
        std::fs::write(folder.join("20261001-ed25519.pem"), pem).unwrap();
        let (text, _) = run_line(Format::Human, &["dns", "-f", &file, "--data", &data]).await.unwrap();
        assert!(text.contains(&key.public) && !text.contains(&older.public), "{text}");
        std::fs::write(folder.join("broken.pem"), "x").unwrap();
        let fault = run_line(Format::Human, &["dns", "-f", &file, "--data", &data]).await.unwrap_err();
        assert!(fault.to_string().contains("broken.pem cannot be read: this is not a private key"), "{fault}");
        assert_eq!(fault.exit_code(), 1);
    }

    #[tokio::test]
    async fn wrong_use() {
        let fault = run_line(Format::Human, &["dns", "-f", EXAMPLES, "example.net"]).await.unwrap_err();
        assert_eq!(fault.exit_code(), 2);
        assert!(fault.to_string().contains("example.com, shop.example"), "{fault}");
        let fault = run_line(Format::Human, &["render", "-f", "/absent"]).await.unwrap_err();
        assert_eq!(fault.exit_code(), 2);
        let fault = run_line(Format::Human, &["dns", "-f", EXAMPLES, "--data", "/absent"]).await.unwrap_err();
        assert!(fault.to_string().contains("is no data directory"), "{fault}");
    }
}
