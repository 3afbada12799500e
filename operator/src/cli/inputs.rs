//! What several commands read: the YAML, and the keys in a data directory. Writes nothing.

use std::path::PathBuf;

use kube::ResourceExt;
use paquebot_mta_api::address::Domain;

use super::output::Failure;
use crate::{
    api::{MailDomain, MailServer},
    domain::{self, keys::KeyPair},
    load::{self, Resources},
    local::dkim,
    server::{self, Facts},
};

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

    /// The keys that `paquebot up` uses for a domain: those in the data directory, and those imported.
    ///
    /// # Errors
    /// A key that cannot be read.
    pub fn keys(&self, resources: &Resources, mail_domain: &MailDomain) -> Result<Vec<KeyPair>, Failure> {
        if let Some(data) = self.data.as_ref().filter(|data| !data.is_dir()) {
            let advice = "is no data directory: name the one that `paquebot up` uses";
            return Err(Failure::Failed(format!("{}: {advice}", data.display())));
        }
        dkim::known(self.data.as_deref(), mail_domain, resources).map_err(|fault| Failure::Failed(fault.to_string()))
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
