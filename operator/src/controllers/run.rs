//! The operator as a process: watches from the start, workers while we lead, until it is told to end.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use k8s_openapi::jiff::Timestamp;
use kube::{Client, Config};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    admission::{self, Admission},
    apply::{ApiError, Applier},
    authority::{self, Authorities},
    checks::NameServers,
    client::{Activity, client},
    context::{Context, Fault},
    directories::{Directories, FromSecrets},
    domain,
    events::Events,
    health::{Health, bind, serve},
    leader::{Elector, Leadership},
    mailbox,
    making::Making,
    own,
    queue::Done,
    secrets::Secrets,
    server,
    state::State,
    status::Statuses,
    watches::Watches,
    world::{Key, World},
};
use crate::{directory::Shared, settings::Settings};

/// Resources that are reconciled at once.
const WORKERS: usize = 8;
/// Between two looks whether the watches have listed everything.
const SYNC_PERIOD: Duration = Duration::from_millis(50);
/// Between two tries to begin to lead.
const BEGIN_PAUSE: Duration = Duration::from_secs(5);
/// Before a reconcile that found the lease in doubt is tried again, where the term goes on after all.
const NOT_LEADING_PAUSE: Duration = Duration::from_secs(1);
/// Tasks get that long to end.
const END_SECONDS: Duration = Duration::from_secs(5);

/// Why the operator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No client.
    #[error("the API server's client cannot be made: {0}: look at the kubeconfig")]
    Client(#[from] kube::Error),
    /// No metrics listener.
    #[error(transparent)]
    Health(#[from] super::health::HealthError),
}

/// Runs until `closing`.
///
/// # Errors
/// It cannot start.
pub async fn run(settings: Settings, config: Config, closing: CancellationToken) -> Result<(), StartError> {
    let activity = Activity::default();
    let client = client(config, &activity)?;
    let namespaces = match settings.watch_namespaces.as_slice() {
        [] => vec![String::new()],
        some => some.to_vec(),
    };
    let world = Arc::new(World::new(&namespaces));
    let tasks = TaskTracker::new();
    let me = format!("{}-{}", hostname(), Uuid::new_v4().simple());
    let (elector, leadership) = Elector::new(client.clone(), &settings.namespace, me.clone());
    let health = Health::new(activity.clone(), world.clone(), leadership.clone())?;
    if let Some(address) = settings.metrics {
        tasks.spawn(serve(bind(address, "metrics").await?, health.clone(), closing.clone()));
    }
    let admission = Arc::new(Admission::new(world.clone()));
    if let Some(webhook) = &settings.webhook {
        let listener = bind(webhook.address, "the webhook").await?;
        let (admission, settings) = (admission.clone(), settings.clone());
        tasks.spawn(admission::serve(listener, admission, client.clone(), settings, closing.clone()));
    }
    let watches = Watches {
        client: client.clone(),
        world: world.clone(),
        activity,
        closing: closing.clone(),
        tasks: tasks.clone(),
    };
    watches.start(&namespaces);
    watches.own(&settings.namespace, &[authority::SECRET, own::DIGEST_SECRET], settings.webhook.is_some());
    // The lease is given back last: nobody else may write before we have ended.
    let giving_back = CancellationToken::new();
    let election = tokio::spawn(elect(elector, world.clone(), giving_back.clone()));
    let operator = Operator { settings, client, world, leadership, me, health, admission };
    operator.lead(closing).await;
    giving_back.cancel();
    let _ = tokio::time::timeout(END_SECONDS, election).await;
    tasks.close();
    let _ = tokio::time::timeout(END_SECONDS, tasks.wait()).await;
    Ok(())
}

/// Takes part as soon as everything was listed: who knows nothing must not keep the lease from those who do.
async fn elect(elector: Elector, world: Arc<World>, ending: CancellationToken) {
    let synced = async {
        while !world.is_synced() {
            tokio::time::sleep(SYNC_PERIOD).await;
        }
    };
    if ending.run_until_cancelled(synced).await.is_some() {
        elector.run(ending).await;
    }
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "operator".to_owned(), |it| it.trim().to_owned())
}

struct Operator {
    settings: Settings,
    client: Client,
    world: Arc<World>,
    leadership: Leadership,
    me: String,
    health: Health,
    admission: Arc<Admission>,
}

impl Operator {
    /// Leads whenever it may.
    async fn lead(self, closing: CancellationToken) {
        while closing.run_until_cancelled(self.leadership.gained()).await.is_some() {
            let Some(term) = self.leadership.this_term() else { continue };
            match closing.run_until_cancelled(self.context(&term)).await {
                Some(Ok(context)) => self.term(context, &term, &closing).await,
                Some(Err(fault)) => {
                    tracing::warn!(%fault, "cannot begin to lead: trying again");
                    let _ = closing.run_until_cancelled(tokio::time::sleep(BEGIN_PAUSE)).await;
                }
                None => return,
            }
        }
    }

