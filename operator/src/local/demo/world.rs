//! The demo's world: a folder, a name server, two mail systems. Taken down when dropped, whatever happened.

use std::{
    fs::{self, DirBuilder},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use paquebot_mta_api::{
    address::Domain,
    config::{Delivery, Limits, Retry},
};
use uuid::Uuid;

use super::{
    DemoError,
    system::{Place, System},
    zones,
};
use crate::{
    api::MailDomain,
    cli::output::listed,
    dns::{self, Record},
    load,
    local::{
        dkim,
        nameserver::{NameServer, Zone},
        plan,
        settings::{Ports, Settings},
    },
};

/// The sender.
pub const ALICE: &str = "alice@example.com";
/// The recipient.
pub const BOB: &str = "bob@example.org";
/// Where the preferred next host of case 2 would be: nobody listens.
pub const DOWN_GATE: IpAddr = loopback(4);
/// The next host of case 3.
pub const BUSY_GATE: IpAddr = loopback(5);
/// The next host of case 6.
pub const LATE_GATE: IpAddr = loopback(6);
/// Whence the forger of case 5 comes.
pub const FORGER: IpAddr = loopback(7);

const COM: IpAddr = loopback(2);
const ORG: IpAddr = loopback(3);
const NAME_SERVER: IpAddr = loopback(1);

/// Retries of the demo: short, so that nobody waits.
const RETRY_FIRST_MILLISECONDS: u64 = 400;
const RETRY_LONGEST_MILLISECONDS: u64 = 1000;
/// Sets of ports that are tried.
const PORT_TRIES_MAX: usize = 50;

const fn loopback(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

/// All of it.
pub struct World {
    /// example.com, where alice is.
    pub com: System,
    /// example.org, where bob is.
    pub org: System,
    _names: NameServer,
    // Last, so that it goes last.
    _folder: Folder,
}

impl World {
    /// Sets it all up, and waits until both systems serve.
    pub async fn start(keep: Option<&Path>) -> Result<Self, DemoError> {
        let folder = Folder::make(keep)?;
        let ports = free_ports().map_err(DemoError::Ports)?;
        let names = NameServer::start(SocketAddr::new(NAME_SERVER, 0), &[]).await?;
        let com = include_str!("../../../../examples/demo/example.com/mail.yaml");
        let org = include_str!("../../../../examples/demo/example.org/mail.yaml");
        let com = folder.place("example.com", COM, ports, com, names.address())?;
        let org = folder.place("example.org", ORG, ports, org, names.address())?;
        let (com, org) = tokio::try_join!(System::start(com), System::start(org))?;
        names.replace(&zones_of(&[&com, &org])?)?;
        Ok(Self { com, org, _names: names, _folder: folder })
    }

    /// Where a gateway listens, and to whom it passes on.
    pub fn gate(&self, address: IpAddr) -> (SocketAddr, SocketAddr) {
        let port = self.org.place.ports.smtp;
        (SocketAddr::new(address, port), self.org.at(port))
    }

    /// Stops both systems, orderly.
    pub async fn stop(self) {
        tokio::join!(self.com.stop(), self.org.stop());
    }
}

/// What both systems want published, with the scenarios' changes, and the scenarios' own zones.
fn zones_of(systems: &[&System]) -> Result<Vec<Zone>, DemoError> {
    let mut all = zones::forged();
    all.push(zones::gates());
    for system in systems {
        let published = published(&system.place).map_err(|log| DemoError::System {
            name: system.place.name,
            what: "has no records to publish".to_owned(),
            log,
        })?;
        all.extend(published.into_iter().map(zones::with_gates));
    }
    Ok(all)
}

/// Exactly what `paquebot dns` prints, domain by domain.
fn published(place: &Place) -> Result<Vec<Zone>, String> {
    let resources = load::load(std::slice::from_ref(&place.files)).map_err(|problems| listed(&problems))?;
    let known = |it: &load::Loaded<MailDomain>| dkim::known(Some(&place.data), &it.object, &resources);
    let keys = resources.domains.iter().map(known).collect::<Result<Vec<_>, _>>().map_err(|it| it.to_string())?;
    let records = plan::records(&resources, &keys).map_err(|it| it.to_string())?;
    let zone =
        |(domain, records): (Domain, Vec<Record>)| Zone { origin: domain.to_string(), text: dns::zone_text(&records) };
    Ok(records.into_iter().map(zone).collect())
}

/// The folder of the demo: removed at its end, unless its user wants to keep it.
struct Folder {
    root: PathBuf,
    keep: bool,
}

impl Folder {
    fn make(keep: Option<&Path>) -> Result<Self, DemoError> {
        let temporary = || std::env::temp_dir().join(format!("paquebot-demo-{}", Uuid::now_v7().simple()));
        let root = keep.map_or_else(temporary, Path::to_owned);
        DirBuilder::new()
            .recursive(keep.is_some())
            .mode(0o700)
            .create(&root)
            .map_err(|source| DemoError::Io { path: root.clone(), source })?;
        match fs::read_dir(&root).map(|mut entries| entries.next().is_none()) {
            Ok(true) => Ok(Self { root, keep: keep.is_some() }),
            Ok(false) => Err(DemoError::NotEmpty(root)),
            Err(source) => Err(DemoError::Io { path: root, source }),
        }
    }

    /// Writes what a system starts from.
    fn place(
        &self,
        name: &'static str,
        address: IpAddr,
        ports: Ports,
        yaml: &str,
        resolver: SocketAddr,
    ) -> Result<Place, DemoError> {
        let root = self.root.join(name);
        let (files, settings) = (root.join("yaml"), root.join("settings.yaml"));
        let io = |source| DemoError::Io { path: root.clone(), source };
        fs::create_dir_all(&files).map_err(io)?;
        fs::write(files.join("mail.yaml"), yaml).map_err(io)?;
        let text = serde_yaml::to_string(&settings_of(address, ports, resolver)).map_err(io::Error::other);
        fs::write(&settings, text.map_err(io)?).map_err(io)?;
        let (data, log) = (root.join("data"), root.join("log.txt"));
        Ok(Place { name, address, ports, files, data, settings, log })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

fn settings_of(address: IpAddr, ports: Ports, resolver: SocketAddr) -> Settings {
    let retry =
        Retry { first_ms: RETRY_FIRST_MILLISECONDS, longest_ms: RETRY_LONGEST_MILLISECONDS, ..Retry::default() };
    let delivery = Delivery {
        port: ports.smtp,
        source_address: Some(address),
        allowed_targets: "127.0.0.0/8".parse().into_iter().collect(),
        retry,
        ..Delivery::default()
    };
    let limits = Limits { drain_seconds: 2, ..Limits::default() };
    Settings { ports, resolvers: vec![resolver], delivery, limits }
}

/// The usual ports where they are free on all addresses, others where they are not.
fn free_ports() -> io::Result<Ports> {
    let usual = Ports::default();
    if usual.all().into_iter().all(|port| is_free(port).is_ok()) {
        return Ok(usual);
    }
    let mut found = Vec::new();
    let mut last = io::Error::other("none found");
    for _ in 0..PORT_TRIES_MAX {
        let port = TcpListener::bind((COM, 0))?.local_addr()?.port();
        match is_free(port) {
            Ok(()) if !found.contains(&port) => found.push(port),
            Ok(()) => {}
            Err(error) => last = error,
        }
        if let [smtp, submission, submissions, pop3, pop3s, metrics] = found.as_slice() {
            let (smtp, submission, submissions) = (*smtp, *submission, *submissions);
            return Ok(Ports { smtp, submission, submissions, pop3: *pop3, pop3s: *pop3s, metrics: *metrics });
        }
    }
    Err(last)
}

fn is_free(port: u16) -> io::Result<()> {
    [COM, ORG, DOWN_GATE, BUSY_GATE, LATE_GATE].into_iter().try_for_each(|at| TcpListener::bind((at, port)).map(drop))
}
