//! Passwords and SCRAM keys, throttling: who may in, for SMTP, POP3 and later IMAP.
//!
//! A login's name is the mailbox's address. An unknown name takes the same path, the same time and
//! gets the same replies as a wrong password.
//!
//! - this page: [`Logins`] answers what a login exchange asks; [`Authenticated`] proves a login;
//! - [`throttle`]: how often a login may fail;
//! - [`keys`]: keys of the directory, and made-up ones.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use paquebot_mta_api::{address::Address, directory::MailboxEntry};
use paquebot_proto::sasl::{LoginAnswer, LoginAsk, ScramKeys, Secret};
use tokio::sync::Semaphore;

use crate::{admin::metrics::SharedMetrics, directory::Directory, store::AccountId};

pub mod keys;
pub mod throttle;

use keys::MadeUp;
use throttle::Throttle;

/// Passwords that wait for their turn to be hashed; one more is answered as unavailable.
pub const WAITING_MAX: usize = 256;

/// Proves a login: only [`Logins`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    account: AccountId,
    address: Address,
}

impl Authenticated {
    /// Whose mail it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The mailbox's address.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

/// What one session knows of its logins.
#[derive(Debug)]
pub struct LoginSession {
    protocol: &'static str,
    given: Option<(String, ScramKeys)>,
    authenticated: Option<Authenticated>,
}

impl LoginSession {
    /// A session that nobody has logged in to; `protocol` labels the metrics.
    pub fn new(protocol: &'static str) -> Self {
        Self { protocol, given: None, authenticated: None }
    }

    /// Who logged in.
    pub fn authenticated(&self) -> Option<&Authenticated> {
        self.authenticated.as_ref()
    }
}

/// Answers what login exchanges ask. One a process.
pub struct Logins {
    directory: Arc<Directory>,
    metrics: SharedMetrics,
    throttle: Mutex<Throttle>,
    made_up: MadeUp,
    hashing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Logins {
    /// `failed_logins`: [`paquebot_mta_api::config::Limits::failed_logins`]; `secret`: random, kept over
    /// restarts, for the salts of unknown names.
    pub fn new(directory: Arc<Directory>, metrics: SharedMetrics, failed_logins: u32, secret: &[u8]) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            directory,
            metrics,
            throttle: Mutex::new(Throttle::new(failed_logins)),
            made_up: MadeUp::new(secret),
            hashing: Arc::new(Semaphore::new(cores)),
            waiting: Arc::new(Semaphore::new(cores + WAITING_MAX)),
        }
    }

    /// Answers a question. Cancelled in between, an attempt counts as failed.
    pub async fn answer(&self, ask: LoginAsk, client: IpAddr, session: &mut LoginSession) -> LoginAnswer {
        let now = Instant::now();
        // A new exchange forgets the last: only the last grant counts.
        session.authenticated = None;
        let answer = match ask {
            _ if !self.directory.current().complete => LoginAnswer::Unavailable,
            LoginAsk::Password { name, password } => self.password(now, &name, password, client, session).await,
            LoginAsk::Keys { name } => self.give_keys(now, &name, client, session),
            LoginAsk::Proved { name, right } => self.proved(now, &name, right, client, session),
        };
        self.note(&answer, client, session);
        answer
    }

    async fn password(
        &self,
        now: Instant,
        name: &str,
        password: Secret,
        client: IpAddr,
        session: &mut LoginSession,
    ) -> LoginAnswer {
        let user = self.user(name);
        let Some(attempt) = self.throttle().begin(now, client, &user.name) else { return LoginAnswer::Throttled };
        let Some(matches) = self.hash(user.keys.clone(), password).await else {
            self.throttle().undecided(attempt);
            return LoginAnswer::Unavailable;
        };
        match user.mailbox.filter(|_| matches) {
            Some(mailbox) => {
                self.throttle().succeeded(now, attempt);
                session.grant(&mailbox)
            }
            None => LoginAnswer::Denied,
        }
    }

    fn give_keys(&self, now: Instant, name: &str, client: IpAddr, session: &mut LoginSession) -> LoginAnswer {
        let user = self.user(name);
        if !self.throttle().allows(now, client, &user.name) {
            return LoginAnswer::Throttled;
        }
        session.given = Some((user.name, user.keys.clone()));
        LoginAnswer::Keys(user.keys)
    }

    fn proved(&self, now: Instant, name: &str, right: bool, client: IpAddr, session: &mut LoginSession) -> LoginAnswer {
        let user = self.user(name);
        let Some(attempt) = self.throttle().begin(now, client, &user.name) else { return LoginAnswer::Throttled };
        // The proof was checked against the keys given; they must be this user's still.
        let same = session.given.take().is_some_and(|(name, keys)| name == user.name && keys == user.keys);
        match user.mailbox.filter(|_| right && same) {
            Some(mailbox) => {
                self.throttle().succeeded(now, attempt);
                session.grant(&mailbox)
            }
            None => LoginAnswer::Denied,
        }
    }

    /// The user of that name, or one made up.
    fn user(&self, name: &str) -> User {
        let address = name.parse::<Address>().ok();
        let name = address.as_ref().map_or_else(|| name.to_lowercase(), |address| address.folded().to_string());
        let mailbox = address.and_then(|address| self.directory.current().mailbox(&address).cloned());
        let real = mailbox.as_ref().and_then(|mailbox| keys::from_directory(mailbox.login.as_ref()?));
        // Made for each name, known or not: one more HMAC must not tell.
        let made_up = self.made_up.keys(&name);
        match real {
            Some(keys) => User { name, mailbox, keys },
            None => User { name, mailbox: None, keys: made_up },
        }
    }

    /// Whether the password matches, worked out beside the event loop; `None`: too many wait.
    /// The permits go with the work, so that cancelled sessions cannot pile it up.
    async fn hash(&self, keys: ScramKeys, password: Secret) -> Option<bool> {
        let waiting = self.waiting.clone().try_acquire_owned().ok()?;
        let hashing = self.hashing.clone().acquire_owned().await.ok()?;
        let work = move || {
            let matches = keys.matches(&keys::prepare(&password.0));
            drop((hashing, waiting));
            matches
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, answer: &LoginAnswer, client: IpAddr, session: &LoginSession) {
        let result = match answer {
            LoginAnswer::Keys(_) => return,
            LoginAnswer::Granted => "granted",
            LoginAnswer::Denied => "denied",
            LoginAnswer::Unavailable => "unavailable",
            LoginAnswer::Throttled => "throttled",
        };
        self.metrics.logins.with_label_values(&[session.protocol, result]).inc();
        tracing::info!(protocol = session.protocol, %client, result, "login");
    }
}

/// A name that wants in: a mailbox with its keys, or nobody with made-up ones.
struct User {
    name: String,
    mailbox: Option<Arc<MailboxEntry>>,
    keys: ScramKeys,
}

impl LoginSession {
    fn grant(&mut self, mailbox: &MailboxEntry) -> LoginAnswer {
        self.authenticated =
            Some(Authenticated { account: AccountId(mailbox.account), address: mailbox.address.clone() });
        LoginAnswer::Granted
    }
}

#[cfg(test)]
mod tests;
