//! What the status of a MailDomain says: Accepted, Programmed, DNSVerified, Ready. Pure.
//!
//! Each message says what is wrong and what to do. `Stalled` is there while only a change of somebody's can help.

use super::{
    POSTMASTER,
    claims::{Claim, said},
    key_plan::KeyFinding,
};
use crate::{
    api::{MailDomain, domain::VerificationMode},
    conditions::{Finding, ready},
    mailbox::password::PasswordFault,
    refusal::{self, Refusal},
};

/// Pods that a message names; the others are counted.
const PODS_SHOWN_MAX: usize = 3;

/// How far the servers have what follows from a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Programmed {
    /// Nothing was written yet, and why not.
    NotWritten(String),
    /// The servers cannot be asked, and why not.
    Unreachable(String),
    /// It was written; these of the ready pods do not serve it yet.
    Written {
        /// The directory's revision that has it.
        revision: u64,
        /// Ready pods.
        pods: usize,
        /// The names of those that serve an older one.
        lagging: Vec<String>,
    },
    /// Writing was held back: it would delete a large part of the directory.
    HeldBack(String),
}

/// What is known of a domain.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The domain.
    pub domain: &'a MailDomain,
    /// What became of its claim.
    pub claim: &'a Claim,
    /// What the key plan says, and what else stands in the way.
    pub keys: &'a [KeyFinding],
    /// How far the servers have it.
    pub programmed: &'a Programmed,
    /// What the look at the name servers found; `None`: there was none yet.
    pub dns: Option<&'a Finding>,
    /// What keeps its records from being published.
    pub unpublished: &'a Unpublished,
    /// Whether the server is available; `None`: it does not say yet.
    pub available: Option<&'a Finding>,
}

/// What keeps records from being published for people, or for external-dns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpublished {
    /// A reason in the settings or the cluster.
    pub note: Option<String>,
    /// The API server refuses an object.
    pub refused: Option<Refusal>,
}

/// Nobody can log in as the postmaster that is made.
pub fn no_login(domain: &MailDomain, fault: &PasswordFault) -> KeyFinding {
    let address = format!("{POSTMASTER}@{}", domain.metadata.name.as_deref().unwrap_or_default());
    KeyFinding { reason: fault.reason(), message: format!("nobody can log in as {address}: {fault}"), blocking: true }
}

/// Nothing follows before the domain has a key.
pub fn key_pending() -> KeyFinding {
    KeyFinding { reason: "KeyPending", message: "its DKIM key is being made: wait a moment".into(), blocking: true }
}

/// What was refused of the keys, or of what else the directory waits for.
pub fn refused(refusal: &Refusal) -> KeyFinding {
    KeyFinding { reason: refusal::REASON, message: refusal.to_string(), blocking: true }
}

/// The conditions, in the order in which they are read.
pub fn conditions(inputs: &Inputs<'_>) -> Vec<Finding> {
    let accepted = accepted(inputs.domain, inputs.claim);
    let programmed = match accepted.holds() {
        true => programmed(inputs.programmed, inputs.keys),
        false => {
            Finding { state: accepted.state, ..Finding::no("Programmed", "NotAccepted", not_accepted(inputs.claim)) }
        }
    };
    let dns = dns(inputs, accepted.holds());
    let mut findings = vec![accepted, programmed, dns];
    let mut decisive = findings.clone();
    decisive.push(available(inputs.available));
    let name = inputs.domain.metadata.name.as_deref().unwrap_or_default();
    findings.push(ready(&decisive, &format!("{name} sends and receives mail")));
    findings.extend(stalled(inputs.claim, &findings));
    findings
}

/// What the name servers say, and what keeps records from being published.
fn dns(inputs: &Inputs<'_>, accepted: bool) -> Finding {
    const KIND: &str = "DNSVerified";
    let disabled = inputs.domain.spec.dns.verification.mode == VerificationMode::Disabled;
    let mut found = match (accepted, disabled, inputs.dns) {
        (false, _, _) => Finding::unknown(KIND, "NotAccepted", "records follow when the domain is accepted"),
        (_, true, _) => unchecked(),
        (_, _, Some(found)) => found.clone(),
        (_, _, None) => Finding::unknown(KIND, "Waiting", "the name servers were not asked yet"),
    };
    if let Some(note) = &inputs.unpublished.note {
        found.message = format!("{}; {note}", found.message);
    }
    match &inputs.unpublished.refused {
        None => found,
        // They are there all the same.
        Some(refusal) if found.holds() && !disabled => {
            Finding { message: format!("{}; {refusal}", found.message), ..found }
        }
        Some(refusal) => Finding::no(KIND, refusal::REASON, format!("{refusal}; {}", found.message)),
    }
}

/// `DNSVerified` where nobody checks: it does not stand in the way, and says so.
fn unchecked() -> Finding {
    let message = "records are not checked: set spec.dns.verification.mode to Enabled to have them looked at";
    Finding::yes("DNSVerified", "VerificationDisabled", message)
}

