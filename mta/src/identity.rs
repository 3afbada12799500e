//! Who this server is towards others: its name and its addresses. One truth for all parts; a reload replaces it whole.

use std::sync::{Arc, PoisonError, RwLock};

use paquebot_mta_api::{
    address::Domain,
    config::{Config, Protocol},
};

use crate::queue::route::Ourselves;

/// The name and the addresses of this moment. Clones see the same.
#[derive(Debug, Clone)]
pub struct Identity(Arc<RwLock<Arc<Ourselves>>>);

impl Identity {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        ourselves(config).into()
    }

    /// Who we are now.
    pub fn current(&self) -> Arc<Ourselves> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another configuration from now on.
    pub fn set(&self, config: &Config) {
        self.replace(ourselves(config));
    }

    /// Others from now on.
    pub fn replace(&self, ourselves: Ourselves) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ourselves);
    }
}

impl From<Ourselves> for Identity {
    fn from(ourselves: Ourselves) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(ourselves))))
    }
}

/// A name without addresses: nobody can send to us.
impl From<Domain> for Identity {
    fn from(hostname: Domain) -> Self {
        Ourselves { hostname, addresses: Vec::new() }.into()
    }
}

fn ourselves(config: &Config) -> Ourselves {
    let mail = config.listeners.iter().filter(|listener| {
        listener.protocol == Protocol::Smtp
            && listener.address.port() == config.delivery.port
            && !listener.address.ip().is_unspecified()
    });
    Ourselves {
        hostname: config.hostname.clone(),
        addresses: mail.map(|listener| listener.address.ip().to_canonical()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_see_the_change() {
        let text = "version: 1\nhostname: a.example\nstore: {kind: sqlite, directory: /d, sealKey: /k}\nlisteners:\n\
            - {protocol: smtp, address: '192.0.2.1:25'}\n- {protocol: smtp, address: '192.0.2.2:2525'}\n\
            - {protocol: smtp, address: '[::]:25'}\n- {protocol: pop3, address: '192.0.2.3:25'}\n";
        let mut config: Config = serde_yaml::from_str(text).unwrap();
        let identity = Identity::new(&config);
        let seen = identity.clone();
        assert_eq!(seen.current().addresses, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
        config.hostname = "b.example".parse().unwrap();
        config.listeners.clear();
        identity.set(&config);
        assert_eq!((seen.current().hostname.as_str(), seen.current().addresses.len()), ("b.example", 0));
    }
}
