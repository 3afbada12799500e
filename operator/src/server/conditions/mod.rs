//! What the status of a MailServer says. Pure: what was observed in, findings out.
//!
//! - [`available`]: whether pods serve, and what they wait for.
//! - [`certificate`]: whether clients get a certificate that they can trust.
//! - [`reached`]: where the world finds the server, and from where its mail leaves.

pub mod available;
pub mod certificate;
pub mod reached;

use std::net::IpAddr;

use k8s_openapi::jiff::Timestamp;

use super::{
    observed::{PodState, ServiceState, Workload},
    validate::validate,
};
use crate::{
    api::{MailServer, server::IssuerRef},
    conditions::{Finding, ready},
    refusal::{self, Refusal},
    settings::Settings,
};

/// What was observed of a server.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The name in use; `None`: it has none yet, because no MailDomain refers to it.
    pub hostname: Option<String>,
    /// An object of ours that the API server refused.
    pub refused: Option<Refusal>,
    /// The pods as their workload counts them; `None`: there is none.
    pub workload: Option<Workload>,
    /// The pods.
    pub pods: Vec<PodState>,
    /// What the newest warning of the workload's events says, where it has no pod: a quota, an admission policy, a
    /// PriorityClass that is not there.
    pub pods_refused: Option<String>,
    /// The volume.
    pub volume: VolumeState,
    /// The image that it waits for, because another server is being upgraded ([`super::rollout`]).
    pub waits_for_image: Option<String>,
    /// The Service for the world; `None`: there is none.
    pub service: Option<ServiceState>,
    /// The certificate.
    pub certificate: CertificateState,
    /// From where mail leaves, as far as it is known ([`super::Facts::egress`]).
    pub egress: Vec<IpAddr>,
    /// Now.
    pub now: Timestamp,
}

/// What was observed of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeState {
    /// It is there, or made when a pod needs it.
    Fine,
    /// The claim has no volume yet.
    Pending {
        /// Its name.
        claim: String,
        /// What its events say, if there are any.
        why: Option<String>,
    },
    /// It names no StorageClass, and none is the default.
    NoDefaultClass {
        /// The classes that there are.
        classes: Vec<String>,
    },
    /// There is no such StorageClass.
    NoSuchClass {
        /// What it names.
        class: String,
        /// The classes that there are.
        classes: Vec<String>,
    },
    /// Its disk is gone.
    Lost {
        /// The claim's name.
        claim: String,
    },
    /// It cannot be as large as wanted ([`super::volume::Step::Refuse`]).
    Refused(String),
}

/// What was observed of the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateState {
    /// It is good until then.
    Good {
        /// When it expires.
        expires: Timestamp,
        /// Whether we made it.
        self_signed: bool,
    },
    /// There is no such Secret.
    SecretMissing {
        /// Its name.
        secret: String,
    },
    /// The Secret cannot be used: a key is missing, or cannot be read.
    Unreadable {
        /// Its name.
        secret: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The private key belongs to another certificate.
    KeyMismatch {
        /// The Secret's name.
        secret: String,
    },
    /// It is for other names.
    NotCovered {
        /// The Secret's name.
        secret: String,
        /// The names in it.
        names: Vec<String>,
    },
    /// It is over.
    Expired {
        /// The Secret's name.
        secret: String,
        /// Since when.
        expired: Timestamp,
    },
    /// An issuer is named, and cert-manager is not in the cluster.
    NoCertManager,
    /// cert-manager works on it.
    Issuing {
        /// The Certificate's name.
        certificate: String,
        /// Who is to sign.
        issuer: IssuerRef,
        /// What the Certificate says.
        why: Option<String>,
    },
    /// It is being made.
    Pending,
}

/// The conditions, in the order in which they are to be read.
pub fn conditions(server: &MailServer, settings: &Settings, observed: &Observed) -> Vec<Finding> {
    let accepted = accepted(server, observed);
    let mut findings = vec![
        accepted.clone(),
        available::finding(server, observed, accepted.holds()),
        certificate::finding(observed),
        reached::addressed(server, settings, observed),
        reached::egress(server, observed),
    ];
    let hostname = observed.hostname.as_deref().unwrap_or_default();
    findings.push(ready(&findings, &format!("{hostname} carries mail")));
    let heals = accepted.reason == refusal::REASON && observed.refused.as_ref().is_some_and(Refusal::heals);
    if let Some(stalled) = stalled(&accepted).filter(|_| !heals) {
        findings.push(stalled);
    }
    findings
}

/// `Accepted`: valid, and everything in it can be had.
fn accepted(server: &MailServer, observed: &Observed) -> Finding {
    const KIND: &str = "Accepted";
    let wrong = validate(server);
    if let Some((field, advice)) = wrong.first() {
        let more = match wrong.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        return Finding::no(KIND, "InvalidSpec", format!("{field}: {advice}{more}"));
    }
    if server.spec.store.postgres.is_some() {
        let advice = super::build::StoreNotSupported.to_string();
        return Finding::no(KIND, "StoreNotSupported", format!("spec.store.postgres: {advice}"));
    }
    if server.spec.service.as_ref().is_some_and(|service| service.proxy_protocol.is_some()) {
        let advice = "the PROXY protocol comes with a later release: leave it out, and let the load balancer keep the \
                      clients' addresses";
        return Finding::no(KIND, "ProxyProtocolNotSupported", format!("spec.service.proxyProtocol: {advice}"));
    }
    if let VolumeState::Refused(why) = &observed.volume {
        return Finding::no(KIND, "VolumeNotResizable", format!("spec.store.sqlite.volume.size: {why}"));
    }
    if let Some(refusal) = &observed.refused {
        return refusal.finding(KIND);
    }
    Finding::yes(KIND, "Accepted", "the spec is valid")
}

/// `Stalled`: what waits for an edit of the spec (kstatus). What else does not hold may heal by itself.
fn stalled(accepted: &Finding) -> Option<Finding> {
    (!accepted.holds()).then(|| Finding::yes("Stalled", &accepted.reason, accepted.message.clone()))
}

#[cfg(test)]
mod tests;
