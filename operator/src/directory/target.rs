//! What goes into the engine of a MailServer.

use std::{collections::HashSet, net::SocketAddr, sync::Arc};

use uuid::Uuid;

use super::desired::Desired;

/// What a MailServer's directory is to be, and who serves it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The MailServer's UID: its pods' certificates carry it.
    pub server: Uuid,
    /// Its pods that have an address.
    pub pods: Vec<Pod>,
    /// What the directory is to be.
    pub desired: Arc<Desired>,
    /// Whether all watches that `desired` comes from have listed everything once: before that, nothing is deleted and
    /// no directory is called complete.
    pub watches_synced: bool,
    /// Whether what every resource wants is in `desired`: before that, no directory is called complete.
    pub all_known: bool,
    /// UIDs of resources that left this directory, or another, before the eyes of this process: what they do not want
    /// any more is explained.
    pub gone: Arc<HashSet<Uuid>>,
    /// How many held deletions a person has confirmed: exactly that many are carried out.
    pub confirmed: Option<usize>,
}

/// A pod of a MailServer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its UID: a new pod of the same name is another one.
    pub uid: String,
    /// For people.
    pub name: String,
    /// The admin API.
    pub address: SocketAddr,
    /// Its condition `Ready`, and not terminating.
    pub ready: bool,
}

/// Whether this process may write.
pub trait Leadership: Send + Sync {
    /// The leader lease's transitions while this process leads; `None`: it does not, nothing may be written.
    fn epoch(&self) -> Option<u64>;
}

impl<F: Fn() -> Option<u64> + Send + Sync> Leadership for F {
    fn epoch(&self) -> Option<u64> {
        self()
    }
}
