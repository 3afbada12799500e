//! What must hold of each object and across objects. Calls the same pure functions as the operator.

use std::collections::{HashMap, HashSet};

use kube::{Resource, ResourceExt};
use paquebot_mta_api::address::{Address, Domain};

use super::{Loaded, Problem, Resources, Source, schema::Finding};
use crate::{
    api::{MailDomain, MailServer, MailServerSpec, SERVER_DEFAULT},
    domain, mailbox, server,
};

/// What must hold of each object.
pub fn each(resources: &Resources) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |source: &Source, findings: Vec<Finding>| {
        problems.extend(findings.into_iter().map(|(path, message)| Problem::new(source, path, message)));
    };
    resources.domains.iter().for_each(|it| add(&it.source, domain::validate::validate(&it.object)));
    resources.servers.iter().for_each(|it| add(&it.source, server::validate::validate(&it.object)));
    resources.mailboxes.iter().for_each(|it| add(&it.source, mailbox::validate(&it.object)));
    problems.extend(twice(&resources.domains));
    problems.extend(twice(&resources.servers));
    problems.extend(twice(&resources.mailboxes));
    let mut seen: HashMap<(&str, &str), &Source> = HashMap::new();
    for secret in &resources.secrets {
        let name = (secret.object.namespace.as_str(), secret.object.name.as_str());
        if let Some(first) = seen.get(&name) {
            problems.push(declared_twice(&secret.source, "Secret", name.0, name.1, first));
        } else {
            seen.insert(name, &secret.source);
        }
    }
    problems
}

/// Makes the MailServers that domains use without naming one.
pub fn add_default_servers(resources: &mut Resources) {
    for domain in &resources.domains {
        let reference = &domain.object.spec.server_ref;
        let namespace = server_namespace(&domain.object);
        let own = domain.object.namespace().unwrap_or_default() == namespace;
        if reference.name == SERVER_DEFAULT && own && find_server(&resources.servers, &domain.object).is_none() {
            let mut made = MailServer::new(SERVER_DEFAULT, MailServerSpec::default());
            made.metadata.namespace = Some(namespace);
            resources.servers.push(Loaded { source: domain.source.clone(), object: made });
        }
    }
}

/// The server that carries a domain.
pub fn find_server<'a>(servers: &'a [Loaded<MailServer>], domain: &MailDomain) -> Option<&'a Loaded<MailServer>> {
    let namespace = server_namespace(domain);
    servers.iter().find(|it| {
        it.object.name_any() == domain.spec.server_ref.name && it.object.namespace().unwrap_or_default() == namespace
    })
}

fn server_namespace(domain: &MailDomain) -> String {
    domain.spec.server_ref.namespace.clone().unwrap_or_else(|| domain.namespace().unwrap_or_default())
}

/// What must hold across objects.
pub fn together(resources: &Resources) -> Vec<Problem> {
    let mut problems = servers(resources);
    problems.extend(secrets(resources));
    problems.extend(mailboxes(resources));
    problems.extend(targets(resources));
    problems
}

fn twice<T: Resource<DynamicType = ()>>(objects: &[Loaded<T>]) -> Vec<Problem> {
    let mut seen: HashMap<(String, String), &Source> = HashMap::new();
    let mut problems = Vec::new();
    for it in objects {
        let (namespace, name) = (it.object.namespace().unwrap_or_default(), it.object.name_any());
        if let Some(first) = seen.get(&(namespace.clone(), name.clone())) {
            problems.push(declared_twice(&it.source, &T::kind(&()), &namespace, &name, first));
        } else {
            seen.insert((namespace, name), &it.source);
        }
    }
    problems
}

fn declared_twice(source: &Source, kind: &str, namespace: &str, name: &str, first: &Source) -> Problem {
    let place = format!("{}:{}", first.file.display(), first.line.max(1));
    Problem::new(source, "metadata.name", format!("{kind} {namespace}/{name} is declared at {place} too: keep one"))
}

