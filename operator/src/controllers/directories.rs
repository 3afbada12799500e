//! One engine a MailServer: gets what the directory is to be, gives what it is; and where passwords come from.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod as ClusterPod;
use kube::Client;
use paquebot_mta_api::address::Address;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    secrets::read,
    state::State,
    table::Name,
    world::{Key, World, unreadable},
};
use crate::{
    api::{MailServer, Mailbox},
    directory::{Desired, Engine, Password, Passwords, Pod, PodState, Report, Shared, Target, Wanted},
    domain::ids,
    mailbox::password,
    server::{build::names, ports::ADMIN_PORT},
};

/// The annotation by which a person confirms that many deletions.
pub const CONFIRM: &str = "paquebot.dev/confirm-deletion";

struct Running {
    uid: Uuid,
    target: watch::Sender<Target>,
    report: watch::Receiver<Report>,
    engine: Engine,
    _follow: AbortOnDropHandle<()>,
}

/// The engines.
pub struct Directories {
    world: Arc<World>,
    state: Arc<State>,
    shared: Arc<Shared>,
    running: Mutex<HashMap<Name, Running>>,
}

impl Directories {
    /// None runs yet.
    pub fn new(world: Arc<World>, state: Arc<State>, shared: Arc<Shared>) -> Self {
        Self { world, state, shared, running: Mutex::default() }
    }

    /// What is known of a MailServer's directory.
    pub fn report(&self, server: &Name) -> Report {
        self.lock().get(server).map(|it| it.report.borrow().clone()).unwrap_or_default()
    }

    /// Ends a MailServer's engine.
    pub fn forget(&self, server: &Name) {
        self.lock().remove(server);
    }

    /// Tells a MailServer's engine what the directory is to be now; starts it where it does not run.
    pub fn update(&self, name: &Name) {
        let Some(server) = self.world.servers.get(name) else { return self.forget(name) };
        let target = self.target(name, &server);
        let uid = target.server;
        let mut running = self.lock();
        match running.get(name) {
            Some(it) if it.uid == uid && it.engine.is_running() => drop(it.target.send_replace(target)),
            _ => {
                let (sender, targets) = watch::channel(target);
                let engine = Engine::start(self.shared.clone(), targets);
                let report = engine.report();
                let follow = follow(name.clone(), report.clone(), self.world.clone());
                let follow = AbortOnDropHandle::new(tokio::spawn(follow));
                running.insert(name.clone(), Running { uid, target: sender, report, engine, _follow: follow });
            }
        }
    }

    fn target(&self, name: &Name, server: &MailServer) -> Target {
        let (mut wanted, mut existing, mut keep): (Vec<Wanted>, HashSet<Uuid>, Vec<(Uuid, String)>) =
            Default::default();
        let mut incomplete: HashMap<Uuid, Arc<HashSet<Uuid>>> = HashMap::new();
        let mut namespaces: HashMap<String, HashSet<Uuid>> = HashMap::new();
        let (mut all_known, mut generations) = (true, HashMap::new());
        for domain in self.domains(name) {
            let Some(resource) = self.world.domains.get(&domain) else { continue };
            let own = ids::uid(&*resource);
            let mut stays = |owner| {
                Arc::make_mut(incomplete.entry(owner).or_default()).insert(own);
            };
            let mailboxes = self.mailboxes(&domain);
            let staying = || mailboxes.iter().filter(|it| is_there(it)).map(|it| ids::uid(&**it));
            existing.insert(own);
            existing.extend(mailboxes.iter().map(|it| ids::uid(&**it)));
            namespaces.entry(domain.namespace.clone()).or_default().insert(own);
            match self.state.domain(&domain).filter(|state| state.is_for(name, own)) {
                Some(state) => {
                    if state.incomplete {
                        let owners = state.wanted.iter().map(|it| it.entry.owner);
                        // Entries of those that nobody has looked at yet stay too; one that is being deleted goes.
                        owners.chain(staying()).chain([own]).for_each(&mut stays);
                    }
                    state.unknown.into_iter().for_each(stays);
                    generations.extend(state.generations);
                    keep.extend(state.keep.into_iter().map(|key| (own, key)));
                    wanted.extend(state.wanted);
                }
                // It is being deleted, however long others hold it: it wants nothing more.
                None if resource.metadata.deletion_timestamp.is_some() => {}
                // It waits for its first key, say: what the directory has of it stays.
                None => {
                    all_known = false;
                    staying().chain([own]).for_each(stays);
                }
            }
        }
        // An address that cannot be read any more was one of any of these, perhaps.
        for (namespace, domains) in namespaces {
            let (unreadable, domains) = (self.mailboxes(&unreadable(&namespace)), Arc::new(domains));
            existing.extend(unreadable.iter().map(|it| ids::uid(&**it)));
            let staying = unreadable.iter().filter(|it| is_there(it));
            incomplete.extend(staying.map(|it| (ids::uid(&**it), domains.clone())));
        }
        let desired = Desired::new(wanted, existing, incomplete).keeping(keep).of(generations);
        let confirmed = server.metadata.annotations.as_ref().and_then(|all| all.get(CONFIRM)?.parse().ok());
        Target {
            server: ids::uid(server),
            pods: reached_pods(&self.world, name),
            desired: Arc::new(desired),
            watches_synced: self.world.is_synced(),
            all_known,
            gone: self.world.gone(),
            confirmed,
        }
    }

