//! What commands do with a cluster: find it, read our resources, ask a mail server in its pod.
//!
//! - [`unread`]: why something could not be read, and what to do.
//! - [`survey`]: which mail servers there are to ask, and what keeps one from being asked.
//! - [`exec`]: a command in a pod: whoever may `pods/exec` may ask, and nobody else.

pub mod exec;
mod survey;
mod unread;

use std::path::PathBuf;

use kube::{
    Api, Client, Config, Resource,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;

use super::output::Failure;
use crate::controllers::apply::{ApiError, within};

pub use survey::labels;
pub use unread::Unread;

/// Objects of a kind that are read at a time.
const PAGE: u32 = 500;
/// Objects of a kind that are read at all.
const OBJECTS_MAX: usize = 50_000;

/// Which cluster, and which namespaces of it.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ClusterArgs {
    /// The namespace; left out: the kubeconfig's.
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// The context in the kubeconfig; left out: its current one.
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// The kubeconfig file; left out: $KUBECONFIG, ~/.kube/config, or the pod that this runs in.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// A cluster that can be asked.
#[derive(Clone)]
pub struct Cluster {
    /// The API server's client.
    pub client: Client,
    /// Where the API server is, for people.
    pub address: String,
    /// The namespace; `None`: all.
    pub namespace: Option<String>,
}

impl ClusterArgs {
    /// The cluster that they name.
    ///
    /// # Errors
    /// None is known, or its client cannot be made.
    pub async fn connect(&self) -> Result<Cluster, Failure> {
        let config = self.config().await?;
        let namespace = self.namespace.clone().or_else(|| Some(config.default_namespace.clone()));
        // It becomes a part of the path.
        if let Some(name) = self.namespace.as_ref().filter(|it| !is_label(it)) {
            let advice = "is not the name of a namespace: it has lower-case letters, digits and dashes only";
            return Err(Failure::Usage(format!("{name:?} {advice}")));
        }
        let address = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| Failure::Failed(unknown(&error.to_string())))?;
        Ok(Cluster { client, address, namespace: namespace.filter(|_| !self.all_namespaces) })
    }

    async fn config(&self) -> Result<Config, Failure> {
        let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        if self.kubeconfig.is_none() && self.context.is_none() && in_pod {
            return Config::infer().await.map_err(|error| Failure::Failed(unknown(&error.to_string())));
        }
        let fail = |error: kube::config::KubeconfigError| Failure::Failed(unknown(&error.to_string()));
        let file = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        Config::from_custom_kubeconfig(file.map_err(fail)?, &options).await.map_err(fail)
    }
}

/// Whether it is a label (RFC 1123 §2.1), as names of namespaces are.
pub fn is_label(name: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len()) && name.chars().all(inside) && !name.starts_with('-') && !name.ends_with('-')
}

fn unknown(error: &str) -> String {
    format!("no cluster is known ({error}): set KUBECONFIG, or name a file with --kubeconfig")
}

impl Cluster {
    /// The same cluster, seen from another namespace.
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self.clone() }
    }

    /// All objects of a kind.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn list<K>(&self, labels: Option<&str>) -> Result<Vec<K>, Unread>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let mut params = ListParams::default().limit(PAGE);
        if let Some(labels) = labels {
            params = params.labels(labels);
        }
        self.listed(params).await
    }

    /// The same, with whatever narrows it down.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn listed<K>(&self, mut params: ListParams) -> Result<Vec<K>, Unread>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let mut all = Vec::new();
        loop {
            let page = within(String::new(), api.list(&params)).await;
            let page = page.map_err(|error| self.unread(&error, "list", &K::plural(&())))?;
            all.extend(page.items);
            match page.metadata.continue_.filter(|it| !it.is_empty() && all.len() < OBJECTS_MAX) {
                Some(next) => params = params.continue_token(&next),
                None => return Ok(all),
            }
        }
    }

    /// One object in this namespace; none where there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn get<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, Unread>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let there = self.in_namespace(namespace);
        let found = within(String::new(), api.get_opt(name)).await;
        found.map_err(|error| there.unread(&error, "get", &K::plural(&())))
    }

    fn unread(&self, error: &ApiError, verb: &'static str, what: &str) -> Unread {
        unread::unread(
            error,
            &unread::Asked { verb, what, namespace: self.namespace.as_deref(), server: &self.address },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_namespaces() {
        for (name, good) in
            [("mail", true), ("a-1", true), ("", false), ("-n", false), ("a/../b", false), ("A", false), ("é", false)]
        {
            assert_eq!(is_label(name), good, "{name}");
        }
    }
}
