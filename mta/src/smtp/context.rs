//! What all SMTP sessions of a process share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use paquebot_mta_api::{address::Domain, config::Limits};

use super::{rates::Rates, strangers::Strangers};
use crate::{
    admin::metrics::SharedMetrics, directory::Directory, login::Logins, queue::engine::Handle, sign::Signers,
    store::Store, verify::Verifier,
};

/// The part of the configuration that a session uses; changed by a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Our host name.
    pub hostname: Domain,
    /// What one client may use.
    pub limits: Limits,
}

/// What all sessions share.
pub struct Context {
    /// What is on disk.
    pub store: Store,
    /// Domains, mailboxes, aliases, keys.
    pub directory: Arc<Directory>,
    /// Who may in.
    pub logins: Arc<Logins>,
    /// SPF, DKIM, DMARC.
    pub verifier: Verifier,
    /// DKIM signatures.
    pub signers: Signers,
    /// The queue.
    pub engine: Handle,
    /// Metrics.
    pub metrics: SharedMetrics,
    /// Refusals of strangers.
    pub strangers: Strangers,
    rates: Mutex<Rates>,
    settings: RwLock<Arc<Settings>>,
}

/// Shared by all sessions.
pub type Shared = Arc<Context>;

/// The parts of a [`Context`].
pub struct Parts {
    /// What is on disk.
    pub store: Store,
    /// Domains, mailboxes, aliases, keys.
    pub directory: Arc<Directory>,
    /// Who may in.
    pub logins: Arc<Logins>,
    /// SPF, DKIM, DMARC.
    pub verifier: Verifier,
    /// The queue.
    pub engine: Handle,
    /// Metrics.
    pub metrics: SharedMetrics,
}

impl Context {
    /// Of these parts.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        Self {
            strangers: Strangers::start(parts.store.clone()),
            store: parts.store,
            directory: parts.directory,
            logins: parts.logins,
            verifier: parts.verifier,
            signers: Signers::default(),
            engine: parts.engine,
            metrics: parts.metrics,
            rates: Mutex::default(),
            settings: RwLock::new(Arc::new(settings)),
        }
    }

    /// The settings of this moment.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Other settings from now on.
    pub fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// How much principals send.
    pub fn rates(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
