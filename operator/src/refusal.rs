//! What the API server said of an object of ours that it refused: why, whether waiting heals it, and what to do. Pure.

use crate::conditions::{Finding, cut};

/// The reason of conditions that tell of it.
pub const REASON: &str = "ObjectRefused";
/// Octets of the API server's words that are passed on: what to do stands behind them.
const WORDS_OCTETS_MAX: usize = 600;

/// Why an object was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The operator may not do that.
    Rights,
    /// A ResourceQuota is used up.
    Quota,
    /// An admission webhook or policy says no.
    Admission,
    /// An admission webhook does not answer.
    WebhookSilent,
    /// The namespace is being deleted.
    Terminating,
    /// The object is not valid.
    Invalid,
}

impl Cause {
    /// By code and words of the API server's answer; `None`: a fault that passes, and nothing to tell people of.
    fn of(code: u16, words: &str) -> Option<Self> {
        let says = |part: &str| words.contains(part);
        Some(match code {
            // A webhook chooses its own code; a ValidatingAdmissionPolicy says 422.
            400..=599 if says("denied the request") || says("denied request") => Self::Admission,
            403 if says("is being terminated") => Self::Terminating,
            403 if says("exceeded quota") || says("status unknown for quota") => Self::Quota,
            403 if says(" cannot ") && says(" resource ") => Self::Rights,
            // LimitRanger, PodSecurity, "failed quota: must specify" and the like.
            403 => Self::Admission,
            400 | 413 | 422 => Self::Invalid,
            500..=599 if says("failed calling webhook") => Self::WebhookSilent,
            _ => return None,
        })
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Rights => "grant the operator this right in its Role or ClusterRole; it is tried again by itself",
            Self::Quota => "raise that ResourceQuota, or delete what nobody needs; it is tried again by itself",
            Self::Admission => "have the policy that says so let this object in; it is tried again by itself",
            Self::WebhookSilent => "mend that webhook, or delete its configuration; it is tried again by itself",
            Self::Terminating => "the namespace is being deleted: use another one",
            Self::Invalid => "mend the field of the spec from which this follows",
        }
    }
}

/// An object that the API server refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, the API server refuses it ({words}): {}", cause.advice())]
pub struct Refusal {
    what: String,
    words: String,
    cause: Cause,
}

impl Refusal {
    /// `what`: kind and name, and what was to be done with it. `None`: the answer is no refusal, or passes.
    pub fn of(what: &str, code: u16, words: &str) -> Option<Self> {
        let cause = Cause::of(code, words)?;
        let words = cut(words.trim().trim_end_matches('.'), WORDS_OCTETS_MAX);
        Some(Self { what: what.to_owned(), words, cause })
    }

    /// What the API server said.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Whether the operator lacks a right: no policy, no quota, nothing of the object.
    pub fn is_of_rights(&self) -> bool {
        self.cause == Cause::Rights
    }

    /// Whether it may heal without a change that we hear of: then it is tried again, later each time.
    pub fn heals(&self) -> bool {
        !matches!(self.cause, Cause::Terminating | Cause::Invalid)
    }

    /// As a condition of this kind.
    pub fn finding(&self, kind: &'static str) -> Finding {
        Finding::no(kind, REASON, self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_and_whether_it_heals() {
        let user = "User \"system:serviceaccount:a:b\" cannot create resource \"secrets\" in API group \"\" in the namespace \"n\"";
        for (code, words, cause) in [
            (403, format!("secrets is forbidden: {user}"), Some(Cause::Rights)),
            (
                403,
                "secrets \"x\" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=0, limited: count/secrets=0".into(),
                Some(Cause::Quota),
            ),
            (403, "secrets \"x\" is forbidden: status unknown for quota: q, resources: count/secrets".into(), Some(Cause::Quota)),
            (
                403,
                "secrets \"x\" is forbidden: unable to create new content in namespace n because it is being terminated".into(),
                Some(Cause::Terminating),
            ),
            (403, "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"".into(), Some(Cause::Admission)),
            (400, "admission webhook \"v.example\" denied the request: no".into(), Some(Cause::Admission)),
            (
                422,
                "secrets \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no".into(),
                Some(Cause::Admission),
            ),
            (422, "Service \"x\" is invalid: spec.loadBalancerClass: field is immutable".into(), Some(Cause::Invalid)),
            (413, "Request entity too large".into(), Some(Cause::Invalid)),
            (
                500,
                "Internal error occurred: failed calling webhook \"v.example\": connection refused".into(),
                Some(Cause::WebhookSilent),
            ),
            (500, "etcdserver: leader changed".into(), None),
            (404, "namespaces \"n\" not found".into(), None),
            (409, "secrets \"x\" already exists".into(), None),
            (429, "too many requests".into(), None),
        ] {
            let refusal = Refusal::of("Secret n/x could not be made", code, &words);
            assert_eq!(refusal.as_ref().map(|it| it.cause), cause, "{code} {words}");
            let Some(refusal) = refusal else { continue };
            assert_eq!(refusal.heals(), ![Cause::Invalid, Cause::Terminating].contains(&refusal.cause), "{words}");
            assert_eq!(refusal.is_of_rights(), words.contains("cannot create"), "{words}");
            let said = refusal.to_string();
            assert!(said.starts_with("Secret n/x could not be made, the API server refuses it (") && said.contains(&words), "{said}");
        }
    }

    #[test]
    fn what_to_do_stands_behind_words_of_any_length() {
        let refusal = Refusal::of("Secret n/x could not be made", 403, &"é".repeat(5000)).unwrap();
        let said = refusal.finding("Programmed").message;
        assert!(said.len() <= crate::conditions::MESSAGE_OCTETS_MAX && said.ends_with("by itself"), "{said}");
    }
}
