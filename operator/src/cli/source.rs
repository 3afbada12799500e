//! Which mail server `trace` and `queue` ask: one on this machine by its socket, or those of a cluster.

use std::path::PathBuf;

use super::{
    cluster::{Cluster, ClusterArgs},
    is_plugin,
    output::Failure,
    up::DATA_DEFAULT,
};
use crate::local::data;

/// Which mail server.
#[derive(Debug, clap::Args)]
pub struct Source {
    /// The data directory of the running `paquebot up`; left out: paquebot-data, or else the cluster. kubectl
    /// paquebot asks the cluster.
    #[arg(long, value_name = "DIRECTORY")]
    pub data: Option<PathBuf>,
    /// The admin socket of a running `paquebot-mta serve`.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub socket: Option<PathBuf>,
    /// In a cluster: only this MailServer.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["data", "socket"])]
    pub server: Option<String>,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// Whom to ask.
pub enum Place {
    /// The one behind this socket.
    Socket(PathBuf),
    /// Those of a cluster.
    Cluster(Cluster),
}

impl Source {
    /// Whom to ask: what was named, else who is running on this machine, else the cluster.
    ///
    /// # Errors
    /// A cluster was named and cannot be reached.
    pub async fn place(&self) -> Result<Place, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(Place::Socket(socket.clone()));
        }
        if let Some(data) = &self.data {
            return Ok(Place::Socket(data::socket(data)));
        }
        let local = data::socket(DATA_DEFAULT.as_ref());
        let named = is_plugin(std::env::args_os().next().as_ref())
            || self.server.is_some()
            || self.cluster.namespace.is_some()
            || self.cluster.all_namespaces
            || self.cluster.context.is_some()
            || self.cluster.kubeconfig.is_some();
        if named {
            return Ok(Place::Cluster(self.cluster.connect().await?));
        }
        if local.exists() {
            return Ok(Place::Socket(local));
        }
        // Where no cluster is known either, the advice about the socket is the better one.
        Ok(self.cluster.connect().await.map_or(Place::Socket(local), Place::Cluster))
    }
}
