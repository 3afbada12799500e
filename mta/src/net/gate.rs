//! How many sessions there may be: in all, and of one client.
//!
//! Counts only; what a refused client is told is the listener's. A client is an IPv4 address or an IPv6 /64, the
//! smallest network that one customer gets (RFC 6177).

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Whom limits count as one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

impl Client {
    /// The client that an address belongs to.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => Self(IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))),
        }
    }
}

/// Why a session is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// Too many in all.
    Server,
    /// Too many of this client.
    Client,
}

/// The limits in force.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// Sessions in all at most.
    pub sessions: u32,
    /// Sessions of one client at most.
    pub sessions_per_client: u32,
}

/// Counts the sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug)]
struct Inside {
    limits: SessionLimits,
    all: u32,
    /// Never larger than `all`: an entry goes with its last session.
    of_client: HashMap<Client, u32>,
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: SessionLimits) -> Self {
        Self { inside: Arc::new(Mutex::new(Inside { limits, all: 0, of_client: HashMap::new() })) }
    }

    /// Other limits from now on; open sessions stay.
    pub fn set(&self, limits: SessionLimits) {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).limits = limits;
    }

    /// Lets a session in until its pass is dropped.
    pub fn enter(&self, address: IpAddr) -> Result<Pass, Crowded> {
        let client = Client::of(address);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.all >= inside.limits.sessions {
            return Err(Crowded::Server);
        }
        let limit = inside.limits.sessions_per_client;
        let count = inside.of_client.entry(client).or_default();
        if *count >= limit {
            if *count == 0 {
                inside.of_client.remove(&client);
            }
            return Err(Crowded::Client);
        }
        *count += 1;
        inside.all += 1;
        Ok(Pass { gate: self.clone(), client })
    }
}

/// One session's place.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    client: Client,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all = inside.all.saturating_sub(1);
        if let Some(count) = inside.of_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                inside.of_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(sessions: u32, sessions_per_client: u32) -> Gate {
        Gate::new(SessionLimits { sessions, sessions_per_client })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_free_again_when_its_session_ends() {
        let gate = gate(2, 1);
        let first = gate.enter(ip("192.0.2.1")).unwrap();
        assert_eq!(gate.enter(ip("192.0.2.1")).unwrap_err(), Crowded::Client);
        let _second = gate.enter(ip("192.0.2.2")).unwrap();
        assert_eq!(gate.enter(ip("192.0.2.3")).unwrap_err(), Crowded::Server);
        drop(first);
        assert!(gate.enter(ip("192.0.2.1")).is_ok());
        assert_eq!(gate.inside.lock().unwrap().of_client.len(), 1, "no entry outlives its sessions");
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            assert_eq!(Client::of(ip(one)) == Client::of(ip(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn limits_change_while_it_runs() {
        let gate = gate(10, 0);
        assert_eq!(gate.enter(ip("192.0.2.1")).unwrap_err(), Crowded::Client);
        assert!(gate.inside.lock().unwrap().of_client.is_empty());
        gate.set(SessionLimits { sessions: 10, sessions_per_client: 1 });
        assert!(gate.enter(ip("192.0.2.1")).is_ok());
    }
}