    fn mailboxes(&self, domain: &Name) -> Vec<Arc<Mailbox>> {
        let names = self.world.mailboxes_of_domain.with(domain);
        names.iter().filter_map(|it| self.world.mailboxes.get(it)).collect()
    }

    /// The domains of a MailServer, older ones first: they come first where two want the same name.
    fn domains(&self, server: &Name) -> Vec<Name> {
        let mut domains = self.world.domains_of_server.with(server);
        domains.sort_by_cached_key(|it| self.world.domains.get(it).map(|it| crate::domain::claims::precedence(&*it)));
        domains
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_there(mailbox: &Mailbox) -> bool {
    mailbox.metadata.deletion_timestamp.is_none()
}

/// The pods of a MailServer, by name.
pub fn pods(world: &World, server: &Name) -> Vec<ClusterPod> {
    let Some(table) = world.owned.get("Pod") else { return Vec::new() };
    let base = names(&MailServer::new(&server.name, Default::default())).base;
    let mine = table.find(|name, it| name.namespace == server.namespace && it.instance.as_ref() == Some(&base));
    let mut pods: Vec<ClusterPod> = mine.iter().filter_map(|(_, it)| it.typed()).collect();
    pods.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    pods
}

/// The pods of a MailServer that have an address.
pub fn reached_pods(world: &World, server: &Name) -> Vec<Pod> {
    pods(world, server).iter().filter_map(reached).collect()
}

fn reached(pod: &ClusterPod) -> Option<Pod> {
    let status = pod.status.as_ref()?;
    let address = status.pod_ip.as_ref()?.parse().ok()?;
    let ready = status.conditions.iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True");
    Some(Pod {
        uid: pod.metadata.uid.clone()?,
        name: pod.metadata.name.clone()?,
        address: SocketAddr::new(address, ADMIN_PORT),
        ready: ready && pod.metadata.deletion_timestamp.is_none(),
    })
}

/// Whoever is concerned by a report looks at it.
async fn follow(server: Name, mut reports: watch::Receiver<Report>, world: Arc<World>) {
    let mut before = Report::default();
    while reports.changed().await.is_ok() {
        let now = reports.borrow_and_update().clone();
        if now == before {
            continue;
        }
        world.queue.add(Key::Server(server.clone()));
        // Only who is concerned: who is served now and was not, or the other way round, or has another holder or fault;
        // all of them where the directory as a whole turned.
        let all = now.problem != before.problem
            || now.compared != before.compared
            || now.to_confirm != before.to_confirm
            || lagging(&now) != lagging(&before);
        let concerned = |uid: Uuid| {
            all || now.programmed.get(&uid) != before.programmed.get(&uid)
                || now.failed.get(&uid) != before.failed.get(&uid)
                || now.incomplete.contains(&uid) != before.incomplete.contains(&uid)
                || has_conflict(&now, uid) != has_conflict(&before, uid)
        };
        for domain in world.domains_of_server.with(&server) {
            let moved = |uid: Uuid| match domain.name.parse() {
                Ok(name) => {
                    now.holders.get(&name) != before.holders.get(&name)
                        || now.sealed_of(&domain.name, uid) != before.sealed_of(&domain.name, uid)
                }
                Err(_) => false,
            };
            if world.domains.get(&domain).map(|it| ids::uid(&*it)).is_some_and(|uid| concerned(uid) || moved(uid)) {
                world.queue.add(Key::Domain(domain.clone()));
            }
            for mailbox in world.mailboxes_of_domain.with(&domain) {
                if world.mailboxes.get(&mailbox).is_some_and(|it| concerned(ids::uid(&*it))) {
                    world.queue.add(Key::Mailbox(mailbox));
                }
            }
        }
        before = now;
    }
}

fn has_conflict(report: &Report, owner: Uuid) -> bool {
    report.conflicts.contains_key(&owner)
}

/// The pods that do not serve what they should.
fn lagging(report: &Report) -> Vec<&String> {
    let current = |state: &PodState| matches!(state, PodState::Serves { current: true, .. });
    report.pods.iter().filter(|(_, state)| !current(state)).map(|(uid, _)| uid).collect()
}

/// Passwords out of Secrets, read at the moment in which their keys are derived.
pub struct FromSecrets {
    /// The API server's client.
    pub client: Client,
    /// Says where each lies.
    pub state: Arc<State>,
    /// With which passwords are digested.
    pub digest_key: Arc<[u8]>,
}

impl Passwords for FromSecrets {
    fn password(&self, owner: Uuid, address: Address) -> BoxFuture<'_, Result<Password, String>> {
        Box::pin(async move {
            let login = self.state.login(owner, &address);
            let login =
                login.ok_or_else(|| format!("the password of {address} has no Secret yet: it is being made"))?;
            let name = Name::new(login.namespace, login.reference.name.clone());
            let secret = read(&self.client, &name).await.map_err(|error| error.to_string())?;
            let data = secret.and_then(|it| it.data);
            let password = password::read(&login.reference, data.as_ref()).map_err(|fault| fault.to_string())?;
            Ok(Password { text: password.reveal().to_owned(), digest_key: self.digest_key.clone() })
        })
    }
}
