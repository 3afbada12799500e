//! The status of a MailDomain.

use crate::{
    api::{
        MailDomain,
        domain::{MailDomainStatus, RecordStatus},
    },
    conditions::{self, Finding},
    controllers::{
        context::{Context, Fault},
        directories,
        programmed::{Subject, programmed},
        status,
        table::Name,
    },
    dns::{self, Record, verify::Verification},
    domain::{
        self,
        claims::Claim,
        conditions::{Inputs, Unpublished},
        key_plan,
    },
    server::Facts,
};

use super::publish::zone_name;

/// What the status is about.
pub(super) struct About<'a> {
    pub server_name: &'a Name,
    pub claim: &'a Claim,
    /// `None`: what follows is not known now, and what was said of keys and records stays.
    pub plan: Option<&'a key_plan::Plan>,
    /// What the key plan says, and what else stands in the way.
    pub findings: &'a [key_plan::KeyFinding],
    pub facts: Option<&'a Facts>,
    pub unpublished: &'a Unpublished,
}

/// Writes it. Says whether other DKIM records are verified than before: then other keys may sign.
pub(super) async fn say(
    context: &Context,
    domain: &MailDomain,
    records: &[Record],
    seen: Option<&Verification>,
    about: &About<'_>,
) -> Result<bool, Fault> {
    let before = domain.status.clone().unwrap_or_default();
    let now = context.now();
    let plan = about.plan.filter(|_| about.claim.is_accepted());
    let statuses = match (plan, seen) {
        (None, _) => before.records.clone(),
        (_, Some(seen)) => dns::verify::record_statuses(seen, &before.records, now),
        (_, None) => unseen(records, &before.records),
    };
    let mut dns = seen.map(dns::verify::summary).or_else(|| kept(domain, &before, &statuses));
    if about.facts.is_none() && about.claim.is_accepted() {
        dns =
            Some(Finding::unknown("DNSVerified", "Waiting", "the records follow when the MailServer has a host name"));
    }
    let report = context.directories.report(about.server_name);
    let pods = directories::reached_pods(&context.world, about.server_name);
    let stays = context.state.domain(&Name::of(domain)).is_some_and(|it| it.incomplete);
    let programmed = programmed(&report, &pods, &Subject::of(domain, &before.conditions, stays));
    let available = context.state.server(about.server_name).map(|it| it.available);
    let findings = domain::conditions::conditions(&Inputs {
        domain,
        claim: about.claim,
        keys: about.findings,
        programmed: &programmed,
        dns: dns.as_ref(),
        unpublished: about.unpublished,
        available: available.as_ref(),
    });
    let after = MailDomainStatus {
        observed_generation: domain.metadata.generation,
        conditions: conditions::set(&before.conditions, &findings, domain.metadata.generation, now),
        records: statuses,
        keys: match plan {
            Some(plan) => plan.status.clone(),
            None if about.claim.is_accepted() || about.claim.keeps_entries() => before.keys.clone(),
            // The name is another's, and what was said of its keys shall not speak for this one.
            None => Vec::new(),
        },
        server: Some(about.server_name.to_string()),
        zone_config_map: domain.spec.dns.zone_file.as_ref().map(|_| zone_name(domain)),
    };
    status::write(context, domain, domain.status.as_ref(), &after).await?;
    status::tell(context, domain, domain.status.as_ref().map(|it| &it.conditions), &after.conditions).await;
    Ok(key_plan::verified(&before.records) != key_plan::verified(&after.records))
}

/// Records that were not looked at: as they were known, else unknown.
fn unseen(records: &[Record], before: &[RecordStatus]) -> Vec<RecordStatus> {
    let status = |record: &Record| {
        let known = before.iter().find(|it| it.id == record.id).cloned();
        known.unwrap_or_else(|| RecordStatus {
            id: record.id.clone(),
            kind: record.data.kind().to_owned(),
            state: "Unknown".to_owned(),
            reason: None,
            since: None,
            value: None,
        })
    };
    records.iter().map(status).collect()
}

/// Before the first look of this process: what was found of the same records of the same spec still holds.
fn kept(domain: &MailDomain, before: &MailDomainStatus, records: &[RecordStatus]) -> Option<Finding> {
    use conditions::State;
    let old = conditions::find(&before.conditions, "DNSVerified")?;
    let same = before.observed_generation == domain.metadata.generation && before.records == records;
    let state = match old.status.as_str() {
        "True" => State::True,
        "False" => State::False,
        _ => return None,
    };
    same.then(|| Finding { kind: "DNSVerified", state, reason: old.reason.clone(), message: old.message.clone() })
}
