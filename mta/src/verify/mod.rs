//! Is this message from whom it says? SPF, DKIM, DMARC: one verdict.
//!
//! - this page: the [`Verdict`] and what stands in it;
//! - [`verifier`]: starts SPF at MAIL, does the rest when the header is there, one deadline for all;
//! - [`spf`], [`dkim`], [`dmarc`]: the three, through mail-auth where it is right, with policy of ours before it;
//! - [`mod@policy`]: what follows from a verdict: accept, Junk, refuse, try later;
//! - [`results`]: the Authentication-Results field.

use std::fmt;

use paquebot_mta_api::address::Domain;

use crate::message::fields::FromError;

pub mod dkim;
pub mod dmarc;
pub mod policy;
pub mod results;
pub mod spf;
pub mod verifier;

pub use policy::{Disposition, policy};
pub use verifier::{LookUps, SpfCheck, Verifier};

/// The result of one method (RFC 8601 §2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nothing is published, or nothing is signed.
    None,
    /// Neither yes nor no.
    Neutral,
    /// Yes.
    Pass,
    /// It holds, but we don't take it.
    Policy,
    /// No.
    Fail,
    /// Probably no (SPF `~all`).
    SoftFail,
    /// It could not be found out now.
    TempError,
    /// It can never be found out: what is published or signed is broken.
    PermError,
}

impl Outcome {
    /// As the field spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Policy => "policy",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose SPF record was asked (RFC 7208 §2.3, §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpfIdentity {
    /// The reverse-path's.
    MailFrom,
    /// With a null reverse-path: postmaster at the name in EHLO.
    Helo,
}

/// SPF's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spf {
    /// The result.
    pub outcome: Outcome,
    /// The domain asked; `None` where there was none to ask.
    pub domain: Option<Domain>,
    /// Whose it is.
    pub identity: SpfIdentity,
}

/// One signature's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dkim {
    /// The result.
    pub outcome: Outcome,
    /// `d=`, where it is a domain.
    pub domain: Option<Domain>,
    /// `s=` as signed: written nowhere without care.
    pub selector: String,
    /// `a=`.
    pub algorithm: &'static str,
    /// The first characters of `b=` in base64, which tell signatures apart (RFC 6008).
    pub signature_start: String,
    /// Why it is not a pass, in our words.
    pub reason: String,
}

/// What a domain wants done with mail that fails (RFC 7489 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DmarcPolicy {
    /// Nothing.
    None,
    /// Junk.
    Quarantine,
    /// Refusal.
    Reject,
}

impl DmarcPolicy {
    /// As records spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// DMARC's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dmarc {
    /// The result: none, pass, fail, temperror, permerror.
    pub outcome: Outcome,
    /// The policy that applies to the author's domain (`p` or `sp`); `None`: no record, or none was to be had.
    pub policy: Option<DmarcPolicy>,
}

/// All that was found out about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The author's domain: the one domain of the one From field.
    pub author: Result<Domain, FromError>,
    /// SPF.
    pub spf: Spf,
    /// DKIM, for each signature that was looked at.
    pub dkim: Vec<Dkim>,
    /// DMARC.
    pub dmarc: Dmarc,
}

impl Verdict {
    /// Whether a signature with this outcome is aligned with the author's domain.
    pub fn aligned_signature(&self, outcome: Outcome) -> bool {
        let Ok(author) = &self.author else { return false };
        self.dkim
            .iter()
            .filter(|signature| signature.outcome == outcome)
            .filter_map(|signature| signature.domain.as_ref())
            .any(|domain| is_aligned(domain, author))
    }

    /// DKIM in one word, for metrics: the best of the signatures.
    pub fn dkim_outcome(&self) -> Outcome {
        const ORDER: [Outcome; 6] =
            [Outcome::Pass, Outcome::TempError, Outcome::Fail, Outcome::Policy, Outcome::PermError, Outcome::Neutral];
        let has = |outcome: &Outcome| self.dkim.iter().any(|signature| signature.outcome == *outcome);
        ORDER.into_iter().find(has).unwrap_or(Outcome::None)
    }
}

impl fmt::Display for Verdict {
    /// In words, for a message's journey.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SPF {}", self.spf.outcome)?;
        if let Some(domain) = &self.spf.domain {
            write!(f, " ({domain})")?;
        }
        if self.dkim.is_empty() {
            write!(f, ", DKIM none")?;
        }
        for signature in &self.dkim {
            write!(f, ", DKIM {}", signature.outcome)?;
            if let Some(domain) = &signature.domain {
                write!(f, " ({domain}, {}", signature.algorithm)?;
                if !signature.reason.is_empty() {
                    write!(f, ": {}", signature.reason)?;
                }
                write!(f, ")")?;
            }
        }
        write!(f, ", DMARC {}", self.dmarc.outcome)?;
        match &self.author {
            Ok(author) => match self.dmarc.policy {
                Some(policy) => write!(f, " ({author}, p={})", policy.as_str()),
                None => write!(f, " ({author})"),
            },
            Err(error) => write!(f, " ({error})"),
        }
    }
}

/// Relaxed alignment where no DMARC record says where the organisation begins: the same domain, or one
/// below the other, both of at least two labels.
fn is_aligned(domain: &Domain, author: &Domain) -> bool {
    let below = |child: &Domain, parent: &Domain| {
        parent.as_str().contains('.')
            && child.as_str().strip_suffix(parent.as_str()).is_some_and(|rest| rest.ends_with('.'))
    };
    domain == author || below(domain, author) || below(author, domain)
}
