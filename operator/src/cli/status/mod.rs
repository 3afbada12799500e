//! `paquebot status`: what is declared in a cluster, how far it is, and what to mend first.
//!
//! - [`leader`]: whether an operator leads, so that it is up to date.
//! - [`records`]: a domain's DNS records, counted. Pure.
//! - [`tree`]: resources into a tree of plain values. Pure.
//! - [`next`]: what to do next. Pure.
//! - [`text`]: the tree as people read it. Pure.

mod leader;
mod next;
mod records;
mod text;
mod tree;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::{
    cluster::{Cluster, ClusterArgs, is_label, labels},
    output::{Failure, Format, Output},
};
use crate::{
    api::{MailDomain, MailServer, Mailbox},
    domain::claims::server_of,
};

/// Shows mail servers, domains and mailboxes of a cluster as a tree: what holds, what does not, what to do next.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl paquebot status -A              everything
  kubectl paquebot status -n mail         one namespace
  kubectl paquebot status example.com     one domain, with its server
  paquebot status -A -o json              for programs

Exit code 0 if all is ready, 1 if something is not.")]
pub struct Args {
    /// Only this MailServer, MailDomain or Mailbox, with what belongs to it.
    name: Option<String>,
    /// Where the operator runs; left out: where its Lease is found, at first in paquebot-system.
    #[arg(long, value_name = "NAMESPACE")]
    operator_namespace: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Runs it.
///
/// # Errors
/// No cluster, or something in it is not ready.
pub async fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let cluster = args.cluster.connect().await?;
    let mut tree = tree::tree(&read(&cluster, args.operator_namespace.as_deref()).await?);
    if let Some(name) = &args.name {
        tree = tree.only(name);
        if tree.is_empty() {
            return Err(Failure::Usage(format!(
                "there is no MailServer, MailDomain or Mailbox {name} here: look at `paquebot status -A`"
            )));
        }
    }
    match out.format {
        Format::Human => {
            let look = text::Look { colour: out.colour, columns: out.columns, namespace: cluster.namespace.as_deref() };
            out.text(&text::text(&tree, &look))?;
        }
        _ => out.value(&tree)?,
    }
    if let Some(message) = tree.operator.message.as_ref().filter(|_| !tree.operator.is_silent()) {
        out.flush()?;
        out.note(message);
    }
    if tree.next.is_empty() { Ok(()) } else { Err(Failure::NotReady) }
}

async fn read(cluster: &Cluster, operator: Option<&str>) -> Result<tree::Read, Failure> {
    if let Some(name) = operator.filter(|it| !is_label(it)) {
        return Err(Failure::Usage(format!("--operator-namespace {name:?} is not the name of a namespace")));
    }
    let pods = labels();
    let (servers, domains, mailboxes, pods, operator) = tokio::try_join!(
        cluster.list::<MailServer>(None),
        cluster.list::<MailDomain>(None),
        cluster.list::<Mailbox>(None),
        cluster.list::<Pod>(Some(&pods)),
        leader::find(cluster, operator),
    )?;
    let mut read = tree::Read { servers, domains, mailboxes, pods, operator, hidden: BTreeSet::new() };
    elsewhere(cluster, &mut read).await?;
    Ok(read)
}

/// Domains may refer to servers in other namespaces: read as well, where one may.
async fn elsewhere(cluster: &Cluster, read: &mut tree::Read) -> Result<(), Failure> {
    let Some(own) = &cluster.namespace else { return Ok(()) };
    let named: BTreeSet<_> = read.domains.iter().map(server_of).filter(|(namespace, _)| namespace != own).collect();
    for (namespace, name) in named {
        match cluster.get::<MailServer>(&namespace, &name).await {
            Ok(found) => read.servers.extend(found),
            Err(why) if why.is_forbidden() => {
                read.hidden.insert(format!("{namespace}/{name}"));
                continue;
            }
            Err(why) => return Err(why.into()),
        }
        let known = |pod: &Pod, read: &tree::Read| read.pods.iter().any(|it| it.uid() == pod.uid());
        // Who may read the server and not its pods sees it without them.
        for pod in cluster.in_namespace(&namespace).list::<Pod>(Some(&labels())).await.unwrap_or_default() {
            if !known(&pod, read) {
                read.pods.push(pod);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
