//! How many sessions there may be: in all, of one protocol, and of one client.
//!
//! Counts only; what a refused client is told is the listener's. A client is an IPv4 address or an IPv6 /64, the
//! smallest network that one customer gets (RFC 6177).

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use paquebot_mta_api::config::Protocol;

/// The part of all sessions that no protocol gets: strangers who fill port 25 leave room for users to log in.
const RESERVED_PARTS: u32 = 5;

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
    of_protocol: HashMap<Protocol, u32>,
    /// Never larger than `all`: an entry goes with its last session.
    of_client: HashMap<Client, u32>,
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: SessionLimits) -> Self {
        Self {
            inside: Arc::new(Mutex::new(Inside {
                limits,
                all: 0,
                of_protocol: HashMap::new(),
                of_client: HashMap::new(),
            })),
        }
    }

    /// Other limits from now on; open sessions stay.
    pub fn set(&self, limits: SessionLimits) {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).limits = limits;
    }

    /// Lets a session in until its pass is dropped.
    pub fn enter(&self, address: IpAddr, protocol: Protocol) -> Result<Pass, Crowded> {
        let client = Client::of(address);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let share = inside.limits.sessions - inside.limits.sessions / RESERVED_PARTS;
        let of_protocol = inside.of_protocol.get(&protocol).copied().unwrap_or_default();
        if inside.all >= inside.limits.sessions || of_protocol >= share {
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
        *inside.of_protocol.entry(protocol).or_default() += 1;
        Ok(Pass { gate: self.clone(), client, protocol })
    }
}

/// One session's place.
#[derive(Debug)]
pub struct Pass {
    gate: Gate,
    client: Client,
    protocol: Protocol,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all = inside.all.saturating_sub(1);
        if let Some(count) = inside.of_protocol.get_mut(&self.protocol) {
            *count = count.saturating_sub(1);
        }
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
        let first = gate.enter(ip("192.0.2.1"), Protocol::Smtp).unwrap();
        assert_eq!(gate.enter(ip("192.0.2.1"), Protocol::Smtp).unwrap_err(), Crowded::Client);
        let _second = gate.enter(ip("192.0.2.2"), Protocol::Smtp).unwrap();
        assert_eq!(gate.enter(ip("192.0.2.3"), Protocol::Smtp).unwrap_err(), Crowded::Server);
        drop(first);
        assert!(gate.enter(ip("192.0.2.1"), Protocol::Smtp).is_ok());
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
        assert_eq!(gate.enter(ip("192.0.2.1"), Protocol::Smtp).unwrap_err(), Crowded::Client);
        assert!(gate.inside.lock().unwrap().of_client.is_empty());
        gate.set(SessionLimits { sessions: 10, sessions_per_client: 1 });
        assert!(gate.enter(ip("192.0.2.1"), Protocol::Smtp).is_ok());
    }

    #[test]
    fn strangers_leave_room_for_users() {
        let gate = gate(10, 10);
        let strangers: Vec<_> =
            (0..20).filter_map(|n| gate.enter(ip(&format!("192.0.2.{n}")), Protocol::Smtp).ok()).collect();
        assert_eq!(strangers.len(), 8);
        let users: Vec<_> = [Protocol::Submissions, Protocol::Pop3s]
            .map(|protocol| gate.enter(ip("198.51.100.1"), protocol).unwrap())
            .into();
        assert_eq!(gate.enter(ip("198.51.100.1"), Protocol::Pop3).unwrap_err(), Crowded::Server);
        drop((strangers, users));
        assert!(gate.enter(ip("192.0.2.1"), Protocol::Smtp).is_ok());
    }
}
