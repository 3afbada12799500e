//! Where mail for a domain goes: DNS answers in, ordered targets or a reason out (RFC 5321 §5.1).
//!
//! Pure: it asks nothing itself. [`exchangers`] says whose addresses are to be looked up, [`targets`]
//! what follows from them. Hosted domains never come here.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use paquebot_mta_api::address::Domain;
use paquebot_proto::EnhancedCode;

use super::target;
use crate::dns::{Answer, Mx};

/// Exchangers of one domain that are looked up at most: the preferred ones (RFC 5321 §5.1 allows a limit).
pub const EXCHANGERS_MAX: usize = 10;
/// Addresses of one exchanger that are tried at most.
pub const ADDRESSES_PER_EXCHANGER_MAX: usize = 4;
/// Connections that one pass over a domain's hosts tries at most (RFC 5321 §5.1: at least two addresses).
pub const TARGETS_MAX: usize = 12;

/// A host that takes the domain's mail, as DNS names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanger {
    /// Lower is tried first.
    pub preference: u16,
    /// Its name.
    pub host: String,
}

/// One place to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host's name: for TLS and for people.
    pub host: String,
    /// Its address.
    pub address: IpAddr,
}

/// Who we are, so that we never send to ourselves.
#[derive(Debug, Clone)]
pub struct Ourselves {
    /// The name in our greeting.
    pub hostname: Domain,
    /// Addresses at which we listen for mail on the port that next hosts use.
    pub addresses: Vec<IpAddr>,
}

/// Why there is no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unroutable {
    /// What the status says; class 4: it may be routable later.
    pub status: EnhancedCode,
    /// In words.
    pub reason: String,
}

impl Unroutable {
    fn new(status: EnhancedCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// Whether it will never be routable as things stand.
    pub fn is_permanent(&self) -> bool {
        self.status.0 == 5
    }
}

/// The exchangers whose addresses are to be looked up, in the order in which they are tried.
///
/// `dice` shuffles among equals (RFC 5321 §5.1: MUST be randomised): one throw an exchanger, missing ones count as 0.
pub fn exchangers(domain: &Domain, answer: &Answer<Mx>, dice: &[u32]) -> Result<Vec<Exchanger>, Unroutable> {
    let records = match answer {
        Answer::Records(records) => records,
        // RFC 5321 §5.1: no MX: the domain is its own exchanger with preference 0.
        Answer::NoRecords => return Ok(vec![Exchanger { preference: 0, host: domain.as_str().to_owned() }]),
        // RFC 3463 §3.2, X.1.2: bad destination system address.
        Answer::NoSuchName => {
            return Err(Unroutable::new(EnhancedCode(5, 1, 2), format!("the domain {domain} does not exist")));
        }
        // RFC 3463 §3.5, X.4.3: directory server failure.
        Answer::TemporaryFault(why) => {
            return Err(Unroutable::new(EnhancedCode(4, 4, 3), format!("MX look-up of {domain} failed: {why}")));
        }
    };
    // RFC 7505 §3: a null MX is the only record; beside others it is nonsense and ignored.
    let usable: Vec<&Mx> = records.iter().filter(|mx| !mx.is_null()).collect();
    if usable.is_empty() {
        return Err(Unroutable::new(
            EnhancedCode(5, 1, 10),
            format!("the domain {domain} says that it takes no mail (null MX)"),
        ));
    }
    let mut thrown: Vec<(u16, u32, &Mx)> = usable
        .into_iter()
        .enumerate()
        .map(|(place, mx)| (mx.preference, dice.get(place).copied().unwrap_or_default(), mx))
        .collect();
    thrown.sort_by_key(|(preference, dice, _)| (*preference, *dice));
    let mut seen = BTreeSet::new();
    Ok(thrown
        .into_iter()
        .filter(|(_, _, mx)| seen.insert(mx.exchange.clone()))
        .take(EXCHANGERS_MAX)
        .map(|(preference, _, mx)| Exchanger { preference, host: mx.exchange.clone() })
        .collect())
}

/// The targets, in the order in which they are tried.
pub fn targets(
    domain: &Domain,
    found: &[(Exchanger, Answer<IpAddr>)],
    ourselves: &Ourselves,
    allowed: &[IpNet],
) -> Result<Vec<Target>, Unroutable> {
    let ours = found.iter().filter(|(exchanger, answer)| is_us(exchanger, answer, ourselves));
    // RFC 5321 §5.1: ourselves in the list: drop us and all that are not preferred to us.
    let limit = ours.map(|(exchanger, _)| exchanger.preference).min();
    let left = || found.iter().filter(|(exchanger, _)| limit.is_none_or(|limit| exchanger.preference < limit));
    if limit.is_some() && left().next().is_none() {
        return Err(Unroutable::new(
            EnhancedCode(5, 4, 6),
            format!("the mail of {domain} is sent here, but the domain is not hosted here (loop)"),
        ));
    }
    let mut targets: Vec<Target> = Vec::new();
    for (exchanger, answer) in left() {
        let usable = answer.records().iter().filter(|address| target::is_allowed(**address, allowed));
        for address in usable.take(ADDRESSES_PER_EXCHANGER_MAX) {
            let address = address.to_canonical();
            if targets.len() < TARGETS_MAX && !targets.iter().any(|have| have.address == address) {
                targets.push(Target { host: exchanger.host.clone(), address });
            }
        }
    }
    if targets.is_empty() {
        return Err(nowhere(domain, &left().collect::<Vec<_>>()));
    }
    Ok(targets)
}

fn is_us(exchanger: &Exchanger, answer: &Answer<IpAddr>, ourselves: &Ourselves) -> bool {
    exchanger.host.eq_ignore_ascii_case(ourselves.hostname.as_str())
        || answer.records().iter().any(|address| ourselves.addresses.contains(&address.to_canonical()))
}

/// No usable address: the reason that leaves most hope.
fn nowhere(domain: &Domain, left: &[&(Exchanger, Answer<IpAddr>)]) -> Unroutable {
    if let Some((exchanger, answer)) = left.iter().find(|(_, answer)| answer.is_temporary()) {
        return Unroutable::new(EnhancedCode(4, 4, 3), format!("{}: {answer}", exchanger.host));
    }
    if left.iter().any(|(_, answer)| !answer.records().is_empty()) {
        return Unroutable::new(
            EnhancedCode(5, 4, 4),
            format!("the mail hosts of {domain} have only private or reserved addresses"),
        );
    }
    match left {
        // RFC 5321 §5.1: the implicit MX without an address: the domain is no mail domain.
        [(exchanger, _)] if exchanger.host == domain.as_str() => {
            Unroutable::new(EnhancedCode(5, 1, 2), format!("the domain {domain} has neither MX nor address records"))
        }
        _ => Unroutable::new(EnhancedCode(5, 4, 4), format!("no mail host of {domain} has an address")),
    }
}

#[cfg(test)]
mod tests;