fn servers(resources: &Resources) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut claimed: HashMap<(String, String, String), &Source> = HashMap::new();
    for it in &resources.domains {
        let Some(name) = domain::name(&it.object) else { continue };
        let Some(server) = find_server(&resources.servers, &it.object) else {
            let (namespace, server) = (server_namespace(&it.object), &it.object.spec.server_ref.name);
            let message = format!("there is no MailServer {namespace}/{server}: declare it, or leave serverRef out");
            problems.push(Problem::new(&it.source, "spec.serverRef", message));
            continue;
        };
        let namespace = it.object.namespace().unwrap_or_default();
        // Without a cluster the labels of namespaces are not known.
        if !server::validate::admits(&server.object, &namespace, None, &name) {
            let message = format!(
                "the MailServer does not admit {name} of namespace {namespace}: add it to the MailServer's spec.allowedDomains"
            );
            problems.push(Problem::new(&it.source, "spec.serverRef", message));
        }
        let server_name = server.object.name_any();
        if server::facts(&server.object, &name).is_none() {
            let message = format!("mail.{name} would be too long for a host name: set spec.hostname of a MailServer");
            problems.push(Problem::new(&it.source, "metadata.name", message));
        }
        let key = (server.object.namespace().unwrap_or_default(), server_name, name.to_string());
        if let Some(first) = claimed.get(&key) {
            let place = format!("{}:{}", first.file.display(), first.line.max(1));
            let message = format!("{name} is on this server already, declared at {place}: keep one");
            problems.push(Problem::new(&it.source, "metadata.name", message));
        } else {
            claimed.insert(key, &it.source);
        }
    }
    problems
}

/// Secret references are local to the namespace.
fn secrets(resources: &Resources) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |source: &Source, namespace: String, path: String, name: &str, key: &str| {
        let found = resources.secrets.iter().find(|it| it.object.name == name && it.object.namespace == namespace);
        let message = match found.map(|it| it.object.get(key)) {
            None => format!("there is no Secret {namespace}/{name}: declare it with stringData: {{{key}: …}}"),
            Some(None) => format!("the Secret {namespace}/{name} has no key {key}: add it"),
            Some(Some([])) => format!("the Secret {namespace}/{name} has an empty {key}: give it a value"),
            Some(Some(_)) => return,
        };
        problems.push(Problem::new(source, path, message));
    };
    for it in &resources.mailboxes {
        if let Some(reference) = &it.object.spec.password_secret_ref {
            let namespace = it.object.namespace().unwrap_or_default();
            check(&it.source, namespace, "spec.passwordSecretRef".into(), &reference.name, &reference.key);
        }
    }
    for it in &resources.domains {
        for (index, imported) in it.object.spec.dkim.imported.iter().enumerate() {
            let namespace = it.object.namespace().unwrap_or_default();
            let path = format!("spec.dkim.imported[{index}].secretRef");
            check(&it.source, namespace, path, &imported.secret_ref.name, &imported.secret_ref.key);
        }
    }
    problems.extend(imported_keys(resources));
    problems
}

fn imported_keys(resources: &Resources) -> Vec<Problem> {
    let mut problems = Vec::new();
    for it in &resources.domains {
        let namespace = it.object.namespace().unwrap_or_default();
        for (index, imported) in it.object.spec.dkim.imported.iter().enumerate() {
            let pem = resources.secret(&namespace, &imported.secret_ref);
            if let Some(Err(fault)) = pem.map(|pem| domain::keys::KeyPair::from_pem(&imported.selector, pem)) {
                let path = format!("spec.dkim.imported[{index}].secretRef");
                problems.push(Problem::new(&it.source, path, fault.to_string()));
            }
        }
    }
    problems
}

fn mailboxes(resources: &Resources) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: HashMap<Address, &Source> = HashMap::new();
    for it in &resources.mailboxes {
        let Ok(address) = it.object.spec.address.parse::<Address>() else { continue };
        let namespace = it.object.namespace().unwrap_or_default();
        let in_domain = |domain: &&Loaded<MailDomain>| domain::name(&domain.object).as_ref() == Some(address.domain());
        let domains: Vec<_> = resources.domains.iter().filter(in_domain).collect();
        let own = domains.iter().find(|domain| domain.object.namespace().unwrap_or_default() == namespace);
        let message = match (own, domains.first()) {
            (Some(domain), _) => mailbox::claims::alias_of(&domain.object, &address)
                .map(|alias| format!("{address} is an alias of the MailDomain too ({alias}): keep one")),
            (None, Some(other)) => Some(format!(
                "the MailDomain {} is in namespace {}: put the Mailbox there, not in {namespace}",
                address.domain(),
                other.object.namespace().unwrap_or_default()
            )),
            (None, None) => {
                let names: Vec<String> = resources.domains.iter().map(|domain| domain.object.name_any()).collect();
                let near = super::near::nearest(address.domain().as_str(), names.iter().map(String::as_str));
                let advice = near.map(|name| format!("write {}@{name}, or ", address.local())).unwrap_or_default();
                Some(format!(
                    "there is no MailDomain {}: {advice}declare it in namespace {namespace}",
                    address.domain()
                ))
            }
        };
        problems.extend(message.map(|message| Problem::new(&it.source, "spec.address", message)));
        if let Some(first) = seen.insert(address.folded(), &it.source) {
            let place = format!("{}:{}", first.file.display(), first.line.max(1));
            let message = format!("{address} has a Mailbox already, declared at {place}: keep one");
            problems.push(Problem::new(&it.source, "spec.address", message));
        }
    }
    problems
}

