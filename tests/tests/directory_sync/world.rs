//! Pods, an authority, entries, and an engine with a quick pace.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use k8s_openapi::jiff::Timestamp;
use paquebot::{
    directory::{
        Desired, Engine, Password, Passwords, Pod, Report, Shared, Target, Wanted, client::Identity, engine::Pace,
        target::Leadership,
    },
    pki::{Authority, Credentials, Holder},
};
use paquebot_mta::{
    serve::Server,
    store::{DirectorySet, Store},
};
use paquebot_mta_api::{
    address::Address,
    config::{self, Config},
    directory::*,
};
use tempfile::TempDir;
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

/// Nothing in a test takes longer.
pub const WAIT_MAX: Duration = Duration::from_secs(120);
/// The MailServer.
pub const SERVER: Uuid = Uuid::from_u128(0x5e7);

pub fn uid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A running pod.
pub struct Served {
    pub server: Server,
    pub folder: TempDir,
    uid: Uuid,
}

/// Writes a pod's certificate, key and authorities.
pub fn write(folder: &Path, credentials: &Credentials) {
    std::fs::write(folder.join("ca.crt"), &credentials.bundle).unwrap();
    std::fs::write(folder.join("tls.key"), &credentials.pair.key).unwrap();
    std::fs::write(folder.join("tls.crt"), &credentials.pair.certificate).unwrap();
}

fn config(folder: &Path, server: Uuid) -> Config {
    Config {
        version: config::CONFIG_VERSION,
        hostname: "mail.example.org".parse().unwrap(),
        listeners: Vec::new(),
        tls: None,
        store: config::Store::Sqlite { directory: folder.join("store"), seal_key: folder.join("seal.key") },
        metrics: None,
        admin_socket: None,
        admin: Some(config::Admin {
            address: "127.0.0.1:0".parse().unwrap(),
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
            client_authority: folder.join("ca.crt"),
            server,
        }),
        resolvers: vec!["127.0.0.1:9".parse().unwrap()],
        delivery: config::Delivery::default(),
        limits: config::Limits::default(),
    }
}

impl Served {
    /// A pod of this MailServer, on this store or one of its own in the folder.
    pub async fn start(authority: &Authority, server: Uuid, folder: TempDir, store: Option<Store>) -> Self {
        let credentials = authority.credentials(&Holder::Server(server), None, now()).unwrap().unwrap();
        write(folder.path(), &credentials);
        let config = config(folder.path(), server);
        let server = match store {
            Some(store) => Server::start_on(config, store).await.unwrap(),
            None => Server::start(config).await.unwrap(),
        };
        Self { server, folder, uid: Uuid::now_v7() }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.admin_address().unwrap()
    }

    pub fn pod(&self, ready: bool) -> Pod {
        let uid = self.uid.to_string();
        Pod { name: format!("pod-{uid}"), uid, address: self.address(), ready }
    }

    /// What its store has.
    pub async fn directory(&self) -> DirectorySet {
        self.server.store().directory().await.unwrap()
    }

    pub async fn keys(&self) -> Vec<String> {
        self.directory().await.entries.iter().map(|it| it.value.key()).collect()
    }
}

/// Passwords by address.
#[derive(Default)]
pub struct Book(pub Mutex<HashMap<String, String>>);

pub const DIGEST_KEY: &[u8] = b"the writer's own";

impl Passwords for Book {
    fn password(&self, _owner: Uuid, address: Address) -> BoxFuture<'_, Result<Password, String>> {
        let text = self.0.lock().unwrap().get(&address.to_string()).cloned();
        let password = text.map(|text| Password { text, digest_key: DIGEST_KEY.into() });
        Box::pin(async move { password.ok_or_else(|| format!("make the Secret with the password of {address}")) })
    }
}

/// An authority, the operator's side, an engine.
pub struct World {
    pub authority: Authority,
    pub identity: Arc<Identity>,
    pub book: Arc<Book>,
}

pub const QUICK: Pace = Pace {
    gather: Duration::from_millis(1),
    soon: Duration::from_millis(20),
    seldom: Duration::from_millis(200),
    compare: Duration::from_millis(400),
    backoff_max: Duration::from_millis(200),
};

impl World {
    pub fn new() -> Self {
        let authority = Authority::make(now()).unwrap();
        let own = authority.credentials(&Holder::Operator, None, now()).unwrap().unwrap();
        Self { authority, identity: Arc::new(Identity::new(&own).unwrap()), book: Arc::default() }
    }

    pub async fn pod(&self) -> Served {
        Served::start(&self.authority, SERVER, tempfile::tempdir().unwrap(), None).await
    }

    /// An engine of a process that leads with this epoch.
    pub fn engine(&self, epoch: u64, target: Target) -> Running {
        self.engine_led(Arc::new(move || Some(epoch)), target, QUICK)
    }

    pub fn engine_led(&self, leadership: Arc<dyn Leadership>, target: Target, pace: Pace) -> Running {
        let mut shared = Shared::new(self.identity.clone(), leadership, self.book.clone());
        shared.pace = pace;
        let (targets, receiver) = watch::channel(target);
        let engine = Engine::start(Arc::new(shared), receiver);
        Running { report: engine.report(), targets, engine }
    }
}

pub struct Running {
    pub targets: watch::Sender<Target>,
    pub report: watch::Receiver<Report>,
    pub engine: Engine,
}

impl Running {
    /// The first report from now on of which this holds.
    pub async fn until(&mut self, what: &str, condition: impl FnMut(&Report) -> bool) -> Report {
        match timeout(WAIT_MAX, self.report.wait_for(condition)).await {
            Ok(report) => report.unwrap().clone(),
            Err(_) => panic!("{what}: {:?}", *self.engine.report().borrow()),
        }
    }

    pub async fn programmed(&mut self, what: &str, owners: &[u128]) -> Report {
        let wanted: HashSet<Uuid> = owners.iter().map(|it| uid(*it)).collect();
        self.until(what, |report| {
            report.problem.is_none() && report.programmed.keys().copied().collect::<HashSet<_>>() == wanted
        })
        .await
    }
}

pub fn target(pods: Vec<Pod>, desired: Desired) -> Target {
    Target {
        server: SERVER,
        pods,
        desired: Arc::new(desired),
        watches_synced: true,
        all_known: true,
        gone: Arc::default(),
        confirmed: None,
    }
}

pub fn domain(owner: u128, name: &str) -> Wanted {
    let value = DomainEntry { domain: name.parse().unwrap(), id: uid(owner), catch_all: None };
    Entry::new(uid(owner), Value::Domain(value)).into()
}

/// Wanted by this owner, by right of this MailDomain.
pub fn alias(owner: u128, domain: u128, name: &str, to: &str) -> Wanted {
    let value = AliasEntry { address: name.parse().unwrap(), to: vec![to.parse().unwrap()] };
    Wanted { entry: Entry::new(uid(owner), Value::Alias(value)), domain: uid(domain) }
}

pub fn mailbox(owner: u128, domain: u128, address: &str, password: &str) -> Wanted {
    let login = Some(LoginKeys::underived(LoginKeys::digest(password, DIGEST_KEY)));
    let value =
        MailboxEntry { address: address.parse().unwrap(), account: uid(owner + 1000), quota_bytes: None, login };
    Wanted { entry: Entry::new(uid(owner), Value::Mailbox(value)), domain: uid(domain) }
}

pub fn desired(wanted: Vec<Wanted>) -> Desired {
    Desired::new(wanted, HashSet::new(), HashMap::new())
}