    /// One term, to the end of all that works in it: nothing of it is left when the next begins, or when the lease is
    /// given back.
    async fn term(&self, context: Context, term: &Leadership, closing: &CancellationToken) {
        let (ending, tasks) = (CancellationToken::new(), TaskTracker::new());
        let context = Arc::new(context);
        self.admission.leads(&context);
        work(&context, &self.health, &ending, &tasks);
        drop(context);
        tokio::select! {
            () = closing.cancelled() => {}
            () = term.lost() => tracing::warn!("stops writing: the lease is lost or in doubt"),
        }
        ending.cancel();
        tasks.close();
        tasks.wait().await;
    }

    async fn context(&self, term: &Leadership) -> Result<Context, Fault> {
        let (world, client) = (self.world.clone(), self.client.clone());
        let applier = Arc::new(Applier::new(client.clone(), term.clone(), world.applied()));
        let state = Arc::new(State::default());
        let authorities = Authorities::open(applier.clone(), &self.settings.namespace, Timestamp::now()).await?;
        let digest_key = own::digest_key(&applier, &self.settings.namespace).await?;
        let leadership = term.clone();
        let from_secrets = FromSecrets { client: client.clone(), state: state.clone(), digest_key: digest_key.clone() };
        let shared = Shared::new(authorities.identity(), Arc::new(move || leadership.epoch()), Arc::new(from_secrets));
        Ok(Context {
            settings: self.settings.clone(),
            directories: Directories::new(world.clone(), state.clone(), Arc::new(shared)),
            name_servers: NameServers::new(world.clone()),
            events: Events::new(client.clone(), self.me.clone()),
            keys: Secrets::new(client.clone(), world.clone()),
            data: Secrets::new(client.clone(), world.clone()),
            passwords: Secrets::new(client, world.clone()),
            making: Making::default(),
            statuses: Statuses::default(),
            applier,
            authorities,
            state,
            digest_key,
            world,
        })
    }
}

/// Works until `ending`.
fn work(context: &Arc<Context>, health: &Health, ending: &CancellationToken, tasks: &TaskTracker) {
    context.world.everything();
    tasks.spawn(context.name_servers.clone().run(ending.clone()));
    tasks.spawn(ending.clone().run_until_cancelled_owned(own::keep(context.clone())));
    tasks.spawn(ending.clone().run_until_cancelled_owned(make_keys(context.clone())));
    for _ in 0..WORKERS {
        tasks.spawn(worker(context.clone(), health.clone(), ending.clone()));
    }
}

async fn make_keys(context: Arc<Context>) {
    context.making.run(|domain| context.world.queue.add(Key::Domain(domain))).await;
}

async fn worker(context: Arc<Context>, health: Health, ending: CancellationToken) {
    loop {
        let key = tokio::select! {
            key = context.world.queue.next() => key,
            () = ending.cancelled() => return,
        };
        let done = tokio::select! {
            (done, result) = outcome(&key, reconcile(&context, &key)) => {
                result.into_iter().for_each(|it| health.reconciled(it));
                done
            }
            () = ending.cancelled() => Done::Settled,
        };
        context.world.queue.done(key, done, rand::random());
    }
}

/// What became of a reconcile, and how it is counted. A panic ends this one only.
async fn outcome(key: &Key, reconcile: impl Future<Output = Result<Done, Fault>>) -> (Done, Option<&'static str>) {
    match AssertUnwindSafe(reconcile).catch_unwind().await {
        // What failed and was said in a status has been logged.
        Ok(Ok(done)) => (done, Some(if done == Done::Failed { "failed" } else { "done" })),
        // The term ends now, or its lease was renewed late.
        Ok(Err(Fault::Api(ApiError::NotLeading))) => (Done::After(NOT_LEADING_PAUSE), None),
        Ok(Err(fault)) => {
            tracing::warn!(?key, %fault, "a reconcile failed: it is tried again, later each time");
            (Done::Failed, Some("failed"))
        }
        Err(_) => {
            tracing::error!(?key, "a reconcile panicked: it is tried again, later each time");
            (Done::Failed, Some("panicked"))
        }
    }
}

async fn reconcile(context: &Context, key: &Key) -> Result<Done, Fault> {
    match key {
        Key::Server(name) => server::reconcile(context, name).await,
        Key::Domain(name) => domain::reconcile(context, name).await,
        Key::Mailbox(name) => mailbox::reconcile(context, name).await,
        Key::Directory(name) => {
            context.directories.update(name);
            Ok(Done::Settled)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::table::Name, *};

    #[tokio::test]
    async fn what_becomes_of_a_reconcile() {
        let key = Key::Domain(Name::new("mail", "example.com"));
        let panics = async { panic!("a bug") };
        assert_eq!(outcome(&key, panics).await, (Done::Failed, Some("panicked")));
        let fails = async { Err(Fault::System("no randomness")) };
        assert_eq!(outcome(&key, fails).await, (Done::Failed, Some("failed")));
        let said = async { Ok(Done::Failed) };
        assert_eq!(outcome(&key, said).await, (Done::Failed, Some("failed")));
        let deposed = async { Err(Fault::Api(ApiError::NotLeading)) };
        assert_eq!(outcome(&key, deposed).await, (Done::After(NOT_LEADING_PAUSE), None));
        assert_eq!(outcome(&key, async { Ok(Done::Settled) }).await, (Done::Settled, Some("done")));
    }
}
