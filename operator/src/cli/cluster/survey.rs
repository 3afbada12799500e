//! Which mail servers there are to ask: those of the namespaces that are looked at, and those elsewhere that carry a
//! domain of them. What keeps one from being asked is a sentence, not a silence.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{Cluster, Unread};
use crate::{
    api::{MailDomain, MailServer},
    domain::claims::server_of,
    names::{COMPONENT, INSTANCE, MANAGED_BY, MANAGER, base},
    server::build::names::COMPONENT_MTA,
};

/// Servers that are asked at most.
const SERVERS_MAX: usize = 1000;
/// Other namespaces that are looked into for the servers of domains at most.
const NAMESPACES_MAX: usize = 100;

/// A mail server by namespace and name. Of one whose MailServer may not be read the name is that of its objects.
pub type ServerName = (String, String);

/// A mail server, and through which pod it is asked.
pub struct Target {
    /// namespace/name.
    pub server: String,
    /// The pod; else why there is none, and what to do.
    pub pod: Result<Pod, String>,
}

/// What was read of a cluster.
#[derive(Default)]
struct Read {
    /// Servers that are declared, or that domains refer to.
    servers: BTreeSet<ServerName>,
    /// All are asked, or only those of [`Read::servers`], as in namespaces that only a domain refers to.
    whole: BTreeSet<String>,
    pods: Vec<Pod>,
    /// Namespaces whose pods may not be, or are not, listed: what to do.
    hidden: BTreeMap<String, String>,
}

impl Cluster {
    /// The servers to ask; with a name, those of that name.
    ///
    /// # Errors
    /// Pods may not be listed anywhere, the cluster is not reached.
    pub async fn survey(&self, only: Option<&str>) -> Result<Vec<Target>, Unread> {
        let mut read = Read::default();
        for server in allowed(self.list::<MailServer>(None).await)?.unwrap_or_default() {
            read.servers.insert((server.namespace().unwrap_or_default(), server.name_any()));
        }
        match (&self.namespace, self.list(Some(&labels())).await) {
            (None, pods) => read.pods = pods?,
            (Some(own), Err(why)) if why.is_forbidden() => drop(read.hidden.insert(own.clone(), why.to_string())),
            (Some(_), pods) => read.pods = pods?,
        }
        read.whole.extend(read.pods.iter().filter_map(Pod::namespace));
        if let Some(own) = &self.namespace {
            self.elsewhere(own, &mut read).await?;
        }
        // Who may see neither servers nor pods is told so, and not that there are none.
        let nothing = read.servers.is_empty() && read.pods.is_empty();
        if let (true, Some(why)) = (nothing, read.hidden.values().next()) {
            return Ok(vec![Target {
                server: format!("{}/*", self.namespace.as_deref().unwrap_or("*")),
                pod: Err(why.clone()),
            }]);
        }
        let mut targets = targets(read);
        targets.retain(|it| only.is_none_or(|only| is_called(&it.server, only)));
        Ok(bounded(targets))
    }

    /// The domains of this namespace may be carried by servers in others.
    async fn elsewhere(&self, own: &str, read: &mut Read) -> Result<(), Unread> {
        let domains = allowed(self.list::<MailDomain>(None).await)?.unwrap_or_default();
        let named: BTreeSet<ServerName> = domains.iter().map(server_of).filter(|(it, _)| it != own).collect();
        let namespaces: BTreeSet<&String> = named.iter().map(|(namespace, _)| namespace).collect();
        for (number, namespace) in namespaces.into_iter().enumerate() {
            if number >= NAMESPACES_MAX {
                let why =
                    format!("only {NAMESPACES_MAX} other namespaces are looked into: name it with -n {namespace}");
                read.hidden.insert(namespace.clone(), why);
                continue;
            }
            match self.in_namespace(namespace).list(Some(&labels())).await {
                Ok(pods) => read.pods.extend(pods),
                Err(why) if why.is_forbidden() => drop(read.hidden.insert(namespace.clone(), why.to_string())),
                Err(why) => return Err(why),
            }
        }
        read.servers.extend(named);
        Ok(())
    }
}

/// So many as are asked; how many more there are counts as one that did not answer.
fn bounded(mut targets: Vec<Target>) -> Vec<Target> {
    let more = targets.len().saturating_sub(SERVERS_MAX);
    targets.truncate(SERVERS_MAX);
    if more > 0 {
        let why = format!("only {SERVERS_MAX} are asked at once: name a namespace with -n");
        targets.push(Target { server: format!("*/* ({more} more)"), pod: Err(why) });
    }
    targets
}

/// The labels of the pods of mail servers.
pub fn labels() -> String {
    format!("{MANAGED_BY}={MANAGER},{COMPONENT}={COMPONENT_MTA}")
}

