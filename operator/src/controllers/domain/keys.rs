//! The DKIM keys of a MailDomain: planned with, made where the plan wants it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use crate::{
    api::{MailDomain, domain::Algorithm},
    controllers::{
        context::{Context, Fault},
        secrets::{Data, create, list, read},
        table::Name,
    },
    domain::{claims, ids, key_plan, key_secret, keys as made},
    names::base,
    refusal::Refusal,
};

/// What was planned, and what was refused of it.
pub(super) type Planned = Option<(key_plan::Plan, Option<Refusal>)>;

/// Rounds of making keys: a name that somebody else has costs one.
const ROUNDS_MAX: usize = 4;

/// The key plan; keys that it wants made are made, and planned with. With what the API server refused, where the domain
/// can go on with the keys that it has. `None`: the domain waits for its first key, and is looked at again with it.
///
/// # Errors
/// Keys cannot be read or made now, and the domain has none to sign with.
pub(super) async fn plan(context: &Context, domain: &MailDomain) -> Result<Planned, Fault> {
    let namespace = domain.namespace().unwrap_or_default();
    let base = base("MailDomain", &domain.name_any());
    let mut imports: Vec<Option<Arc<Data>>> = Vec::new();
    for import in &domain.spec.dkim.imported {
        let name = Name::new(namespace.clone(), import.secret_ref.name.clone());
        imports.push(context.data.get(&name, |it| Arc::new(it.data.clone().unwrap_or_default())).await?);
    }
    let imports: Vec<Option<&Data>> = imports.iter().map(|it| it.as_deref()).collect();
    let records = domain.status.as_ref().map_or(&[][..], |it| &it.records);
    let verified = key_plan::verified(records);
    let (at, server) = claims::server_of(domain);
    let report = context.directories.report(&Name::new(at, server));
    let sealed = report.sealed_of(&domain.name_any(), ids::uid(domain));
    let planned = |found: &[key_secret::Found]| {
        let inputs = key_plan::Inputs {
            domain,
            found,
            imports: &imports,
            sealed: sealed.as_ref(),
            verified: &verified,
            now: context.now(),
        };
        key_plan::plan(&inputs)
    };
    let mut found = Vec::new();
    for name in context.world.secrets_of.with(&Name::new(namespace.clone(), base.clone())) {
        if name.name.starts_with(&base) && !name.name.ends_with("-postmaster") {
            found.extend(context.keys.get(&name, |secret| key_secret::read(domain, secret)).await?);
        }
    }
    let first = planned(&found);
    drop_unwanted(context, domain, &first);
    if first.make.is_empty() && first.keep_sealed.is_empty() {
        return Ok(Some((first, None)));
    }
    // Something seems to be missing. A watch may be late: what is made now would be made twice.
    let secrets = list(context.client(), &namespace, &base, key_secret::COMPONENT).await?;
    let mut found: Vec<_> = secrets.iter().map(|it| key_secret::read(domain, it)).collect();
    for _ in 0..ROUNDS_MAX {
        let plan = planned(&found);
        drop_unwanted(context, domain, &plan);
        let mut make = plan.make;
        if make.is_empty() {
            break;
        }
        // A domain begins with all of its keys: first the one that may have to be waited for.
        make.sort_by_key(|new| new.key.algorithm != Algorithm::Rsa);
        let mut waits = false;
        for new in make {
            match make_key(context, domain, &new).await {
                Ok(Some(secret)) => found.push(key_secret::read(domain, &secret)),
                Ok(None) if !first.signs() => return Ok(None),
                Ok(None) => waits = true,
                Err(fault) => {
                    let refusal = fault.refusal();
                    let plan = planned(&found).without_new();
                    return if refusal.is_some() && plan.signs() { Ok(Some((plan, refusal))) } else { Err(fault) };
                }
            }
        }
        if waits {
            return Ok(Some((planned(&found).without_new(), None)));
        }
    }
    Ok(Some((planned(&found), None)))
}

/// A key that was made and is not wanted any more, because its Secret is there or the spec is another, goes: no later key
/// is the same.
fn drop_unwanted(context: &Context, domain: &MailDomain, plan: &key_plan::Plan) {
    if !plan.make.iter().any(|new| new.key.algorithm == Algorithm::Rsa) {
        context.making.forget(&Name::of(domain));
    }
}

/// Makes a key's Secret; `None`: the key itself is being made.
async fn make_key(context: &Context, domain: &MailDomain, new: &key_plan::NewKey) -> Result<Option<Secret>, Fault> {
    context.applier.may_write()?;
    let made = match new.key.algorithm {
        Algorithm::Rsa => context.making.key(&Name::of(domain), new),
        Algorithm::Ed25519 => Some(made::generate(&new.selector, &new.key)),
    };
    let Some(pair) = made.transpose()? else { return Ok(None) };
    let secret = key_secret::build(domain, &pair, Some(context.now()));
    let is_new = create(&context.applier, &secret).await?;
    if !is_new {
        // Somebody has that name: what lies there counts, never what was made here and kept nowhere.
        let there = read(context.client(), &Name::of(&secret)).await?;
        return there.map(Some).ok_or(Fault::System("a key's Secret is neither there nor could it be made"));
    }
    let selector = &new.selector;
    let note = format!("made the DKIM key {selector}, in the Secret {}", secret.name_any());
    context.events.tell(domain, false, "KeyGenerated", &note).await;
    Ok(Some(secret))
}
