//! What several commands read: the YAML, and the keys in a data directory. Writes nothing.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use kube::ResourceExt;
use paquebot_mta_api::address::Domain;

use super::output::Failure;
use crate::{
    api::{MailDomain, MailServer},
    domain::{self, keys::KeyPair},
    load::{self, Resources},
    server::{self, Facts},
};

/// Keys of one domain that are read at most.
const KEYS_MAX: usize = 32;

/// Which YAML, and whose keys.
#[derive(Debug, clap::Args)]
pub struct Inputs {
    /// YAML files or folders (not their sub-folders).
    #[arg(short = 'f', long = "file", required = true, value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// The data directory of `paquebot up`: its DKIM keys are shown.
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,
}

impl Inputs {
    /// The resources.
    ///
    /// # Errors
    /// Every problem of the YAML.
    pub fn load(&self) -> Result<Resources, Failure> {
        Ok(load::load(&self.files)?)
    }

    /// The keys of a domain: those in the data directory, and those imported.
    ///
    /// # Errors
    /// A key that cannot be read.
    pub fn keys(&self, resources: &Resources, mail_domain: &MailDomain) -> Result<Vec<KeyPair>, Failure> {
        let Some(name) = domain::name(mail_domain) else { return Ok(Vec::new()) };
        let mut keys = match &self.data {
            Some(data) => made(data, &name)?,
            None => Vec::new(),
        };
        let namespace = mail_domain.namespace().unwrap_or_default();
        for imported in &mail_domain.spec.dkim.imported {
            if let Some(pem) = resources.secret(&namespace, &imported.secret_ref) {
                let key = KeyPair::from_pem(&imported.selector, pem);
                keys.push(
                    key.map_err(|fault| Failure::Failed(format!("{name}, selector {}: {fault}", imported.selector)))?,
                );
            }
        }
        Ok(keys)
    }
}

/// What the world sees of the server that carries a domain.
pub fn facts(resources: &Resources, mail_domain: &MailDomain) -> Option<Facts> {
    let carrier = resources.server(mail_domain)?;
    server::facts(carrier, &first_domain(resources, carrier)?)
}

/// The first domain that a server carries: its host name may follow from it.
pub fn first_domain(resources: &Resources, carrier: &MailServer) -> Option<Domain> {
    let own = |it: &&MailDomain| {
        resources
            .server(it)
            .is_some_and(|server| server.name_any() == carrier.name_any() && server.namespace() == carrier.namespace())
    };
    resources.domains.iter().map(|it| &it.object).find(own).and_then(domain::name)
}

/// The keys that local mode made: `dkim/<domain>/<selector>.pem`.
fn made(data: &Path, name: &Domain) -> Result<Vec<KeyPair>, Failure> {
    let folder = data.join("dkim").join(name.as_str());
    let wrong = |path: &Path, reason: String| Failure::Failed(format!("{}: {reason}", path.display()));
    if !data.is_dir() {
        return Err(wrong(data, "is no data directory: name the one that `paquebot up` uses".to_owned()));
    }
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(wrong(&folder, format!("{fault}: allow it to be read"))),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "pem"))
        .take(KEYS_MAX)
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let pem = std::fs::read(&path).map_err(|fault| wrong(&path, format!("{fault}: allow it to be read")))?;
        let selector = path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        KeyPair::from_pem(&selector, &pem).map_err(|fault| wrong(&path, fault.to_string()))
    };
    paths.into_iter().map(read).collect()
}
