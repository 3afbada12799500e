//! Mailboxes: fetch, validate, build, apply, status.

use std::{collections::BTreeMap, sync::Arc};

use kube::ResourceExt;
use paquebot_mta_api::address::Address;

use super::{
    context::{Context, Fault},
    directories,
    logins::{self, Wanted},
    programmed::{Subject, programmed},
    queue::Done,
    state::MailboxState,
    status,
    table::Name,
    world::Key,
};
use crate::{
    api::{MailDomain, Mailbox, mailbox::MailboxStatus},
    conditions,
    domain::{claims::server_of, ids},
    mailbox::{
        claims::{self, Claim},
        conditions::{Inputs, conditions as findings},
        password::{self, Password, PasswordFault},
    },
};

/// Reconciles a Mailbox.
///
/// # Errors
/// Something could not be read or written: tried again later.
pub async fn reconcile(context: &Context, name: &Name) -> Result<Done, Fault> {
    let Some(mailbox) = context.world.mailboxes.get(name).filter(|it| it.metadata.deletion_timestamp.is_none()) else {
        context.statuses.forget("Mailbox", name);
        if let Some(state) = context.state.mailbox(name) {
            context.state.set_logins(state.uid, BTreeMap::new());
        }
        if context.state.set_mailbox(name, None)
            && let Some(domain) = context.world.mailboxes.get(name).and_then(|it| domain_of(context, &it))
        {
            // It is being deleted: disabled at once, however long others hold it.
            context.world.queue.add(Key::Domain(Name::of(&*domain)));
        }
        return Ok(Done::Settled);
    };
    let domain = domain_of(context, &mailbox);
    let claim = claim(context, &mailbox, domain.as_deref());
    let fault = match password(context, &mailbox).await {
        Ok(password) => {
            let fault = password.as_ref().err().cloned();
            let (uid, generation) = (ids::uid(&*mailbox), mailbox.metadata.generation.unwrap_or_default());
            if let Some(other) = context.state.mailbox(name).filter(|it| it.uid != uid) {
                context.state.set_logins(other.uid, BTreeMap::new());
            }
            if context.state.set_mailbox(name, Some(MailboxState { uid, generation, claim: claim.clone(), password }))
                && let Some(domain) = &domain
            {
                context.world.queue.add(Key::Domain(Name::of(&**domain)));
            }
            fault
        }
        // What is known of it, and what the directory has of it, stays.
        Err(fault) => Some(PasswordFault::Refused(fault.refused()?)),
    };
    say(context, &mailbox, domain.as_deref(), &claim, fault.as_ref()).await?;
    Ok(match fault.as_ref().and_then(PasswordFault::passing) {
        Some(refusal) => {
            tracing::warn!(mailbox = %name, %refusal, "an object is refused: it is tried again, later each time");
            Done::Failed
        }
        None => Done::Settled,
    })
}

/// The MailDomain of its address, in its own namespace.
fn domain_of(context: &Context, mailbox: &Mailbox) -> Option<Arc<MailDomain>> {
    let address: Address = mailbox.spec.address.parse().ok()?;
    let name = Name::new(mailbox.namespace().unwrap_or_default(), address.domain().as_str());
    context.world.domains.get(&name).filter(|it| it.metadata.deletion_timestamp.is_none())
}

fn claim(context: &Context, mailbox: &Mailbox, domain: Option<&MailDomain>) -> Claim {
    let rivals: Vec<Arc<Mailbox>> = match domain {
        Some(domain) => {
            let names = context.world.mailboxes_of_domain.with(&Name::of(domain));
            names.iter().filter_map(|it| context.world.mailboxes.get(it)).collect()
        }
        None => Vec::new(),
    };
    let rivals: Vec<&Mailbox> =
        rivals.iter().map(|it| &**it).filter(|it| it.metadata.deletion_timestamp.is_none()).collect();
    let accepted = domain.is_some_and(|it| super::domain::has_name(context, it));
    claims::claim(mailbox, domain, accepted, &rivals, |it| has_address(context, it))
}

/// Whether it was given its address. What we found out ourselves is newer than what the watch has brought back of the
/// status.
fn has_address(context: &Context, mailbox: &Mailbox) -> bool {
    let same = |it: &MailboxState| {
        it.uid == ids::uid(mailbox) && it.generation == mailbox.metadata.generation.unwrap_or_default()
    };
    let ours = context.state.mailbox(&Name::of(mailbox)).filter(same);
    ours.map_or_else(|| claims::was_given(mailbox), |it| it.claim.is_accepted())
}

/// The digest of its password; a generated one is made if absent.
async fn password(context: &Context, mailbox: &Mailbox) -> Result<Result<String, PasswordFault>, Fault> {
    let generated = |made: &Password| password::secret(mailbox, made);
    let wanted = Wanted {
        owner: mailbox,
        address: mailbox.spec.address.parse().ok(),
        reference: password::reference(mailbox),
        generated: mailbox.spec.password_secret_ref.is_none().then_some(&generated),
    };
    logins::digest(context, &wanted).await
}

async fn say(
    context: &Context,
    mailbox: &Mailbox,
    domain: Option<&MailDomain>,
    claim: &Claim,
    password: Option<&PasswordFault>,
) -> Result<(), Fault> {
    let server = domain.map(|it| {
        let (namespace, name) = server_of(it);
        Name::new(namespace, name)
    });
    let report = server.as_ref().map(|it| context.directories.report(it)).unwrap_or_default();
    let pods = server.map(|it| directories::reached_pods(&context.world, &it)).unwrap_or_default();
    let before = mailbox.status.clone().unwrap_or_default();
    let state = domain.and_then(|it| context.state.domain(&Name::of(it)));
    let stays = state.is_some_and(|it| it.incomplete || it.unknown.contains(&ids::uid(mailbox)));
    let programmed = programmed(&report, &pods, &Subject::of(mailbox, &before.conditions, stays));
    let findings = findings(&Inputs { mailbox, claim, password, programmed: &programmed });
    let generation = mailbox.metadata.generation;
    let after = MailboxStatus {
        observed_generation: generation,
        conditions: conditions::set(&before.conditions, &findings, generation, context.now()),
        secret_name: Some(password::reference(mailbox).name),
    };
    status::write(context, mailbox, mailbox.status.as_ref(), &after).await?;
    status::tell(context, mailbox, mailbox.status.as_ref().map(|it| &it.conditions), &after.conditions).await;
    Ok(())
}
