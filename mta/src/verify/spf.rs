//! SPF (RFC 7208), evaluated by mail-auth through our resolver; two records are an error before it is asked.

use std::net::IpAddr;

use mail_auth::{SpfResult, spf::verify::SpfParameters};
use paquebot_mta_api::address::Domain;

use super::{Outcome, Spf, SpfIdentity};
use crate::dns::{Answer, Resolver};

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
    match resolver.txt(domain.as_str()).await {
        Answer::TemporaryFault(_) => return Outcome::TempError,
        Answer::NoSuchName | Answer::NoRecords => return Outcome::None,
        Answer::Records(records) => match records.iter().filter(|record| is_spf(&record.0)).count() {
            0 => return Outcome::None,
            1 => {}
            // RFC 7208 §4.5: more than one record is a permanent error.
            _ => return Outcome::PermError,
        },
    }
    let local = reverse_path.rsplit_once('@').map_or("postmaster", |(local, _)| local);
    let sender = format!("{local}@{domain}");
    let parameters = SpfParameters::verify_mail_from(client.to_canonical(), hello, hostname.as_str(), &sender);
    match resolver.authenticator().verify_spf(parameters).await.result() {
        SpfResult::Pass => Outcome::Pass,
        SpfResult::Fail => Outcome::Fail,
        SpfResult::SoftFail => Outcome::SoftFail,
        SpfResult::Neutral => Outcome::Neutral,
        SpfResult::TempError => Outcome::TempError,
        SpfResult::PermError => Outcome::PermError,
        SpfResult::None => Outcome::None,
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
