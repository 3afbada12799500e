//! What the status of a Mailbox says: Accepted, Programmed, Ready. Pure.

use super::{claims::Claim, password::PasswordFault};
use crate::{
    api::Mailbox,
    conditions::{Finding, State, ready},
    domain::{
        claims::said,
        conditions::{Programmed, programmed},
    },
};

/// What is known of a Mailbox.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The Mailbox.
    pub mailbox: &'a Mailbox,
    /// What became of its claim.
    pub claim: &'a Claim,
    /// What is wrong with its password's Secret.
    pub password: Option<&'a PasswordFault>,
    /// How far the servers have it.
    pub programmed: &'a Programmed,
}

/// The conditions, in the order in which they are read.
pub fn conditions(inputs: &Inputs<'_>) -> Vec<Finding> {
    let accepted = accepted(inputs.mailbox, inputs.claim);
    let programmed = match (accepted.holds(), inputs.password) {
        (false, _) => Finding::no("Programmed", "NotAccepted", not_accepted(inputs.claim)),
        (true, Some(fault)) => Finding::no("Programmed", fault.reason(), format!("nobody can log in: {fault}")),
        (true, None) => programmed(inputs.programmed, &[]),
    };
    let mut findings = vec![accepted, programmed];
    let address = &inputs.mailbox.spec.address;
    findings.push(ready(&findings, &format!("{address} receives mail and can log in")));
    if matches!(inputs.claim, Claim::InvalidSpec(_) | Claim::IsAlias(_) | Claim::HeldByAnother(_))
        && let Some(cause) = findings.first().cloned()
    {
        findings.push(Finding { kind: "Stalled", state: State::True, ..cause });
    }
    findings
}

/// Whether it is accepted, and if not what to do.
pub fn accepted(mailbox: &Mailbox, claim: &Claim) -> Finding {
    let address = &mailbox.spec.address;
    let namespace = crate::domain::claims::namespace(mailbox);
    let (reason, message) = match claim {
        Claim::Accepted => return Finding::yes("Accepted", "Accepted", format!("{address} is valid and its own")),
        Claim::InvalidSpec(findings) => ("InvalidSpec", said(findings)),
        Claim::DomainNotFound(domain) => {
            let message = format!(
                "there is no MailDomain {domain} in namespace {namespace}: make it, or put the Mailbox where its MailDomain is"
            );
            ("DomainNotFound", message)
        }
        Claim::DomainNotAccepted(domain) => {
            ("DomainNotAccepted", format!("the MailDomain {domain} is not accepted: see its condition Accepted"))
        }
        Claim::IsAlias(alias) => {
            ("IsAlias", format!("the MailDomain has an alias {alias} of this name: take one of the two away"))
        }
        Claim::HeldByAnother(other) => (
            "HeldByAnother",
            format!("the Mailbox {other} has this address: delete one of them, or give one another address"),
        ),
    };
    Finding::no("Accepted", reason, message)
}

fn not_accepted(claim: &Claim) -> &'static str {
    match claim {
        Claim::InvalidSpec(_) => "the servers keep what they had before: mend the spec as Accepted says",
        _ => "the servers do not have this mailbox: see Accepted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::MailboxSpec;

    #[test]
    fn all_that_is_said() {
        let spec = MailboxSpec { address: "alice@example.com".into(), quota: None, password_secret_ref: None };
        let mut mailbox = Mailbox::new("alice", spec);
        mailbox.metadata.namespace = Some("shop".into());
        let written = Programmed::Written { revision: 7, pods: 1, lagging: Vec::new() };
        let missing = PasswordFault::SecretMissing { secret: "alice".into(), key: "password".into() };
        let invalid = Claim::InvalidSpec(vec![("spec.quota".into(), "1k is too small: write 1Mi or more".into())]);
        let mut text = String::new();
        for (case, claim, password) in [
            ("all is well", Claim::Accepted, None),
            ("no password", Claim::Accepted, Some(&missing)),
            ("invalid", invalid, None),
            ("no domain", Claim::DomainNotFound("example.com".into()), None),
            ("refused domain", Claim::DomainNotAccepted("example.com".into()), None),
            ("alias", Claim::IsAlias("Alice".into()), None),
            ("held", Claim::HeldByAnother("alice-2".into()), None),
        ] {
            let inputs = Inputs { mailbox: &mailbox, claim: &claim, password, programmed: &written };
            text.push_str(&format!("{case}\n"));
            for it in conditions(&inputs) {
                text.push_str(&format!("  {} {} {}: {}\n", it.kind, it.state.text(), it.reason, it.message));
            }
        }
        insta::assert_snapshot!(text);
    }
}
