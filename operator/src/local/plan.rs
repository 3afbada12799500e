//! What local mode makes of the resources: one process that carries all domains. Pure.
//!
//! The same functions as in a cluster say what follows; here it is only said where it runs, and what is left out.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use kube::ResourceExt;
use paquebot_mta_api::{
    address::{Address, Domain},
    config::{Config, Store, Tls},
    directory::{Entry, LoginKeys},
};

use super::{certificate::Certificate, data::DataDir, settings::Settings};
use crate::{
    api::{MailServer, Mailbox},
    cli::inputs::first_domain,
    dns::Record,
    domain::{self, keys::KeyPair},
    load::Resources,
    server::{self, Facts, Process},
};

/// What the resources lack to be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No domain.
    #[error(
        "no MailDomain is declared: add one, {{apiVersion: paquebot.dev/v1alpha1, kind: MailDomain, metadata: {{name: example.com}}}}"
    )]
    NoDomain,
    /// No server that could have a name.
    #[error("{0} has no server with a host name: give its MailServer spec.hostname")]
    NoServer(String),
    /// Two servers of a cluster may each have it; the one here cannot.
    #[error(
        "{domain} is declared in the namespaces {first} and {second}: one server carries all domains here, keep one of them"
    )]
    Twice {
        /// The domain.
        domain: Domain,
        /// Where it is declared first.
        first: String,
        /// Where it is declared too.
        second: String,
    },
}

/// The one server that local mode runs: that of the first domain; with what the world sees of it.
pub fn carrier(resources: &Resources) -> Result<(&MailServer, Facts), PlanError> {
    let first = resources.domains.first().ok_or(PlanError::NoDomain)?;
    let none = || PlanError::NoServer(first.object.name_any());
    let server = resources.server(&first.object).ok_or_else(none)?;
    let named = first_domain(resources, server).ok_or_else(none)?;
    each_once(resources)?;
    Ok((server, server::facts(server, &named).ok_or_else(none)?))
}

fn each_once(resources: &Resources) -> Result<(), PlanError> {
    let mut seen: HashMap<Domain, String> = HashMap::new();
    for it in &resources.domains {
        let Some(domain) = domain::name(&it.object) else { continue };
        let second = it.object.namespace().unwrap_or_default();
        if let Some(first) = seen.insert(domain.clone(), second.clone()) {
            return Err(PlanError::Twice { domain, first, second });
        }
    }
    Ok(())
}

/// The MTA's configuration on this address.
pub fn config(
    resources: &Resources,
    settings: &Settings,
    address: IpAddr,
    data: &DataDir,
    certificate: &Certificate,
) -> Result<Config, PlanError> {
    let (server, facts) = carrier(resources)?;
    let process = Process {
        listeners: settings.ports.listeners(address),
        tls: Some(Tls { certificate: certificate.certificate.clone(), key: certificate.key.clone() }),
        store: Store::Sqlite { directory: data.store(), seal_key: data.seal_key() },
        metrics: Some(SocketAddr::new(address, settings.ports.metrics)),
        admin_socket: Some(data.socket()),
        admin: None,
        resolvers: settings.resolvers.clone(),
        delivery: settings.delivery.clone(),
    };
    let mut config = server::config(server, &facts, process);
    config.limits = settings.limits.clone();
    Ok(config)
}

/// The records of all domains, each with its keys.
pub fn records(resources: &Resources, keys: &[Vec<KeyPair>]) -> Result<Vec<(Domain, Vec<Record>)>, PlanError> {
    let (_, facts) = carrier(resources)?;
    let each = resources.domains.iter().zip(keys).filter_map(|(it, keys)| {
        let public: Vec<_> = keys.iter().map(KeyPair::public_key).collect();
        Some((domain::name(&it.object)?, domain::records(&it.object, &facts, &public)))
    });
    Ok(each.collect())
}

/// All addresses that log in.
pub fn addresses(resources: &Resources) -> Vec<Address> {
    let mailboxes = mailboxes(resources);
    resources.domains.iter().flat_map(|it| domain::mailbox_addresses(&it.object, &mailboxes)).collect()
}

/// The directory of all domains, each with its keys.
pub fn entries(
    resources: &Resources,
    keys: &[Vec<KeyPair>],
    login: &dyn Fn(&Address) -> Option<LoginKeys>,
) -> Vec<Entry> {
    let mailboxes = mailboxes(resources);
    let each = resources.domains.iter().zip(keys);
    each.flat_map(|(it, keys)| domain::entries(&it.object, &mailboxes, keys, login)).collect()
}

fn mailboxes(resources: &Resources) -> Vec<&Mailbox> {
    resources.mailboxes.iter().map(|it| &it.object).collect()
}

/// The password that the resources give this address, if they do.
pub fn declared_password<'a>(resources: &'a Resources, address: &Address) -> Option<&'a str> {
    let folded = address.folded();
    let mailbox = resources
        .mailboxes
        .iter()
        .map(|it| &it.object)
        .find(|mailbox| mailbox.spec.address.parse::<Address>().is_ok_and(|it| it.folded() == folded))?;
    let reference = mailbox.spec.password_secret_ref.as_ref()?;
    let octets = resources.secret(&mailbox.namespace().unwrap_or_default(), reference)?;
    crate::mailbox::password::trimmed(octets)
}

/// What the resources ask for and local mode does not have, one sentence each.
pub fn left_out(resources: &Resources) -> Vec<String> {
    let Ok((server, facts)) = carrier(resources) else { return Vec::new() };
    let mut all = Vec::new();
    let spec = &server.spec;
    let name = server.name_any();
    let mut add = |there: bool, what: String| all.extend(there.then_some(what));
    add(spec.replicas > 1, format!("MailServer {name}: replicas: {}: one process here", spec.replicas));
    add(spec.store.postgres.is_some(), format!("MailServer {name}: store.postgres: SQLite here"));
    add(spec.service.is_some(), format!("MailServer {name}: service: no Services here, clients connect directly"));
    add(spec.pod.is_some(), format!("MailServer {name}: pod: no pod here"));
    add(spec.limits.is_some(), format!("MailServer {name}: limits: the defaults here"));
    let own_tls = spec.tls.as_ref().is_some_and(|tls| tls.secret_ref.is_some() || tls.issuer_ref.is_some());
    add(own_tls, format!("MailServer {name}: tls: a self-signed certificate here"));
    for other in &resources.servers {
        if other.object.name_any() != name || other.object.namespace() != server.namespace() {
            let what =
                format!("MailServer {}: its domains are carried by {} here", other.object.name_any(), facts.hostname);
            all.push(what);
        }
    }
    all.extend(resources.domains.iter().filter_map(|it| domain::senders_note(&it.object)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_of_two_namespaces_has_no_place_here() {
        let domain = |name: &str, namespace: &str| {
            format!(
                "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {{name: {name}, namespace: {namespace}}}\n---\n"
            )
        };
        let said = |yaml: &str| {
            let resources = crate::load::load_text("mail.yaml".as_ref(), yaml).unwrap();
            carrier(&resources).map(|(_, facts)| facts.hostname.to_string()).map_err(|fault| fault.to_string())
        };
        let (one, other) = (domain("a.example", "mail"), domain("b.example", "shop"));
        assert_eq!(said(&(one.clone() + &other)), Ok("mail.a.example".to_owned()));
        let fault = said(&(one + &domain("a.example", "shop"))).unwrap_err();
        assert!(fault.starts_with("a.example is declared in the namespaces mail and shop: "), "{fault}");
        assert_eq!(said("").unwrap_err(), PlanError::NoDomain.to_string());
    }
}
