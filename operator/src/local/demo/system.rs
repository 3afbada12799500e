//! One mail system of the demo: `paquebot up` in a process of its own, on a loopback address of its own.
//!
//! The child ends when this does, also when the demo is killed: its standard input closes.

use std::{
    fs::File,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use paquebot_mta_api::journey::{Event, Queued, Step};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::{
    DemoError,
    mua::{Line, MuaError, User},
};
use crate::{
    cli::{journey::Stop, queue::Page, socket},
    local::{data, settings::Ports},
};

/// How long a condition may take to come true.
const WAIT_SECONDS: u64 = 8;
/// How often it is looked at.
const LOOK_MILLISECONDS: u64 = 20;
/// Characters of the child's log that an error shows.
const LOG_CHARACTERS_MAX: usize = 3000;

/// Where one system's parts are.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its mail domain.
    pub name: &'static str,
    /// Its address.
    pub address: IpAddr,
    /// Its ports.
    pub ports: Ports,
    /// Its YAML.
    pub files: PathBuf,
    /// Its data directory.
    pub data: PathBuf,
    /// Its process settings.
    pub settings: PathBuf,
    /// What it printed.
    pub log: PathBuf,
}

/// A mail system; stopped when dropped.
pub struct System {
    /// Where its parts are.
    pub place: Place,
    child: Option<Child>,
}

impl System {
    /// Starts it, and waits until it serves.
    pub async fn start(place: Place) -> Result<Self, DemoError> {
        let mut system = Self { place, child: None };
        system.restart().await?;
        Ok(system)
    }

    /// Starts it again after [`System::kill`].
    pub async fn restart(&mut self) -> Result<(), DemoError> {
        let place = &self.place;
        let io = |source| DemoError::Io { path: place.log.clone(), source };
        let log = File::options().create(true).append(true).open(&place.log).map_err(io)?;
        let program = std::env::current_exe().map_err(io)?;
        let child = Command::new(program)
            .arg("up")
            .arg("--file")
            .arg(&place.files)
            .arg("--data")
            .arg(&place.data)
            .arg("--address")
            .arg(place.address.to_string())
            .arg("--settings")
            .arg(&place.settings)
            .arg("--until-stdin-closes")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(io)?)
            .stderr(log)
            // Ctrl-C at the terminal is the demo's to handle.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(io)?;
        self.child = Some(child);
        self.serving().await
    }

    async fn serving(&mut self) -> Result<(), DemoError> {
        let until = Instant::now() + Duration::from_secs(WAIT_SECONDS);
        loop {
            let ended = match self.child.as_mut() {
                Some(child) => child.try_wait().ok().flatten(),
                None => None,
            };
            if let Some(status) = ended {
                return Err(self.fault(&format!("ended with {status}")));
            }
            let listens = TcpStream::connect(self.at(self.place.ports.pop3s)).await.is_ok();
            if listens && self.events("none").await.is_ok() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(self.fault("does not serve"));
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MILLISECONDS)).await;
        }
    }

    fn fault(&self, what: &str) -> DemoError {
        let log = std::fs::read_to_string(&self.place.log).unwrap_or_default();
        let skip = log.chars().count().saturating_sub(LOG_CHARACTERS_MAX);
        DemoError::System { name: self.place.name, what: what.to_owned(), log: log.chars().skip(skip).collect() }
    }

    /// SIGKILL: nothing of the process runs on.
    pub async fn kill(&mut self) -> Result<(), DemoError> {
        if let Some(mut child) = self.child.take() {
            child.kill().await.map_err(|source| DemoError::Io { path: self.place.log.clone(), source })?;
        }
        Ok(())
    }

    /// As at the demo's end: its input closes, it drains and ends.
    pub async fn stop(mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            if tokio::time::timeout(Duration::from_secs(WAIT_SECONDS), child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }

    /// One of its ports.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.place.address, port)
    }

    /// A user with the password that the system generated.
    pub fn user(&self, address: &str) -> Result<User, DemoError> {
        let path = self.place.data.join("passwords");
        let known: std::collections::BTreeMap<String, String> = data::read(&path)
            .ok()
            .flatten()
            .and_then(|octets| serde_yaml::from_slice(&octets).ok())
            .unwrap_or_default();
        match known.get(address) {
            Some(password) => Ok(User { address: address.to_owned(), password: password.clone() }),
            None => Err(self.fault(&format!("has no password for {address}"))),
        }
    }

    fn certificate(&self) -> PathBuf {
        self.place.data.join("tls").join("certificate.pem")
    }

    /// A connection for submission, over TLS.
    pub async fn submission(&self) -> Result<Line, MuaError> {
        Line::tls(self.at(self.place.ports.submissions), &self.certificate()).await
    }

    /// A connection for reading, over TLS.
    pub async fn pop3(&self) -> Result<Line, MuaError> {
        Line::tls(self.at(self.place.ports.pop3s), &self.certificate()).await
    }

    /// What it knows of a message.
    pub async fn events(&self, id: &str) -> Result<Vec<Stop>, socket::SocketError> {
        let path = data::socket(&self.place.data);
        let events: Option<Vec<Event>> = socket::get(&path, "/v1/journey", &[("message-id", id)]).await?;
        let place = self.place.name.to_owned();
        Ok(events.unwrap_or_default().into_iter().map(|event| Stop { place: place.clone(), event }).collect())
    }

    /// The first page of its queue.
    pub async fn queue(&self) -> Result<Vec<Queued>, socket::SocketError> {
        let page: Option<Page> = socket::get(&data::socket(&self.place.data), "/v1/queue", &[]).await?;
        Ok(page.map(|page| page.items).unwrap_or_default())
    }
}

/// Whether a journey has all of these steps: the sender may note its last one after the receiver.
pub fn has(stops: &[Stop], steps: &[Step]) -> bool {
    steps.iter().all(|step| stops.iter().any(|stop| stop.event.step == *step))
}

/// What all systems know of a message, as soon as `enough` says so, or what they know when the wait is over.
pub async fn journey(systems: &[&System], id: &str, enough: impl Fn(&[Stop]) -> bool) -> Result<Vec<Stop>, DemoError> {
    let look = async || {
        let mut stops = Vec::new();
        for system in systems {
            stops.extend(system.events(id).await?);
        }
        Ok(stops)
    };
    let whole = until(async || look().await.map(|stops| enough(&stops).then_some(stops))).await?;
    match whole {
        Some(stops) => Ok(stops),
        None => look().await,
    }
}

/// The queue's row of a message, as soon as it is as wanted.
pub async fn queued(system: &System, id: &str, wanted: impl Fn(&Queued) -> bool) -> Result<Option<Queued>, DemoError> {
    until(async || {
        let rows = system.queue().await?;
        Ok(rows.into_iter().find(|row| row.message_id == id && wanted(row)))
    })
    .await
}

/// Looks until there is something, or the wait is over.
pub async fn until<T>(look: impl AsyncFn() -> Result<Option<T>, DemoError>) -> Result<Option<T>, DemoError> {
    let until = Instant::now() + Duration::from_secs(WAIT_SECONDS);
    loop {
        let found = look().await?;
        if found.is_some() || Instant::now() > until {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MILLISECONDS)).await;
    }
}
