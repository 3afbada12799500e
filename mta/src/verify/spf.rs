//! SPF (RFC 7208), evaluated by mail-auth through our resolver. It takes the first of two records, which
//! are an error: every name that it asked is looked at again, out of the resolver's cache.

use std::{
    borrow::Borrow,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use mail_auth::{Parameters, ResolverCache, SpfResult, Txt, spf::verify::SpfParameters};
use paquebot_mta_api::address::Domain;

use super::{Outcome, Spf, SpfIdentity};
use crate::dns::Resolver;

/// The domain, ten look-ups of its mechanisms (RFC 7208 §4.6.4), an explanation.
const NAMES_MAX: usize = 12;

/// Checks the reverse-path (empty for `<>`) of a client; without a time limit: the caller has one.
pub async fn check(resolver: &Resolver, hostname: &Domain, client: IpAddr, hello: &str, reverse_path: &str) -> Spf {
    let (identity, name) = match reverse_path.rsplit_once('@') {
        Some((_, domain)) => (SpfIdentity::MailFrom, domain),
        // RFC 7208 §2.4: a null reverse-path is checked as postmaster@HELO.
        None => (SpfIdentity::Helo, hello),
    };
    // RFC 7208 §4.3: a name that is malformed, a literal or of one label has no result.
    let domain = name.parse::<Domain>().ok().filter(|domain| domain.as_str().contains('.'));
    let outcome = match &domain {
        Some(domain) => evaluate(resolver, hostname, client, hello, reverse_path, domain).await,
        None => Outcome::None,
    };
    Spf { outcome, domain, identity }
}

async fn evaluate(
    resolver: &Resolver,
    hostname: &Domain,
    client: IpAddr,
    hello: &str,
    reverse_path: &str,
    domain: &Domain,
) -> Outcome {
    let local = reverse_path.rsplit_once('@').map_or("postmaster", |(local, _)| local);
    let sender = format!("{local}@{domain}");
    let parameters = SpfParameters::verify_mail_from(client.to_canonical(), hello, hostname.as_str(), &sender);
    let asked = Asked::default();
    let output = resolver.authenticator().verify_spf(Parameters::new(parameters).with_txt_cache(&asked)).await;
    if two_records(resolver, asked).await {
        return Outcome::PermError;
    }
    match output.result() {
        SpfResult::Pass => Outcome::Pass,
        SpfResult::Fail => Outcome::Fail,
        SpfResult::SoftFail => Outcome::SoftFail,
        SpfResult::Neutral => Outcome::Neutral,
        SpfResult::TempError => Outcome::TempError,
        SpfResult::PermError => Outcome::PermError,
        SpfResult::None => Outcome::None,
    }
}

/// Whether a name that was asked has more than one record: a permanent error (RFC 7208 §4.5), in
/// `include:` and `redirect=` too.
async fn two_records(resolver: &Resolver, asked: Asked) -> bool {
    for name in asked.names.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let answer = resolver.txt(&name).await;
        if answer.records().iter().filter(|record| is_spf(&record.0)).count() > 1 {
            return true;
        }
    }
    false
}

/// Remembers the names that were asked for TXT, and nothing else: the resolver has the cache.
#[derive(Default)]
struct Asked {
    names: Mutex<Vec<String>>,
}

impl ResolverCache<Box<str>, Txt> for Asked {
    fn get<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    /// Called after each look-up that gave an answer; mail-auth makes at most [`NAMES_MAX`] of them.
    fn insert(&self, name: Box<str>, _: Txt, _: Instant) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < NAMES_MAX {
            names.push(name.into());
        }
    }
}

/// RFC 7208 §4.5: the version, then a space or the end.
fn is_spf(record: &[u8]) -> bool {
    let (version, rest) = record.split_at_checked(6).unwrap_or_default();
    version.eq_ignore_ascii_case(b"v=spf1") && matches!(rest.first(), None | Some(b' '))
}

#[cfg(test)]
mod tests {
    use super::is_spf;

    #[test]
    fn versions() {
        for (record, expected) in
            [("v=spf1", true), ("V=SPF1 -all", true), ("v=spf10 -all", false), ("v=spf", false), ("", false)]
        {
            assert_eq!(is_spf(record.as_bytes()), expected, "{record}");
        }
    }
}