/// None where the user may not: pods alone do as well.
fn allowed<T>(read: Result<T, Unread>) -> Result<Option<T>, Unread> {
    match read {
        Err(why) if why.is_forbidden() => Ok(None),
        other => other.map(Some),
    }
}

/// Whether namespace/name, or the base of its objects' names, is what the user calls `name` or `namespace/name`.
fn is_called(server: &str, name: &str) -> bool {
    let bare = server.split_once('/').map_or(server, |(_, bare)| bare);
    server == name || bare == name || bare == base("MailServer", name)
}

/// One pod of each server, a ready one where there is one: any pod serves any message.
fn targets(read: Read) -> Vec<Target> {
    let mut pods: BTreeMap<ServerName, Vec<Pod>> = BTreeMap::new();
    for pod in read.pods {
        let instance = pod.labels().get(INSTANCE).cloned().unwrap_or_default();
        pods.entry((pod.namespace().unwrap_or_default(), instance)).or_default().push(pod);
    }
    let mut all: BTreeMap<ServerName, Result<Pod, String>> = BTreeMap::new();
    for (namespace, name) in read.servers {
        let instance = (namespace.clone(), base("MailServer", &name));
        let pod = match (pods.remove(&instance), read.hidden.get(&namespace)) {
            (Some(pods), _) => representative(pods),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => Err(format!("it has no pod: `paquebot status {name} -n {namespace}` says why")),
        };
        all.insert((namespace, name), pod);
    }
    // Those whose MailServers may not be read; in other namespaces only those that were named count.
    let unnamed = pods.into_iter().filter(|((namespace, _), _)| read.whole.contains(namespace));
    all.extend(unnamed.map(|(name, pods)| (name, representative(pods))));
    all.into_iter().map(|((namespace, name), pod)| Target { server: format!("{namespace}/{name}"), pod }).collect()
}

fn representative(mut pods: Vec<Pod>) -> Result<Pod, String> {
    pods.sort_by_key(|pod| (!is_ready(pod), pod.name_any()));
    let pod = pods.into_iter().next().ok_or_else(|| "it has no pod".to_owned())?;
    if is_ready(&pod) {
        return Ok(pod);
    }
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    Err(format!("its pod {name} is not ready: `paquebot status -n {namespace}` says why"))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, server: &str, number: u8, ready: &str) -> Pod {
        let base = base("MailServer", server);
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": format!("{server}-{number}"), "namespace": namespace, "labels": {INSTANCE: base}},
            "status": {"conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    fn told(read: Read) -> Vec<String> {
        let line = |it: Target| {
            format!("{}: {}", it.server, it.pod.map_or_else(|why| why, |pod| format!("by {}", pod.name_any())))
        };
        targets(read).into_iter().map(line).collect()
    }

    #[test]
    fn each_server_is_asked_through_one_pod_or_named_with_what_keeps_it() {
        let server = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        let read = Read {
            servers: [server("mail", "a"), server("mail", "b"), server("mail", "c"), server("shut", "d")].into(),
            whole: ["mail".to_owned()].into(),
            pods: vec![
                pod("mail", "b", 0, "False"),
                pod("mail", "a", 0, "False"),
                pod("mail", "a", 2, "True"),
                pod("mail", "a", 1, "True"),
                pod("other", "nobody-named-it", 0, "True"),
            ],
            hidden: [("shut".to_owned(), "you may not list pods in namespace shut: ask".to_owned())].into(),
        };
        assert_eq!(
            told(read),
            [
                "mail/a: by a-1",
                "mail/b: its pod b-0 is not ready: `paquebot status -n mail` says why",
                "mail/c: it has no pod: `paquebot status c -n mail` says why",
                "shut/d: you may not list pods in namespace shut: ask",
            ]
        );
    }

    #[test]
    fn too_many_are_not_silently_fewer() {
        let all = |count: usize| {
            let target = |number| Target { server: format!("mail/s{number}"), pod: Err("why".to_owned()) };
            bounded((0..count).map(target).collect())
        };
        assert_eq!(all(SERVERS_MAX).len(), SERVERS_MAX);
        let cut = all(SERVERS_MAX + 7);
        assert_eq!(cut.len(), SERVERS_MAX + 1);
        assert!(cut.last().is_some_and(|it| it.server.contains("7 more") && it.pod.is_err()));
    }

    #[test]
    fn who_may_see_only_pods_asks_them_all_the_same() {
        let pods = vec![pod("mail", "a", 0, "True")];
        let read = Read { whole: ["mail".to_owned()].into(), pods, ..Read::default() };
        let base = base("MailServer", "a");
        assert_eq!(told(read), [format!("mail/{base}: by a-0")]);
        assert!(is_called(&format!("mail/{base}"), "a") && is_called("mail/a", "a") && is_called("mail/a", "mail/a"));
        assert!(!is_called("mail/a", "b") && !is_called("mail/a", "other/a"));
    }
}
