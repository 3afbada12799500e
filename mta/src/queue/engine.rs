//! The engine: carries the queue's decisions out. It decides nothing itself.
//!
//! A message that was just accepted is tried from memory: no reading back, no polling. Everything else
//! comes by claim, when a timer says that something is due. Guarantee: a recipient leaves the queue only
//! by an outcome that the store has committed.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use paquebot_mta_api::config;
use tokio::sync::{Notify, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    claim,
    job::{Budget, Destination, Job, Place, Recipient},
    lease::Lease,
    line::{Connections, Line, Then},
    notice, settler, worker,
};
use crate::{
    admin::metrics::SharedMetrics,
    deliver::{Remote, local},
    directory::Directory,
    identity::Identity,
    message::Message,
    restarted::restarted,
    sign::Signers,
    store::{Accept, Clock, Envelope, Incarnation, Store},
};

/// Octets of messages in memory at most: above it new ones wait in the store.
pub const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Recipients of one transaction at most (RFC 5321 §4.5.3.1.8: every server takes 100).
const RECIPIENTS_MAX: usize = paquebot_proto::smtp::client_ask::RECIPIENTS_MAX;
/// Attempts whose outcome waits to be written: above it no new attempt starts.
const SETTLEMENTS_WAITING_MAX: usize = 512;

/// What the engine works with.
pub struct Deps {
    /// Where everything is kept.
    pub store: Store,
    /// Who is hosted.
    pub directory: Arc<Directory>,
    /// The way out.
    pub remote: Arc<dyn Remote>,
    /// Signs notices.
    pub signers: Arc<Signers>,
    /// Counters.
    pub metrics: SharedMetrics,
    /// The wall clock.
    pub clock: Clock,
    /// The name of this server.
    pub identity: Identity,
    /// Connections and retries.
    pub delivery: config::Delivery,
    /// Messages accepted and not yet tried; above it new ones wait in the store.
    pub first_attempts: u32,
}

/// Starts the engine.
pub struct Engine;

impl Engine {
    /// Starts it; it runs until [`EngineHandle::drain`]. Needs a tokio runtime.
    pub fn start(deps: Deps) -> EngineHandle {
        let (settlements, waiting) = mpsc::channel(SETTLEMENTS_WAITING_MAX);
        let connections = Connections {
            each_max: usize::try_from(deps.delivery.connections_per_destination).unwrap_or(usize::MAX),
            all_max: usize::try_from(deps.delivery.connections).unwrap_or(usize::MAX),
        };
        let first_attempts = usize::try_from(deps.first_attempts).unwrap_or(usize::MAX).max(1);
        let shared = Arc::new(Shared {
            writer: notice::Writer {
                identity: deps.identity,
                retry: deps.delivery.retry.clone(),
                directory: deps.directory,
                signers: deps.signers,
            },
            store: deps.store,
            remote: deps.remote,
            metrics: deps.metrics,
            clock: deps.clock,
            lease: Lease::default(),
            budget: Arc::new(Budget::new(first_attempts, MEMORY_BYTES_MAX)),
            line: Mutex::new(Line::new(connections)),
            settlements,
            due: Notify::new(),
            crowded: Notify::new(),
            doubtful: AtomicBool::new(false),
            draining: CancellationToken::new(),
            stopped: CancellationToken::new(),
            workers: TaskTracker::new(),
            settler: TaskTracker::new(),
        });
        shared.settler.spawn(settler::run(shared.clone(), waiting));
        let beating = shared.clone();
        shared.workers.spawn(restarted("heartbeat", move || claim::beat(beating.clone())));
        let claiming = shared.clone();
        let mut begun = false;
        shared.workers.spawn(restarted("claim", move || {
            // What it had claimed when it panicked is held by us and known to nobody.
            claiming.doubtful.fetch_or(std::mem::replace(&mut begun, true), Ordering::Relaxed);
            claim::run(claiming.clone())
        }));
        EngineHandle { shared }
    }
}

/// What the rest of the server says to the engine. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    shared: Arc<Shared>,
}

impl EngineHandle {
    /// For [`Accept::holder`]: who will try the message at once; `None`: it waits in the store for its turn.
    pub fn holder(&self) -> Option<Incarnation> {
        let shared = &self.shared;
        if shared.draining.is_cancelled() || shared.budget.room() == 0 || !shared.is_ready() {
            return None;
        }
        shared.lease.holder()
    }

    /// The store has accepted this message. Called after `store.accept` returned `Ok`, never otherwise.
    pub fn submit(&self, accept: Accept) {
        self.shared.submit(accept);
    }

