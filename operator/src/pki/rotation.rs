//! One authority after another, in steps that break no connection: first everybody trusts the next one, then
//! certificates come from it, then the old one is trusted no more. Each step waits until all have reached the last.

use k8s_openapi::jiff::Timestamp;

use super::{
    authority::{Authority, Other},
    facts,
    issue::{self, PkiError},
    names::{AUTHORITY_ROTATE_SECONDS, BACKDATE_SECONDS, SETTLE_SECONDS},
};

/// What to do with the authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Make the next one, for everybody to trust.
    AddNext,
    /// Issue from the next one.
    Switch,
    /// Trust the previous one no more.
    DropPrevious,
    /// It is over, and nobody trusts it: begin with a new one.
    Replace,
}

/// The step that is due. `all_since`: since when every holder of a certificate was seen to have reached the present
/// state ([`Authority::has_reached`]) without a break; `None`: not all have. Kept in memory only: a restart waits anew.
pub fn rotation(now: Timestamp, authority: &Authority, all_since: Option<Timestamp>) -> Step {
    let Ok(facts) = facts::facts(&authority.issuing.certificate) else { return Step::Replace };
    let settled = all_since.is_some_and(|since| now.as_second() - since.as_second() >= SETTLE_SECONDS);
    let over = facts.seconds_left(now) <= 0;
    let age = now.as_second() - (facts.not_before.as_second() + BACKDATE_SECONDS);
    match &authority.other {
        // Over: nobody accepts its certificates any more, so the next can only be better.
        Some(Other::Next(_)) if settled || over => Step::Switch,
        Some(Other::Previous(_)) if settled => Step::DropPrevious,
        // The previous one is over too: there is room for the next.
        Some(Other::Previous(_)) if over => Step::Replace,
        Some(_) => Step::Keep,
        None if over => Step::Replace,
        None if age >= AUTHORITY_ROTATE_SECONDS => Step::AddNext,
        None => Step::Keep,
    }
}

impl Authority {
    /// The authority after this step.
    pub fn after(self, step: Step, now: Timestamp) -> Result<Self, PkiError> {
        let Self { issuing, other } = self;
        Ok(match (step, other) {
            (Step::Replace, _) => Self::make(now)?,
            (Step::AddNext, None) => Self { issuing, other: Some(Other::Next(issue::authority(now)?)) },
            (Step::Switch, Some(Other::Next(next))) => {
                Self { issuing: next, other: Some(Other::Previous(issuing.certificate)) }
            }
            (Step::DropPrevious, Some(Other::Previous(_))) => Self { issuing, other: None },
            (_, other) => Self { issuing, other },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::clock::{NOW, at};
    use crate::pki::names::{AUTHORITY_VALID_SECONDS, Holder};

    #[test]
    fn each_step_waits_for_all() {
        let start = Authority::make(at(NOW)).unwrap();
        let old = at(NOW + AUTHORITY_ROTATE_SECONDS);
        let next = start.clone().after(Step::AddNext, old).unwrap();
        let switched = next.clone().after(Step::Switch, old).unwrap();
        let end = at(NOW + AUTHORITY_VALID_SECONDS);
        let settled = |now: Timestamp| Some(at(now.as_second() - SETTLE_SECONDS));
        let fresh = |now: Timestamp| Some(at(now.as_second() - SETTLE_SECONDS + 1));
        for (name, authority, now, since, step) in [
            ("young", &start, at(NOW), settled(at(NOW)), Step::Keep),
            ("before its time", &start, at(old.as_second() - 1), settled(old), Step::Keep),
            ("five years", &start, old, None, Step::AddNext),
            ("over, and nothing prepared", &start, end, None, Step::Replace),
            ("one has not heard of the next", &next, old, None, Step::Keep),
            ("all have, just now", &next, old, fresh(old), Step::Keep),
            ("all have", &next, old, settled(old), Step::Switch),
            ("over, the next prepared", &next, end, None, Step::Switch),
            ("one has an old certificate", &switched, old, None, Step::Keep),
            ("all have new ones, just now", &switched, old, fresh(old), Step::Keep),
            ("all have new ones", &switched, old, settled(old), Step::DropPrevious),
        ] {
            assert_eq!(rotation(now, authority, since), step, "{name}");
        }
    }

    #[test]
    fn no_step_breaks_a_connection() {
        let now = at(NOW + AUTHORITY_ROTATE_SECONDS);
        let holder = Holder::Server(uuid::Uuid::from_u128(7));
        let mut authority = Authority::make(at(NOW)).unwrap();
        let mut have = authority.credentials(&holder, None, now).unwrap().unwrap();
        for step in [Step::AddNext, Step::Switch, Step::DropPrevious] {
            let before = have.clone();
            authority = authority.after(step, now).unwrap();
            assert!(!authority.has_reached(&holder, &before, now), "{step:?}");
            have = authority.credentials(&holder, Some(&before), now).unwrap().unwrap();
            assert!(authority.has_reached(&holder, &have, now), "{step:?}");
            // One side has taken the step, the other has not yet: each is trusted by the other.
            let trusts = |bundle: &str, certificate: &str| {
                let roots = std::sync::Arc::new(crate::pki::authority::roots(bundle).unwrap());
                let chain = facts::chain_of(certificate).unwrap();
                use rustls::client::danger::ServerCertVerifier;
                let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(roots, facts::provider());
                let name = holder.dns_names()[0].clone().try_into().unwrap();
                let day = std::time::Duration::from_secs(now.as_second() as u64);
                let day = rustls::pki_types::UnixTime::since_unix_epoch(day);
                verifier.build().unwrap().verify_server_cert(&chain[0], &[], &name, &[], day).is_ok()
            };
            assert!(trusts(&before.bundle, &have.pair.certificate), "{step:?}: the old side trusts the new");
            assert!(trusts(&have.bundle, &before.pair.certificate), "{step:?}: the new side trusts the old");
        }
    }
}