/// Targets in our own domains must exist, and following aliases must end.
fn targets(resources: &Resources) -> Vec<Problem> {
    let names = Names::new(resources);
    let mut problems = Vec::new();
    for it in &resources.domains {
        let Some(name) = domain::name(&it.object) else { continue };
        for (index, alias) in it.object.spec.aliases.iter().enumerate() {
            for (at, target) in alias.to.iter().enumerate() {
                let path = format!("spec.aliases[{index}].to[{at}]");
                problems.extend(names.missing(target, true).map(|message| Problem::new(&it.source, path, message)));
            }
            if let Ok(address) = Address::new(&alias.name, name.clone())
                && names.loops(&address.folded())
            {
                let message = format!("{address} leads back to itself: take it out of one of the aliases on the way");
                problems.push(Problem::new(&it.source, format!("spec.aliases[{index}].to"), message));
            }
        }
        if let Some(target) = &it.object.spec.catch_all {
            problems
                .extend(names.missing(target, false).map(|message| Problem::new(&it.source, "spec.catchAll", message)));
        }
    }
    problems
}

/// Every address that there is.
struct Names {
    domains: HashSet<Domain>,
    with_catch_all: HashSet<Domain>,
    mailboxes: HashSet<Address>,
    aliases: HashMap<Address, Vec<Address>>,
}

impl Names {
    fn new(resources: &Resources) -> Self {
        let mut names = Self {
            domains: HashSet::new(),
            with_catch_all: HashSet::new(),
            mailboxes: HashSet::new(),
            aliases: HashMap::new(),
        };
        let parsed = resources.mailboxes.iter().filter_map(|it| it.object.spec.address.parse::<Address>().ok());
        names.mailboxes.extend(parsed.map(|address| address.folded()));
        for it in &resources.domains {
            let Some(name) = domain::name(&it.object) else { continue };
            for alias in &it.object.spec.aliases {
                let to = alias.to.iter().filter_map(|it| it.parse::<Address>().ok()).map(|it| it.folded()).collect();
                if let Ok(address) = Address::new(&alias.name, name.clone()) {
                    names.aliases.insert(address.folded(), to);
                }
            }
            for always in ["postmaster", "abuse"] {
                names.mailboxes.extend(
                    Address::new(always, name.clone()).ok().filter(|address| !names.aliases.contains_key(address)),
                );
            }
            if it.object.spec.catch_all.is_some() {
                names.with_catch_all.insert(name.clone());
            }
            names.domains.insert(name);
        }
        names
    }

    /// Why nobody gets the target's mail. A catch-all cannot be caught by a catch-all.
    fn missing(&self, target: &str, by_catch_all: bool) -> Option<String> {
        let address = target.parse::<Address>().ok()?.folded();
        let plain =
            address.local().split_once('+').and_then(|(user, _)| Address::new(user, address.domain().clone()).ok());
        let known = |it: &Address| self.mailboxes.contains(it) || self.aliases.contains_key(it);
        let fine = !self.domains.contains(address.domain())
            || (by_catch_all && self.with_catch_all.contains(address.domain()))
            || known(&address)
            || plain.is_some_and(|plain| known(&plain));
        if fine {
            return None;
        }
        let here = |it: &&Address| it.domain() == address.domain();
        let mut locals: Vec<&str> =
            self.mailboxes.iter().chain(self.aliases.keys()).filter(here).map(Address::local).collect();
        locals.sort_unstable();
        let near = super::near::nearest(address.local(), locals).map(|local| format!("{local}@{}", address.domain()));
        let advice = near.map(|near| format!("write {near}, or ")).unwrap_or_default();
        Some(format!("{target} does not exist: {advice}declare a Mailbox with this address"))
    }

    fn loops(&self, start: &Address) -> bool {
        let mut seen: HashSet<&Address> = HashSet::new();
        let mut open: Vec<&Address> = self.aliases.get(start).into_iter().flatten().collect();
        while let Some(next) = open.pop() {
            if next == start {
                return true;
            }
            if seen.insert(next) {
                open.extend(self.aliases.get(next).into_iter().flatten());
            }
        }
        false
    }
}
