//! Writes the records of a MailDomain for people and for external-dns, and has the name servers asked for them.

use std::sync::Arc;

use kube::{Resource, ResourceExt, api::GroupVersionKind};
use serde_json::{Value, json};

use crate::{
    api::{MailDomain, domain::VerificationMode},
    controllers::{
        context::{Context, Fault, refused},
        table::Name,
        world::DNS_ENDPOINT,
    },
    dns::{self, Record, verify::Verification},
    domain::{
        self,
        claims::{self, Claim},
        conditions::Unpublished,
        key_secret,
    },
    names::{base, labels},
};

/// Writes the records for people and for external-dns. Says what keeps them from being written.
pub(super) async fn publish(
    context: &Context,
    domain: &MailDomain,
    records: &[Record],
    claim: &Claim,
) -> Result<Unpublished, Fault> {
    // One that is refused does not keep the other back.
    let zone = refused(zone(context, domain, records, claim).await)?;
    match endpoint(context, domain, records, claim).await {
        Ok(note) => Ok(Unpublished { note, refused: zone }),
        Err(fault) => {
            let endpoint = fault.refused()?;
            Ok(Unpublished { note: None, refused: Some(zone.unwrap_or(endpoint)) })
        }
    }
}

/// The ConfigMap for people.
async fn zone(context: &Context, domain: &MailDomain, records: &[Record], claim: &Claim) -> Result<(), Fault> {
    if !claim.is_accepted() {
        return Ok(());
    }
    let zone = Name::new(domain.namespace().unwrap_or_default(), zone_name(domain));
    if domain.spec.dns.zone_file.is_none() {
        remove(context, ("", "v1", "ConfigMap"), &zone).await?;
    } else if !records.is_empty() {
        let (base, data) = (base("MailDomain", &domain.name_any()), json!(dns::config_map_data(records)));
        let map = object(domain, "v1", "ConfigMap", &zone, &base, ("data", data));
        context.applier.apply(&map).await?;
    }
    Ok(())
}

/// The DNSEndpoint for external-dns. Says what keeps it from being written.
async fn endpoint(
    context: &Context,
    domain: &MailDomain,
    records: &[Record],
    claim: &Claim,
) -> Result<Option<String>, Fault> {
    let (namespace, base) = (domain.namespace().unwrap_or_default(), base("MailDomain", &domain.name_any()));
    let granted = domain::name(domain).is_some_and(|name| context.settings.dns.grants(&name, &namespace));
    let endpoint = Name::new(namespace.clone(), base.clone());
    let kind = (DNS_ENDPOINT.0, DNS_ENDPOINT.1, DNS_ENDPOINT.2);
    if !claim.is_accepted() {
        // A refused edit does not take records away; a name that is another's, a grant that is gone, or one's own word
        // does.
        let unwanted = domain.spec.dns.dns_endpoint.is_none();
        if !claim.keeps_entries() || !granted || unwanted {
            remove(context, kind, &endpoint).await?;
        }
        return Ok(None);
    }
    let (Some(wanted), Some(name)) = (&domain.spec.dns.dns_endpoint, domain::name(domain)) else {
        remove(context, kind, &endpoint).await?;
        return Ok(None);
    };
    if !granted {
        remove(context, kind, &endpoint).await?;
        return Ok(Some(format!(
            "no DNSEndpoint is written, because dns.zones of the operator's settings does not grant {name} to the namespace {namespace}"
        )));
    }
    if let Some(other) = older(context, domain) {
        remove(context, kind, &endpoint).await?;
        return Ok(Some(format!(
            "no DNSEndpoint is written, because the MailDomain {other} is older and publishes {name}: delete one of the two"
        )));
    }
    if records.is_empty() {
        return Ok(None);
    }
    let spec = dns::endpoint(&name, records, wanted.txt_format);
    let version = format!("{}/{}", kind.0, kind.1);
    let object = object(domain, &version, kind.2, &endpoint, &base, ("spec", spec));
    match context.applier.apply(&object).await {
        // Where it does, this API server has not heard of it yet.
        Err(error) if error.code() == Some(404) && !context.world.is_present(kind.2) => Ok(Some(
            "no DNSEndpoint is written, because the cluster does not know the kind: install external-dns".into(),
        )),
        other => Ok(other.map(|_| None)?),
    }
}

/// Another MailDomain of this name, on whichever server, that was first and may publish it: a name is published once.
fn older(context: &Context, domain: &MailDomain) -> Option<Name> {
    let (me, own) = (claims::precedence(domain), domain::name(domain)?);
    let first = |name: &Name| {
        let other = context.world.domains.get(name)?;
        let publishes = other.metadata.deletion_timestamp.is_none()
            && other.spec.dns.dns_endpoint.is_some()
            && context.settings.dns.grants(&own, &name.namespace)
            && super::has_name(context, &other);
        (publishes && claims::precedence(&*other) < me).then(|| name.clone())
    };
    context.world.domains_by_name.with(&domain.name_any()).iter().find_map(first)
}

async fn remove(context: &Context, kind: (&str, &str, &str), name: &Name) -> Result<(), Fault> {
    if context.world.owned(kind.2, name).is_some() {
        context.applier.delete(&GroupVersionKind::gvk(kind.0, kind.1, kind.2), name, false).await?;
    }
    Ok(())
}

/// The ConfigMap with the zone.
pub(super) fn zone_name(domain: &MailDomain) -> String {
    format!("{}-zone", base("MailDomain", &domain.name_any()))
}

fn object(domain: &MailDomain, version: &str, kind: &str, name: &Name, base: &str, body: (&str, Value)) -> Value {
    json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {
            "name": name.name,
            "namespace": name.namespace,
            "labels": labels(base, "dns"),
            "annotations": {key_secret::DOMAIN_ANNOTATION: domain.name_any()},
            "ownerReferences": [domain.controller_owner_ref(&())],
        },
        body.0: body.1,
    })
}

/// What the name servers said of just these records.
pub(super) fn look(
    context: &Context,
    name: &Name,
    domain: &MailDomain,
    records: &[Record],
) -> Option<Arc<Verification>> {
    let verification = &domain.spec.dns.verification;
    let resolvers = dns::resolvers(&verification.resolvers, &context.settings.dns.resolvers).unwrap_or_default();
    if records.is_empty() || verification.mode == VerificationMode::Disabled {
        context.name_servers.forget(name);
        return None;
    }
    context.name_servers.want(name, records, &resolvers)
}
