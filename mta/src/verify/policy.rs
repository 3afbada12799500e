//! The receiving policy: what follows from a verdict. One pure function; the order of its questions
//! is the policy.

use paquebot_proto::reply::{EnhancedCode, Reply};

use super::{DmarcPolicy, Outcome, Verdict};

/// What is done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Into the mailbox.
    Accept,
    /// Into Junk.
    Junk,
    /// 5xx.
    Refuse(Reply),
    /// 4xx: the sender tries again.
    TryLater(Reply),
}

/// What follows from a verdict.
pub fn policy(verdict: &Verdict) -> Disposition {
    let author = match &verdict.author {
        Ok(author) => author,
        // RFC 7489 §6.6.1: what has no author domain can evade every policy.
        Err(error) => return refuse(EnhancedCode(5, 7, 1), error.to_string()),
    };
    match (verdict.dmarc.outcome, verdict.dmarc.policy) {
        (Outcome::Pass, _) => Disposition::Accept,
        (Outcome::TempError, Some(DmarcPolicy::Reject | DmarcPolicy::Quarantine)) => later(),
        // The record could not be had: it may say reject, unless the author's own domain vouches.
        (Outcome::TempError, None) if !vouched(verdict) => later(),
        (Outcome::TempError, _) => Disposition::Accept,
        (_, Some(DmarcPolicy::Reject)) => refuse(
            EnhancedCode(5, 7, 1),
            format!("The DMARC policy of {author} asks to refuse this: send it through a server that {author} allows"),
        ),
        (_, Some(DmarcPolicy::Quarantine)) => Disposition::Junk,
        (_, Some(DmarcPolicy::None)) => Disposition::Accept,
        (_, None) => without_dmarc(verdict),
    }
}

/// No DMARC record: SPF decides, unless an aligned signature holds.
fn without_dmarc(verdict: &Verdict) -> Disposition {
    if verdict.aligned_signature(Outcome::Pass) {
        return Disposition::Accept;
    }
    match verdict.spf.outcome {
        // A signature that could not be checked now may hold later: no refusal for good.
        Outcome::Fail if verdict.aligned_signature(Outcome::TempError) => later(),
        Outcome::Fail => {
            let domain = verdict.spf.domain.as_ref().map_or("the sender", |domain| domain.as_str());
            // RFC 7372 §3.2
            refuse(
                EnhancedCode(5, 7, 23),
                format!("The SPF record of {domain} does not list your address: send through a server that it lists"),
            )
        }
        Outcome::SoftFail => Disposition::Junk,
        _ => Disposition::Accept,
    }
}

/// Whether DMARC would pass whatever its record says: the author's very domain passes SPF or DKIM.
fn vouched(verdict: &Verdict) -> bool {
    let author = verdict.author.as_ref().ok();
    let by_spf = verdict.spf.outcome == Outcome::Pass && verdict.spf.domain.as_ref() == author;
    let by_dkim = |it: &super::Dkim| it.outcome == Outcome::Pass && it.domain.as_ref() == author;
    author.is_some() && (by_spf || verdict.dkim.iter().any(by_dkim))
}

fn refuse(code: EnhancedCode, text: String) -> Disposition {
    Disposition::Refuse(Reply::new(550, code, text))
}

fn later() -> Disposition {
    let text = "Your domain's DNS did not answer: SPF, DKIM or DMARC could not be checked, try again later";
    Disposition::TryLater(Reply::new(451, EnhancedCode(4, 7, 0), text))
}
