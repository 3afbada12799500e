//! The zone that holds a name and its authoritative servers, through resolvers. Believes what they say: a split
//! horizon is what `spec.dns.verification.resolvers` is for.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::future::join_all;
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};

use super::{
    ask::{Ask, Fault},
    message,
    seen::{Server, Value},
};

/// Resolvers that are tried.
const RESOLVERS_MAX: usize = 4;
/// Labels by which a name is shortened in search of its zone.
const LABELS_MAX: usize = 16;
/// Servers of a zone that are asked: the root has 13, and more do not fit into a referral.
const SERVERS_MAX: usize = 13;
/// Addresses of one server and family that are asked.
const ADDRESSES_MAX: usize = 2;

/// Why there is no zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFound {
    /// No zone holds the name; why, in words.
    NoZone(String),
    /// No resolver answered; what happened.
    NoResolver(String),
}

/// The resolvers, the one that answered last first.
pub struct Resolvers {
    addresses: Vec<SocketAddr>,
    wait: Duration,
    good: AtomicUsize,
}

impl Resolvers {
    /// These, each of which gets so long for an answer.
    pub fn new(addresses: &[SocketAddr], wait: Duration) -> Self {
        let addresses = addresses.iter().take(RESOLVERS_MAX).copied().collect();
        Self { addresses, wait, good: AtomicUsize::new(0) }
    }

    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, NotFound> {
        let mut why = "no resolver is known: name one in /etc/resolv.conf".to_owned();
        let first = self.good.load(Ordering::Relaxed);
        for turn in 0..self.addresses.len() {
            let place = (first + turn) % self.addresses.len();
            let Some(&server) = self.addresses.get(place) else { break };
            match (Ask { server, name, kind, recursive: true, wait: self.wait }).send().await {
                Ok(answer) => match answer.metadata.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => {
                        self.good.store(place, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    code => why = format!("the resolver {server} answered {}", message::coded(code)),
                },
                Err(Fault::NoRoute) => why = format!("there is no route to the resolver {server}"),
                Err(Fault::Silent(said)) => why = format!("the resolver {server}: {said}"),
            }
        }
        Err(NotFound::NoResolver(why))
    }

    /// The zone that holds a name: the SOA record stands in the answer, or beside the answer that there is none
    /// (RFC 2308 §3).
    pub async fn zone(&self, name: &Name) -> Result<Name, NotFound> {
        let mut current = name.clone();
        for _ in 0..LABELS_MAX {
            if current.is_root() {
                break;
            }
            let answer = self.ask(&current, RecordType::SOA).await?;
            if let Some(zone) = zone_in(&answer, &current) {
                return self.registered(name, zone).await;
            }
            current = current.base_name();
        }
        Err(NotFound::NoZone("no zone above it was found".to_owned()))
    }

    /// A top-level domain is the nearest zone of each name that nobody registered.
    async fn registered(&self, name: &Name, zone: Name) -> Result<Name, NotFound> {
        if zone.is_root() {
            return Err(NotFound::NoZone("its top-level domain does not exist".to_owned()));
        }
        if zone.num_labels() > 1 || name.num_labels() < 2 {
            return Ok(zone);
        }
        let below = name.trim_to(2);
        match self.ask(&below, RecordType::SOA).await?.metadata.response_code {
            ResponseCode::NXDomain => {
                let (below, zone) = (message::plain(&below), message::plain(&zone));
                Err(NotFound::NoZone(format!("{below} does not exist in {zone}")))
            }
            _ => Ok(zone),
        }
    }

    /// The servers of a zone, one for each address; one without any where it has none.
    pub async fn servers(&self, zone: &Name) -> Result<Vec<Server>, NotFound> {
        let answer = self.ask(zone, RecordType::NS).await?;
        let named = |record: &Record| match &record.data {
            RData::NS(server) if record.name == *zone => Some(server.0.clone()),
            _ => None,
        };
        let names: BTreeSet<Name> = answer.answers.iter().filter_map(named).collect();
        let servers = join_all(names.iter().take(SERVERS_MAX).map(|name| self.addresses(name))).await;
        Ok(servers.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    async fn addresses(&self, name: &Name) -> Result<Vec<Server>, NotFound> {
        let (v4, v6) = tokio::join!(self.values(name, RecordType::A), self.values(name, RecordType::AAAA));
        // A resolver that fails for one family must not hide the other.
        let found = match (v4, v6) {
            (Err(fault), Err(_)) => return Err(fault),
            (v4, v6) => [v4.unwrap_or_default(), v6.unwrap_or_default()],
        };
        let address = |value: &Value| match value {
            Value::A(address) => Some(IpAddr::V4(*address)),
            Value::Aaaa(address) => Some(IpAddr::V6(*address)),
            _ => None,
        };
        let server = |address| Server { name: message::plain(name), address };
        let mut servers: Vec<Server> = found
            .iter()
            .flat_map(|values| values.iter().filter_map(address).take(ADDRESSES_MAX))
            .map(|address| server(Some(address)))
            .collect();
        if servers.is_empty() {
            servers.push(server(None));
        }
        Ok(servers)
    }

    /// The values of a name, its aliases followed as every resolver does.
    pub async fn values(&self, name: &Name, kind: RecordType) -> Result<Vec<Value>, NotFound> {
        let answer = self.ask(name, kind).await?;
        Ok(message::follow(&answer.answers, name.clone(), kind).1)
    }
}

/// The owner of the SOA record, where it is the name or above it.
fn zone_in(answer: &Message, name: &Name) -> Option<Name> {
    let is_soa = |record: &&Record| record.data.record_type() == RecordType::SOA;
    let own = answer.answers.iter().filter(is_soa).find(|record| record.name == *name);
    let above = answer.authorities.iter().filter(is_soa).find(|record| record.name.zone_of(name));
    own.or(above).map(|record| record.name.clone())
}
