//! What all SMTP sessions of a process share.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use paquebot_mta_api::{address::Domain, config::Limits};

use super::rates::Rates;
use crate::{
    admin::metrics::SharedMetrics,
    directory::Directory,
    login::Logins,
    sign::Signers,
    store::{Accept, Incarnation, Store},
    verify::Verifier,
};

/// The part of the configuration that a session uses; changed by a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Our host name.
    pub hostname: Domain,
    /// What one client may use.
    pub limits: Limits,
}

/// The queue, as far as receiving needs it.
pub trait FirstAttempts: Send + Sync {
    /// Who will try a message accepted now at once, from memory; `None`: too many wait, whoever claims it tries it.
    fn holder(&self) -> Option<Incarnation>;

    /// The message is on disk: try it.
    fn submit(&self, accept: Accept);

    /// A write had an unknown end: the message may be on disk in the holder's name.
    fn doubt(&self);
}

/// What all sessions share: the parts, and what changes while they run.
pub struct Context {
    parts: Parts,
    rates: Mutex<Rates>,
    settings: RwLock<Arc<Settings>>,
}

/// Shared by all sessions.
pub type Shared = Arc<Context>;

/// What a [`Context`] is made of; read through it.
pub struct Parts {
    /// What is on disk.
    pub store: Store,
    /// Domains, mailboxes, aliases, keys.
    pub directory: Arc<Directory>,
    /// Who may in.
    pub logins: Arc<Logins>,
    /// SPF, DKIM, DMARC.
    pub verifier: Verifier,
    /// DKIM signatures.
    pub signers: Arc<Signers>,
    /// The queue.
    pub queue: Arc<dyn FirstAttempts>,
    /// Metrics.
    pub metrics: SharedMetrics,
}

impl Context {
    /// Of these parts.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        Self { parts, rates: Mutex::default(), settings: RwLock::new(Arc::new(settings)) }
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

impl Deref for Context {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}
