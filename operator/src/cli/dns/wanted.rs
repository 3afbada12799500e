//! Which records should be there: those that follow from YAML, or those that the operator of a cluster wrote down.

use std::{collections::BTreeMap, path::PathBuf};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;

use super::{
    super::{
        cluster::{Cluster, ClusterArgs},
        inputs::{self, Inputs},
        output::{Failure, Output},
    },
    derived::{Derived, derived},
};
use crate::{
    api::MailDomain,
    dns::{RECORDS_KEY, Record},
    domain,
};

/// Domains whose records are read at most.
const DOMAINS_MAX: usize = 1000;

/// Sentences on what is missing that are shown; the rest is counted.
const MISSING_SHOWN_MAX: usize = 20;

/// Domains that are named in an answer.
const NAMES_MAX: usize = 10;

/// Where the records come from.
#[derive(Debug, clap::Args)]
pub struct Origin {
    /// YAML files or folders (not their sub-folders); left out: the cluster is asked.
    #[arg(short = 'f', long = "file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// The data directory of `paquebot up`: its DKIM keys are shown.
    #[arg(long, value_name = "DIRECTORY", requires = "files")]
    data: Option<PathBuf>,
    /// Only this domain.
    domain: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// A domain, and the records that follow.
pub struct Wanted {
    /// Its name.
    pub domain: String,
    /// Its records.
    pub records: Vec<Record>,
    /// The resolvers that are declared for it.
    pub resolvers: Vec<String>,
    /// Why what is shown is not all; none: it is.
    pub missing: Option<String>,
}

/// All that is known, and what is not.
#[derive(Default)]
pub struct All {
    /// The domains whose records are known, wholly or in part.
    pub domains: Vec<Wanted>,
    /// Domains of which nothing is known: why, and what to do.
    pub missing: Vec<String>,
}

impl All {
    /// What to fail with after the records were shown, where some are missing.
    ///
    /// # Errors
    /// Some are.
    pub fn complete(&self) -> Result<(), Failure> {
        let parts = self.domains.iter().filter_map(|it| it.missing.as_deref());
        let missing: Vec<&str> = parts.chain(self.missing.iter().map(String::as_str)).collect();
        if missing.is_empty() { Ok(()) } else { Err(Failure::Partial(listed(&missing))) }
    }
}

/// One a line; of too many the rest is counted.
fn listed(missing: &[&str]) -> String {
    let mut lines: Vec<String> = missing.iter().take(MISSING_SHOWN_MAX).map(|it| (*it).to_owned()).collect();
    let more = missing.len().saturating_sub(MISSING_SHOWN_MAX);
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines.join("\n")
}

impl Origin {
    /// The records of all domains or of one, and what is missing.
    ///
    /// # Errors
    /// Invalid YAML, an unknown domain, an unreadable key, no cluster.
    pub async fn wanted(&self, out: &mut Output) -> Result<All, Failure> {
        let only = self.domain.as_ref().map(|it| it.trim_end_matches('.').to_lowercase());
        if !self.files.is_empty() {
            let inputs = Inputs { files: self.files.clone(), data: self.data.clone() };
            return of_files(&inputs, only.as_deref(), out);
        }
        let connected = self.cluster.connect().await;
        let cluster = connected.map_err(|failure| {
            let why = failure.to_string();
            let why = why.trim().trim_start_matches("paquebot: ");
            Failure::Usage(format!("the records follow from YAML or from a cluster: give --file, or a cluster: {why}"))
        })?;
        of_cluster(&cluster, only.as_deref()).await
    }
}

fn of_files(inputs: &Inputs, only: Option<&str>, out: &mut Output) -> Result<All, Failure> {
    let resources = inputs.load()?;
    let names: Vec<String> = resources.domains.iter().map(|it| it.object.name_any()).collect();
    known(only, &names, "")?;
    let mut found = Vec::new();
    for it in &resources.domains {
        let name = it.object.name_any();
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let Some(facts) = inputs::facts(&resources, &it.object) else { continue };
        let keys = inputs.keys(&resources, &it.object)?;
        let keys: Vec<_> = keys.iter().map(domain::keys::KeyPair::public_key).collect();
        let records = domain::records(&it.object, &facts, &keys);
        domain::notes(&it.object, &facts, &keys).iter().for_each(|note| out.note(note));
        let resolvers = it.object.spec.dns.verification.resolvers.clone();
        found.push(Wanted { domain: name, records, resolvers, missing: None });
    }
    Ok(All { domains: found, missing: Vec::new() })
}

/// An unknown domain is told which ones there are. `place`: begins with a space, or is empty.
fn known(only: Option<&str>, names: &[String], place: &str) -> Result<(), Failure> {
    let Some(only) = only.filter(|only| !names.iter().any(|it| it == only)) else { return Ok(()) };
    let all = match (names.is_empty(), names.len().saturating_sub(NAMES_MAX)) {
        (true, _) => "none is".to_owned(),
        (_, 0) => names.join(", "),
        (_, more) => {
            let first: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
            format!("{} and {more} more", first.join(", "))
        }
    };
    Err(Failure::Usage(format!("the domain {only:?} is not declared{place}: declared: {all}")))
}

async fn of_cluster(cluster: &Cluster, only: Option<&str>) -> Result<All, Failure> {
    let domains: Vec<MailDomain> = cluster.list(None).await?;
    let names: Vec<String> = domains.iter().map(ResourceExt::name_any).collect();
    let place = cluster.namespace.as_ref().map_or_else(
        || " in the cluster".to_owned(),
        |it| format!(" in the namespace {it} (-n names another, -A all)"),
    );
    known(only, &names, &place)?;
    let mut all = All::default();
    for domain in domains.iter().filter(|it| only.is_none_or(|only| it.name_any() == only)).take(DOMAINS_MAX) {
        match of_domain(cluster, domain).await {
            Ok(wanted) => all.domains.push(wanted),
            // Where one domain was asked for, its failure is the answer.
            Err(failure) if only.is_some() => return Err(failure),
            Err(failure) => {
                all.missing.push(failure.to_string().trim().trim_start_matches("paquebot: ").to_owned());
            }
        }
    }
    if domains.len() > DOMAINS_MAX && only.is_none() {
        all.missing.push(format!(
            "only the first {DOMAINS_MAX} of {} domains: name one, or a namespace with -n",
            domains.len()
        ));
    }
    match (all.domains.is_empty(), domains.is_empty()) {
        (false, _) => Ok(all),
        (true, true) => {
            Err(Failure::Failed(format!("no MailDomain is declared{place}: see how to begin with `paquebot status`")))
        }
        (true, false) => {
            let missing: Vec<&str> = all.missing.iter().map(String::as_str).collect();
            Err(Failure::Failed(format!("no domain has records yet:\n{}", listed(&missing))))
        }
    }
}

/// The records that the operator wrote into the domain's ConfigMap, else what is known of them.
async fn of_domain(cluster: &Cluster, domain: &MailDomain) -> Result<Wanted, Failure> {
    let (name, namespace) = (domain.name_any(), domain.namespace().unwrap_or_default());
    let resolvers = domain.spec.dns.verification.resolvers.clone();
    let map = domain.status.as_ref().and_then(|it| it.zone_config_map.clone());
    let mut why = "spec.dns.zoneFile is not set, so that the operator writes no ConfigMap".to_owned();
    if let Some(map) = map.filter(|_| domain.spec.dns.zone_file.is_some()) {
        match cluster.get::<ConfigMap>(&namespace, &map).await {
            Ok(Some(found)) => {
                let records = of_map(&map, &found.data.unwrap_or_default()).map_err(|why| failed(domain, &why))?;
                return Ok(Wanted { domain: name, records, resolvers, missing: None });
            }
            Ok(None) => why = format!("the ConfigMap {map} is not there"),
            Err(unread) if unread.is_forbidden() => why = unread.to_string(),
            Err(unread) => return Err(unread.into()),
        }
    }
    if domain.status.as_ref().is_none_or(|it| it.records.is_empty()) {
        let advice =
            format!("the operator says nothing of its records yet: see `paquebot status {name} -n {namespace}`");
        return Err(failed(domain, &advice));
    }
    let Derived { records, unknown } = derived(cluster, domain).await;
    let missing = (!unknown.is_empty()).then(|| {
        let advice = match domain.spec.dns.zone_file {
            None => "set spec.dns.zoneFile to {}, and the operator writes all of them down",
            Some(_) => "see `paquebot status`, or ask somebody with more rights",
        };
        format!(
            "MailDomain {namespace}/{name}: {why}; these records are not known here: {}: {advice}",
            unknown.join(", ")
        )
    });
    match (records.is_empty(), missing) {
        (true, Some(missing)) => Err(Failure::Failed(missing)),
        (_, missing) => Ok(Wanted { domain: name, records, resolvers, missing }),
    }
}

fn failed(domain: &MailDomain, why: &str) -> Failure {
    Failure::Failed(format!("MailDomain {}/{}: {why}", domain.namespace().unwrap_or_default(), domain.name_any()))
}

fn of_map(name: &str, data: &BTreeMap<String, String>) -> Result<Vec<Record>, String> {
    let text = data.get(RECORDS_KEY).map_or("", String::as_str);
    serde_json::from_str(text).map_err(|error| {
        format!("the ConfigMap {name} is not of this version ({error}): upgrade the operator, or this program")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_of_which_nothing_is_known_is_not_overlooked() {
        let wanted = |missing: Option<&str>| Wanted {
            domain: "a.example".into(),
            records: Vec::new(),
            resolvers: Vec::new(),
            missing: missing.map(str::to_owned),
        };
        let all = |part: Option<&str>, missing: usize| {
            let missing = (0..missing).map(|it| format!("MailDomain mail/d{it}: why")).collect();
            All { domains: vec![wanted(part)], missing }.complete()
        };
        assert!(all(None, 0).is_ok());
        for (part, missing, said) in [
            (Some("a part"), 0, "paquebot: a part\n"),
            (None, 1, "paquebot: MailDomain mail/d0: why\n"),
            (Some("a part"), 1, "paquebot: a part\nMailDomain mail/d0: why\n"),
            (None, 50, "mail/d19: why\nand 30 more\n"),
        ] {
            let failure = all(part, missing).unwrap_err();
            assert_eq!(failure.exit_code(), 3);
            assert!(failure.to_string().ends_with(said), "{failure}");
        }
    }

    #[test]
    fn an_unknown_domain_is_told_which_there_are() {
        let names = ["a.example".to_owned(), "b.example".to_owned()];
        assert!(known(Some("a.example"), &names, "").is_ok() && known(None, &[], "").is_ok());
        let text = |names: &[String], place| known(Some("c.example"), names, place).unwrap_err().to_string();
        assert!(text(&names, "").contains("is not declared: declared: a.example, b.example"));
        assert!(text(&[], " in the cluster").contains("is not declared in the cluster: declared: none is"));
    }
}
