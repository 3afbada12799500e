//! DMARC (RFC 7489, and RFC 9989's tree walk): mail-auth's, given the author's domain and results of ours.

use mail_auth::{
    AuthenticatedMessage, DkimOutput, DmarcResult, DnsError, Error, SpfOutput, SpfResult,
    dkim::Signature,
    dmarc::{Policy, verify::DmarcParameters},
};
use paquebot_mta_api::address::Domain;

use super::{Dkim, Dmarc, DmarcPolicy, Outcome, Spf};
use crate::dns::Resolver;

/// What the author's domain says of SPF's and DKIM's results; without a time limit: the caller has one.
pub async fn check(resolver: &Resolver, author: &Domain, spf: &Spf, dkim: &[Dkim]) -> Dmarc {
    let published = resolver.txt(&format!("_dmarc.{author}")).await;
    if published.records().iter().filter(|record| is_dmarc(&record.0)).count() > 1 {
        // RFC 7489 §6.6.3: several records are none.
        return Dmarc { outcome: Outcome::PermError, policy: None };
    }
    let message = AuthenticatedMessage { from: vec![format!("x@{author}")], ..AuthenticatedMessage::default() };
    let spf_domain = spf.domain.as_ref().map_or("", Domain::as_str);
    let spf_output = SpfOutput::new(spf_domain.to_owned()).with_result(match spf.outcome {
        Outcome::Pass => SpfResult::Pass,
        Outcome::TempError => SpfResult::TempError,
        _ => SpfResult::Fail,
    });
    let signatures: Vec<(Outcome, Signature)> = dkim
        .iter()
        .filter_map(|it| Some((it.outcome, Signature { d: it.domain.as_ref()?.to_string(), ..Signature::default() })))
        .collect();
    let outputs: Vec<DkimOutput<'_>> = signatures
        .iter()
        .filter_map(|(outcome, signature)| match outcome {
            Outcome::Pass => Some(DkimOutput::pass().with_signature(signature)),
            Outcome::TempError => {
                Some(DkimOutput::temp_err(Error::Dns(DnsError::Resolver(String::new()))).with_signature(signature))
            }
            _ => None,
        })
        .collect();
    let parameters = DmarcParameters::new(&message, &outputs, spf_domain, &spf_output);
    let output = resolver.authenticator().verify_dmarc(parameters).await;
    let policy = output.dmarc_record().map(|_| match output.policy() {
        Policy::Reject => DmarcPolicy::Reject,
        Policy::Quarantine => DmarcPolicy::Quarantine,
        Policy::None | Policy::Unspecified => DmarcPolicy::None,
    });
    let outcome = match output.result() {
        DmarcResult::Pass => Outcome::Pass,
        DmarcResult::Fail(_) => Outcome::Fail,
        DmarcResult::TempError(_) => Outcome::TempError,
        DmarcResult::PermError(_) => Outcome::PermError,
        DmarcResult::None => Outcome::None,
    };
    Dmarc { outcome, policy }
}

/// RFC 7489 §6.3: the version comes first.
fn is_dmarc(record: &[u8]) -> bool {
    let text: Vec<u8> = record.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).take(8).collect();
    text.eq_ignore_ascii_case(b"v=DMARC1")
}
