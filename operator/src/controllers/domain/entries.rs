//! What follows from a MailDomain and its Mailboxes for the server's directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use paquebot_mta_api::{address::Address, directory::LoginKeys};
use uuid::Uuid;

use crate::{
    api::{MailDomain, Mailbox},
    controllers::{
        context::{Context, Fault},
        logins::{self, Wanted as WantedLogin},
        state::{DomainState, MailboxState},
        table::Name,
    },
    directory::Wanted,
    domain::{self, claims::Claim, ids, key_plan},
    mailbox::{
        claims::Claim as MailboxClaim,
        password::{self, Password, PasswordFault},
    },
};

pub(super) fn mailboxes(context: &Context, domain: &Name) -> Vec<Arc<Mailbox>> {
    let names = context.world.mailboxes_of_domain.with(domain);
    let there = |it: &Arc<Mailbox>| it.metadata.deletion_timestamp.is_none();
    names.iter().filter_map(|it| context.world.mailboxes.get(it)).filter(there).collect()
}

/// What follows for the directory, and what keeps the postmaster that is made from logging in.
pub(super) async fn directory_state(
    context: &Context,
    domain: &MailDomain,
    server: &Name,
    claim: &Claim,
    plan: &key_plan::Plan,
) -> Result<(DomainState, Option<PasswordFault>), Fault> {
    let name = Name::of(domain);
    if !claim.is_accepted() {
        let keeps = claim.keeps_entries();
        let same = |it: &DomainState| it.is_for(server, ids::uid(domain));
        let before = context.state.domain(&name).filter(|it| keeps && same(it)).unwrap_or_default();
        let mut wanted = before.wanted;
        // A Mailbox that is deleted meanwhile is deleted.
        let mailboxes = mailboxes(context, &name);
        let live: BTreeSet<Uuid> = mailboxes.iter().map(|it| ids::uid(&**it)).chain([ids::uid(domain)]).collect();
        wanted.retain(|it| live.contains(&it.entry.owner));
        let state = DomainState {
            server: Some(server.clone()),
            uid: ids::uid(domain),
            wanted,
            incomplete: keeps,
            generations: before.generations,
            ..DomainState::default()
        };
        return Ok((state, None));
    }
    let mut logins: BTreeMap<Address, String> = BTreeMap::new();
    let (mut accepted, mut unknown, mut generations) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for mailbox in mailboxes(context, &name) {
        let uid = ids::uid(&*mailbox);
        match context.state.mailbox(&Name::of(&*mailbox)).filter(|it| it.uid == uid) {
            Some(state) if state.claim.is_accepted() || state.claim.keeps_entries() => {
                if state.claim.keeps_entries() {
                    unknown.insert(uid);
                }
                if let (Ok(digest), Ok(address)) = (&state.password, mailbox.spec.address.parse::<Address>()) {
                    logins.insert(address.folded(), digest.clone());
                    generations.insert(uid, state.generation);
                }
                accepted.push(mailbox);
            }
            // Not looked at yet, or not since the domain is accepted: what the directory has of it stays until then.
            None
            | Some(MailboxState {
                claim: MailboxClaim::DomainNotFound(_) | MailboxClaim::DomainNotAccepted(_), ..
            }) => {
                unknown.insert(uid);
            }
            Some(_) => {}
        }
    }
    let accepted: Vec<&Mailbox> = accepted.iter().map(|it| &**it).collect();
    let mut no_login = None;
    if let Some(postmaster) = made_postmaster(domain, &accepted) {
        match postmaster_password(context, domain, &postmaster).await? {
            Ok(digest) => drop(logins.insert(postmaster.folded(), digest)),
            Err(fault) => no_login = Some(fault),
        }
    }
    let login = |address: &Address| logins.get(&address.folded()).cloned().map(LoginKeys::underived);
    let uid = ids::uid(domain);
    let entries = domain::entries(domain, &accepted, &plan.sign_with, &login);
    let wanted = entries.into_iter().map(|entry| Wanted { entry, domain: uid }).collect();
    let keep = plan.keep_sealed.iter().map(|selector| format!("dkim/{}/{selector}", name.name)).collect();
    generations.insert(uid, domain.metadata.generation.unwrap_or_default());
    let state = DomainState {
        server: Some(server.clone()),
        uid,
        wanted,
        incomplete: false,
        unknown,
        generations,
        keep,
        accepted: true,
    };
    Ok((state, no_login))
}

/// The postmaster's address, where nobody declared it.
fn made_postmaster(domain: &MailDomain, mailboxes: &[&Mailbox]) -> Option<Address> {
    let declared = |it: &Address| {
        let address = it.folded();
        mailboxes.iter().any(|mailbox| mailbox.spec.address.parse::<Address>().is_ok_and(|it| it.folded() == address))
    };
    let all = domain::mailbox_addresses(domain, mailboxes);
    all.into_iter().find(|it| it.local() == domain::POSTMASTER && !declared(it))
}

/// The digest of the postmaster's password, whose Secret is made if absent.
async fn postmaster_password(
    context: &Context,
    domain: &MailDomain,
    postmaster: &Address,
) -> Result<Result<String, PasswordFault>, Fault> {
    let generated = |made: &Password| password::postmaster_secret(domain, made);
    let wanted = WantedLogin {
        owner: domain,
        address: Some(postmaster.clone()),
        reference: password::postmaster_reference(domain),
        generated: Some(&generated),
    };
    logins::digest(context, &wanted).await
}