    /// A write of the store had an unknown end: a row may be held in this process' name without its knowing.
    /// It is given back once nothing else is in memory.
    pub fn doubt(&self) {
        self.shared.doubtful.store(true, Ordering::Relaxed);
        self.shared.due.notify_one();
    }

    /// Something may be due that the engine does not know of.
    pub fn wake(&self) {
        self.shared.due.notify_one();
    }

    /// No new attempts; those under way may end within `limit`; then the rows are others' at once.
    pub async fn drain(&self, limit: Duration) {
        let shared = &self.shared;
        let incarnation = shared.lease.current().incarnation;
        shared.draining.cancel();
        shared.workers.close();
        if tokio::time::timeout(limit, shared.workers.wait()).await.is_err() {
            tracing::warn!("deliveries under way were cut off; they are tried again after the next start");
        }
        shared.lease.over(incarnation);
        shared.line().clear();
        // What was found is written even now: it is known, and would be done twice otherwise.
        shared.settler.close();
        let _ = tokio::time::timeout(settler::LAST_WRITES_SECONDS_MAX, shared.settler.wait()).await;
        shared.stopped.cancel();
        if let Err(error) = shared.store.release(incarnation).await {
            tracing::warn!(%error, "the queue's rows are free only when the lease expires");
        }
    }

    /// Ends at once, as a crash would: nothing is written or given back.
    pub fn abort(&self) {
        self.shared.draining.cancel();
        self.shared.stopped.cancel();
        let incarnation = self.shared.lease.current().incarnation;
        self.shared.lease.over(incarnation);
        self.shared.line().clear();
    }
}

/// What all of the engine's tasks share.
pub(super) struct Shared {
    pub writer: notice::Writer,
    pub store: Store,
    pub remote: Arc<dyn Remote>,
    pub metrics: SharedMetrics,
    pub clock: Clock,
    pub lease: Lease,
    pub budget: Arc<Budget>,
    line: Mutex<Line>,
    pub settlements: mpsc::Sender<super::settle::Settlement>,
    /// Something is due, or will be earlier than thought.
    pub due: Notify,
    /// A destination stands in line: idle connections end.
    pub crowded: Notify,
    /// Rows may be held in our name that nobody here knows of.
    pub doubtful: AtomicBool,
    pub draining: CancellationToken,
    /// The end, at once.
    pub stopped: CancellationToken,
    pub workers: TaskTracker,
    settler: TaskTracker,
}

impl Shared {
    pub fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is known who is hosted: before that nothing is sent anywhere.
    pub fn is_ready(&self) -> bool {
        self.writer.directory.current().complete
    }

    pub fn submit(self: &Arc<Self>, accept: Accept) {
        let Some(holder) = accept.holder else {
            self.due.notify_one();
            return;
        };
        let recipients = accept.recipients.into_iter().map(Recipient::from).collect();
        self.add(accept.message, accept.envelope, recipients, holder);
    }

    /// Sorts a message's recipients by destination; each group waits there.
    pub fn add(
        self: &Arc<Self>,
        message: Arc<Message>,
        envelope: Arc<Envelope>,
        recipients: Vec<Recipient>,
        holder: Incarnation,
    ) {
        if self.draining.is_cancelled() || self.lease.current().incarnation != holder {
            return;
        }
        let snapshot = self.writer.directory.current();
        let mut groups: Vec<(Destination, Vec<Recipient>)> = Vec::new();
        for mut recipient in recipients {
            recipient.place = local::place(&snapshot, &recipient);
            let destination = match &recipient.place {
                Place::Remote(address) => Destination::Domain(address.domain().clone()),
                Place::Mailbox(_) | Place::Nowhere(_) => Destination::Local,
            };
            match groups.iter_mut().find(|(have, some)| *have == destination && some.len() < RECIPIENTS_MAX) {
                Some((_, some)) => some.push(recipient),
                None => groups.push((destination, vec![recipient])),
            }
        }
        let ticket = self.budget.ticket(&message);
        let since = self.clock.now();
        let mut told = HashSet::new();
        for (destination, recipients) in groups {
            let job = Job {
                message: message.clone(),
                envelope: envelope.clone(),
                recipients,
                holder,
                since,
                route_told: !told.insert(destination.clone()),
                ticket: ticket.clone(),
            };
            let (then, crowded) = {
                let mut line = self.line();
                (line.push(destination, job), line.is_crowded())
            };
            self.carry_out(then);
            if crowded {
                self.crowded.notify_waiters();
            }
        }
    }

    pub fn carry_out(self: &Arc<Self>, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Wake(wake) => wake.notify_one(),
            Then::Start(destination) => {
                drop(self.workers.spawn(worker::run(self.clone(), destination)));
            }
        }
    }
}
