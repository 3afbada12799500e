//! Who has an address. Pure.
//!
//! A Mailbox lives in its MailDomain's namespace; what another namespace has is not told. An address belongs to the
//! Mailbox that has it already, a free one to the oldest; a name that the MailDomain gives to an alias is taken.

use paquebot_mta_api::address::Address;

use crate::{
    api::{MailDomain, Mailbox},
    conditions,
    domain::{claims::precedence, ids},
    load::schema::Finding,
};

/// What became of a Mailbox's claim to its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The address is its own.
    Accepted,
    /// The spec is wrong. What was programmed before stays programmed.
    InvalidSpec(Vec<Finding>),
    /// There is no such MailDomain in its namespace.
    DomainNotFound(String),
    /// The MailDomain itself was refused.
    DomainNotAccepted(String),
    /// The MailDomain gives the name to an alias.
    IsAlias(String),
    /// Another Mailbox has the address: its name.
    HeldByAnother(String),
}

impl Claim {
    /// Whether the entry belongs in the directory.
    pub fn is_accepted(&self) -> bool {
        *self == Self::Accepted
    }

    /// Whether the entry that the directory has stays as it is.
    pub fn keeps_entries(&self) -> bool {
        matches!(self, Self::InvalidSpec(_))
    }
}

/// The claim of one Mailbox.
///
/// `domain`: the MailDomain of its address in its namespace. `accepted`: whether that one was. `rivals`: the Mailboxes
/// of the same namespace and address, case aside, itself among them or not. `has_it`: whether a Mailbox was given its
/// address, as [`was_given`] says at least.
pub fn claim(
    mailbox: &Mailbox,
    domain: Option<&MailDomain>,
    accepted: bool,
    rivals: &[&Mailbox],
    has_it: impl Fn(&Mailbox) -> bool,
) -> Claim {
    let findings = super::validate(mailbox);
    let Ok(address) = mailbox.spec.address.parse::<Address>() else { return Claim::InvalidSpec(findings) };
    let Some(domain) = domain else { return Claim::DomainNotFound(address.domain().to_string()) };
    if let Some(alias) = alias_of(domain, &address) {
        return Claim::IsAlias(alias.to_owned());
    }
    let folded = address.folded();
    let same = |it: &&&Mailbox| it.spec.address.parse::<Address>().is_ok_and(|it| it.folded() == folded);
    let all = rivals.iter().filter(same).copied().chain([mailbox]);
    if let Some(first) = all.min_by_key(|it| (!has_it(it), precedence(*it)))
        && ids::uid(first) != ids::uid(mailbox)
    {
        return Claim::HeldByAnother(first.metadata.name.clone().unwrap_or_default());
    }
    if !findings.is_empty() {
        return Claim::InvalidSpec(findings);
    }
    if accepted { Claim::Accepted } else { Claim::DomainNotAccepted(address.domain().to_string()) }
}

/// Whether its status says that it was accepted with the spec that it has now: an older Mailbox that is given another one's address later
/// does not take the mail away from it.
pub fn was_given(mailbox: &Mailbox) -> bool {
    let accepted = mailbox.status.as_ref().and_then(|it| conditions::find(&it.conditions, "Accepted"));
    accepted.is_some_and(|it| it.status == "True" && it.observed_generation == mailbox.metadata.generation)
}

/// The alias of a domain that has this address's name, as it is written there.
pub fn alias_of<'a>(domain: &'a MailDomain, address: &Address) -> Option<&'a str> {
    let folded = address.folded();
    let same = |name: &str| name.to_lowercase() == folded.local();
    domain.spec.aliases.iter().find(|alias| same(&alias.name)).map(|alias| alias.name.as_str())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        apimachinery::pkg::apis::meta::v1::{Condition, Time},
        jiff::Timestamp,
    };
    use uuid::Uuid;

    use super::*;
    use crate::api::{MailDomainSpec, MailboxSpec, domain::Alias, mailbox::MailboxStatus, refs::Conditions};

    fn mailbox(name: &str, address: &str, created: i64) -> Mailbox {
        let mut mailbox =
            Mailbox::new(name, MailboxSpec { address: address.into(), quota: None, password_secret_ref: None });
        mailbox.metadata.namespace = Some("mail".into());
        mailbox.metadata.generation = Some(2);
        mailbox.metadata.uid = Some(Uuid::from_u128(u128::try_from(created).unwrap()).to_string());
        mailbox.metadata.creation_timestamp = Some(Time(Timestamp::from_second(created).unwrap()));
        mailbox
    }

    fn accepted(mut mailbox: Mailbox, generation: i64) -> Mailbox {
        let condition = Condition {
            type_: "Accepted".into(),
            status: "True".into(),
            reason: "Accepted".into(),
            message: String::new(),
            observed_generation: Some(generation),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        };
        let conditions = Conditions(vec![condition]);
        mailbox.status = Some(MailboxStatus { conditions, ..MailboxStatus::default() });
        mailbox
    }

    #[test]
    fn who_has_an_address() {
        let aliases = vec![Alias { name: "Info".into(), to: vec!["x@example.net".into()] }];
        let spec = MailDomainSpec { aliases, ..MailDomainSpec::default() };
        let domain = MailDomain::new("example.com", spec);
        let alice = mailbox("alice", "alice@example.com", 10);
        let again = mailbox("again", "ALICE@example.com", 20);
        let older = mailbox("older", "alice@example.com", 5);
        let another = |it: &str| Claim::HeldByAnother(it.to_owned());
        for (case, own, rivals, wanted) in [
            ("alone", alice.clone(), vec![], Claim::Accepted),
            ("itself among the rivals", alice.clone(), vec![alice.clone()], Claim::Accepted),
            ("the older one", alice.clone(), vec![again.clone()], Claim::Accepted),
            ("the younger one", again.clone(), vec![alice.clone()], another("alice")),
            ("one of another address", again.clone(), vec![mailbox("bob", "bob@example.com", 1)], Claim::Accepted),
            ("one that is unreadable", again.clone(), vec![mailbox("bob", "bob", 1)], Claim::Accepted),
            ("an older one that comes late", older.clone(), vec![accepted(alice.clone(), 2)], another("alice")),
            (
                "one that was accepted for another address",
                alice.clone(),
                vec![accepted(older.clone(), 1)],
                another("older"),
            ),
            ("an alias", mailbox("info", "INFO@example.com", 1), vec![], Claim::IsAlias("Info".into())),
        ] {
            let rivals: Vec<&Mailbox> = rivals.iter().collect();
            assert_eq!(claim(&own, Some(&domain), true, &rivals, was_given), wanted, "{case}");
        }
        let (older, alice) = (&older, &alice);
        let having = |it: &Mailbox| ids::uid(it) == ids::uid(alice);
        let late = claim(older, Some(&domain), true, &[alice], having);
        assert_eq!(late, another("alice"), "its status may be on its way");
        assert_eq!(claim(alice, None, false, &[], was_given), Claim::DomainNotFound("example.com".into()));
        assert_eq!(claim(alice, Some(&domain), false, &[], was_given), Claim::DomainNotAccepted("example.com".into()));
        let wrong = claim(&mailbox("x", "x+y@example.com", 1), Some(&domain), true, &[], was_given);
        assert!(wrong.keeps_entries(), "{wrong:?}");
    }
}