/// Whether it is accepted, and if not what to do.
pub fn accepted(domain: &MailDomain, claim: &Claim) -> Finding {
    let name = domain.metadata.name.as_deref().unwrap_or_default();
    match claim {
        Claim::Accepted => Finding::yes("Accepted", "Accepted", format!("{name} is valid and permitted")),
        Claim::InvalidSpec(findings) => Finding::no("Accepted", "InvalidSpec", said(findings)),
        Claim::ServerNotFound(server) => {
            let message = format!(
                "there is no MailServer {server}: make it, or make this MailDomain again with another serverRef"
            );
            Finding::no("Accepted", "ServerNotFound", message)
        }
        Claim::ServerRefused(refusal) => refusal.finding("Accepted"),
        Claim::NotAllowed(server) => {
            let namespace = super::claims::namespace(domain);
            let message = format!(
                "the MailServer {server} does not admit {name} of namespace {namespace}: its owner can add it to spec.allowedDomains"
            );
            Finding::no("Accepted", "NotAllowed", message)
        }
        Claim::NamespaceUnknown(server) => {
            let namespace = super::claims::namespace(domain);
            let message = format!(
                "the MailServer {server} admits domains by labels of their namespace, and those of {namespace} are not \
                 known now, so that what its servers have stays as it is: if it lasts longer than a minute, let the \
                 operator list and watch namespaces by a ClusterRole"
            );
            Finding::unknown("Accepted", "NamespaceUnknown", message)
        }
        Claim::HeldByAnother(other) => {
            let message = format!(
                "another MailDomain, {other}, has this name on the MailServer: delete one of them, or use another MailServer"
            );
            Finding::no("Accepted", "HeldByAnother", message)
        }
        Claim::HolderUnknown(other) => {
            let message = format!(
                "another MailDomain, {other}, has this name on the MailServer unless its directory says otherwise, which \
                 no pod could be asked yet: see the MailServer; what its servers have stays as it is"
            );
            Finding::unknown("Accepted", "HolderUnknown", message)
        }
    }
}

fn not_accepted(claim: &Claim) -> &'static str {
    match claim {
        Claim::InvalidSpec(_) => "the servers keep what they had before: mend the spec as Accepted says",
        Claim::NamespaceUnknown(_) | Claim::HolderUnknown(_) | Claim::ServerNotFound(_) | Claim::ServerRefused(_) => {
            "the servers keep what they had before: see Accepted"
        }
        _ => "the servers do not carry this domain: see Accepted",
    }
}

/// What the servers have, for any resource whose entries are in the directory.
pub fn programmed(state: &Programmed, keys: &[KeyFinding]) -> Finding {
    const KIND: &str = "Programmed";
    if let Some(blocking) = keys.iter().find(|it| it.blocking) {
        return Finding::no(KIND, blocking.reason, blocking.message.clone());
    }
    let notes: String = keys.iter().map(|it| format!("; {}", it.message)).collect();
    match state {
        Programmed::NotWritten(why) => {
            Finding::no(KIND, "NotWritten", format!("not written to the servers yet: {why}"))
        }
        Programmed::Unreachable(why) => {
            Finding::unknown(KIND, "ServersUnreachable", format!("the servers cannot be asked what they serve: {why}"))
        }
        Programmed::HeldBack(why) => Finding::no(KIND, "HeldBack", why.clone()),
        Programmed::Written { pods: 0, revision, .. } => {
            let message =
                format!("revision {revision} is written, and no pod is ready to serve it: see the MailServer");
            Finding::no(KIND, "NoReadyPod", message)
        }
        Programmed::Written { lagging, .. } if lagging.is_empty() => {
            // No numbers: each would write every status again at each change of the directory.
            Finding::yes(KIND, "Programmed", format!("every ready pod serves it{notes}"))
        }
        Programmed::Written { revision, pods, lagging } => {
            let message = format!(
                "{} of {pods} ready pods do not serve revision {revision} yet: {}; it takes seconds, else look at their logs",
                lagging.len(),
                named(lagging)
            );
            Finding::no(KIND, "Pending", message)
        }
    }
}

fn named(pods: &[String]) -> String {
    let shown: Vec<&str> = pods.iter().take(PODS_SHOWN_MAX).map(String::as_str).collect();
    match pods.len().saturating_sub(PODS_SHOWN_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn available(server: Option<&Finding>) -> Finding {
    match server {
        Some(found) if found.holds() => found.clone(),
        Some(found) => Finding::no(
            "Available",
            "ServerNotAvailable",
            format!("the MailServer is not available: {}", found.message),
        ),
        None => Finding::unknown(
            "Available",
            "ServerNotAvailable",
            "the MailServer does not say yet whether it is available",
        ),
    }
}

/// What only a change of somebody's can mend (kstatus: the resource failed, do not wait for it).
fn stalled(claim: &Claim, findings: &[Finding]) -> Option<Finding> {
    let permanent = match claim {
        Claim::InvalidSpec(_) | Claim::NotAllowed(_) | Claim::HeldByAnother(_) => "Accepted",
        // A server or a Secret that comes later heals: waiting makes sense.
        Claim::Accepted | Claim::ServerNotFound(_) | Claim::NamespaceUnknown(_) | Claim::HolderUnknown(_) => {
            return None;
        }
        Claim::ServerRefused(refusal) if refusal.heals() => return None,
        Claim::ServerRefused(_) => "Accepted",
    };
    let cause = findings.iter().find(|it| it.kind == permanent)?;
    Some(Finding { kind: "Stalled", state: crate::conditions::State::True, ..cause.clone() })
}

#[cfg(test)]
mod tests;
