//! What every reconcile has at hand.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::Client;

use super::{
    apply::{ApiError, Applier},
    authority::Authorities,
    checks::NameServers,
    directories::Directories,
    events::Events,
    making::Making,
    secrets::{Data, Secrets},
    state::State,
    status::Statuses,
    world::World,
};
use crate::{
    domain::{key_secret::Found, keys::KeyError},
    mailbox::password::PasswordFault,
    pki::PkiError,
    refusal::Refusal,
    settings::Settings,
};

/// Why a reconcile did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A key.
    #[error("a DKIM key could not be made: {0}")]
    Key(#[from] KeyError),
    /// A certificate.
    #[error(transparent)]
    Certificate(#[from] PkiError),
    /// A Secret of the operator's own.
    #[error("the Secret {0} has no usable key: delete it, and a new one is made")]
    NoKey(String),
    /// The system gives no random numbers, or a thread died.
    #[error("{0}: look for what the system lacks (memory, entropy)")]
    System(&'static str),
}

impl Fault {
    /// What is to be said in a status, where the API server refused an object; `None`: a fault that passes.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Api(error) => error.refusal(),
            _ => None,
        }
    }

    /// The refusal, or the fault that it is instead.
    ///
    /// # Errors
    /// It is no refusal.
    pub fn refused(self) -> Result<Refusal, Self> {
        self.refusal().ok_or(self)
    }
}

/// What was refused of what was done, where it was.
///
/// # Errors
/// Another fault.
pub fn refused<T>(done: Result<T, Fault>) -> Result<Option<Refusal>, Fault> {
    done.map_or_else(|fault| fault.refused().map(Some), |_| Ok(None))
}

/// What every reconcile has at hand.
pub struct Context {
    /// The operator's settings.
    pub settings: Settings,
    /// What the watches know.
    pub world: Arc<World>,
    /// Writes.
    pub applier: Arc<Applier>,
    /// What reconciles found out.
    pub state: Arc<State>,
    /// The statuses that were written.
    pub statuses: Statuses,
    /// For people.
    pub events: Events,
    /// The directories of the MailServers.
    pub directories: Directories,
    /// What the name servers say.
    pub name_servers: NameServers,
    /// The admin API's certificates.
    pub authorities: Authorities,
    /// DKIM keys in our Secrets.
    pub keys: Secrets<Found>,
    /// Secrets with certificates and imported keys.
    pub data: Secrets<Arc<Data>>,
    /// Digests of passwords.
    pub passwords: Secrets<Result<String, PasswordFault>>,
    /// With which passwords are digested.
    pub digest_key: Arc<[u8]>,
    /// Makes keys.
    pub making: Making,
}

impl Context {
    /// The API server's client.
    pub fn client(&self) -> &Client {
        self.applier.client()
    }

    /// The time: reconciles are the edge at which the clock is read.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Random octets.
///
/// # Errors
/// The system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut octets = [0; N];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| Fault::System("there are no random numbers"))?;
    Ok(octets)
}
