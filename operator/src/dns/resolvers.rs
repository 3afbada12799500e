//! Which resolvers are asked: those of the resource, else those of the operator's settings, else the system's.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::{config::ConnectionConfig, system_conf::read_system_conf};

/// The port of DNS.
const PORT: u16 = 53;

/// Why there is no resolver.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResolverError {
    /// A text that is no address.
    #[error("{0:?} is no address of a resolver: write it as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353")]
    NoAddress(String),
    /// The system names none.
    #[error("the system names no resolver ({0}): name one in /etc/resolv.conf, or in spec.dns.verification.resolvers")]
    NoSystem(String),
}

/// An address, with or without a port.
///
/// # Errors
/// What is neither.
pub fn resolver_address(text: &str) -> Result<SocketAddr, ResolverError> {
    let bare = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT));
    bare.or_else(|_| text.parse()).map_err(|_| ResolverError::NoAddress(text.to_owned()))
}

/// The resolvers to ask. Reads `/etc/resolv.conf` where neither names any.
///
/// # Errors
/// A text that is no address; a system that names none.
pub fn resolvers(declared: &[String], settings: &[SocketAddr]) -> Result<Vec<SocketAddr>, ResolverError> {
    if !declared.is_empty() {
        return declared.iter().map(|it| resolver_address(it)).collect();
    }
    if !settings.is_empty() {
        return Ok(settings.to_vec());
    }
    let (system, _) = read_system_conf().map_err(|fault| ResolverError::NoSystem(fault.to_string()))?;
    let port = |connections: &[ConnectionConfig]| connections.first().map_or(PORT, |it| it.port);
    Ok(system.name_servers().iter().map(|it| SocketAddr::new(it.ip, port(&it.connections))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_a_port() {
        for (text, read) in [
            ("192.0.2.1", Some("192.0.2.1:53")),
            ("192.0.2.1:5353", Some("192.0.2.1:5353")),
            ("2001:db8::1", Some("[2001:db8::1]:53")),
            ("[::1]:53", Some("[::1]:53")),
            ("", None),
            ("resolver.example", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:99999", None),
            ("192.0.2.0/24", None),
        ] {
            assert_eq!(resolver_address(text).ok().map(|it| it.to_string()).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn the_nearest_word_counts() {
        let settings = ["192.0.2.2:53".parse().unwrap()];
        assert_eq!(resolvers(&["192.0.2.1".into()], &settings).unwrap(), ["192.0.2.1:53".parse().unwrap()]);
        assert_eq!(resolvers(&[], &settings).unwrap(), settings);
        assert!(resolvers(&["192.0.2.1".into(), "x".into()], &settings).unwrap_err().to_string().contains("\"x\""));
    }
}
