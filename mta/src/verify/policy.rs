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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        message::fields::FromError,
        verify::{Dkim, Dmarc, Spf, SpfIdentity},
    };
    use paquebot_mta_api::address::Domain;

    const AUTHOR: &str = "example.com";

    fn domain(name: &str) -> Domain {
        name.parse().unwrap()
    }

    /// `spf` and `dkim` as `outcome domain`, `dmarc` as `outcome policy`; `-` for none.
    fn verdict(spf: &str, dkim: &str, dmarc: &str) -> Verdict {
        let outcome = |word: &str| {
            use Outcome::*;
            [None, Neutral, Pass, Policy, Fail, SoftFail, TempError, PermError]
                .into_iter()
                .find(|outcome| outcome.as_str() == word)
                .unwrap()
        };
        let pair = |text: &str| text.split_once(' ').map(|(a, b)| (outcome(a), b.to_owned()));
        let (spf_outcome, spf_domain) = pair(spf).unwrap_or((Outcome::None, AUTHOR.into()));
        let signatures = dkim.split(", ").filter_map(pair).map(|(outcome, name)| Dkim {
            outcome,
            domain: Some(domain(&name)),
            selector: "s".into(),
            algorithm: "rsa-sha256",
            signature_start: String::new(),
            reason: String::new(),
        });
        let (dmarc_outcome, dmarc_policy) = pair(dmarc).unwrap_or((Outcome::None, "-".into()));
        Verdict {
            author: Ok(domain(AUTHOR)),
            spf: Spf { outcome: spf_outcome, domain: Some(domain(&spf_domain)), identity: SpfIdentity::MailFrom },
            dkim: signatures.collect(),
            dmarc: Dmarc {
                outcome: dmarc_outcome,
                policy: match dmarc_policy.as_str() {
                    "none" => Some(DmarcPolicy::None),
                    "quarantine" => Some(DmarcPolicy::Quarantine),
                    "reject" => Some(DmarcPolicy::Reject),
                    _ => None,
                },
            },
        }
    }

    fn word(disposition: Disposition) -> String {
        match disposition {
            Disposition::Accept => "accept".into(),
            Disposition::Junk => "junk".into(),
            Disposition::Refuse(reply) | Disposition::TryLater(reply) => {
                format!("{} {}", reply.code, reply.enhanced.unwrap())
            }
        }
    }

    /// The receiving policy as a table: SPF, DKIM, DMARC, what follows.
    const CASES: [(&str, &str, &str, &str); 48] = [
        // DMARC passes: nothing else counts.
        ("pass example.com", "-", "pass reject", "accept"),
        ("fail example.com", "pass example.com", "pass reject", "accept"),
        ("fail other.example", "pass example.com", "pass none", "accept"),
        ("softfail example.com", "pass example.com", "pass quarantine", "accept"),
        ("temperror example.com", "pass example.com", "pass reject", "accept"),
        ("pass example.com", "fail example.com", "pass reject", "accept"),
        ("none example.com", "pass mail.example.com", "pass reject", "accept"),
        // A temporary fault that decides.
        ("temperror example.com", "-", "temperror reject", "451 4.7.0"),
        ("temperror example.com", "-", "temperror quarantine", "451 4.7.0"),
        ("temperror example.com", "-", "temperror none", "accept"),
        ("fail example.com", "temperror example.com", "temperror reject", "451 4.7.0"),
        ("fail example.com", "temperror example.com", "temperror quarantine", "451 4.7.0"),
        ("fail example.com", "temperror example.com", "temperror none", "accept"),
        ("fail example.com", "-", "temperror -", "451 4.7.0"),
        ("none example.com", "-", "temperror -", "451 4.7.0"),
        ("pass other.example", "-", "temperror -", "451 4.7.0"),
        ("pass mail.example.com", "-", "temperror -", "451 4.7.0"),
        ("pass example.com", "-", "temperror -", "accept"),
        ("fail example.com", "pass example.com", "temperror -", "accept"),
        ("fail example.com", "pass other.example", "temperror -", "451 4.7.0"),
        // DMARC fails: as published.
        ("fail example.com", "-", "fail reject", "550 5.7.1"),
        ("none example.com", "-", "fail reject", "550 5.7.1"),
        ("pass other.example", "pass other.example", "fail reject", "550 5.7.1"),
        ("permerror example.com", "permerror example.com", "fail reject", "550 5.7.1"),
        ("pass other.example", "policy example.com", "fail reject", "550 5.7.1"),
        ("fail example.com", "-", "fail quarantine", "junk"),
        ("pass other.example", "pass other.example", "fail quarantine", "junk"),
        // p=none is never refused for SPF.
        ("fail example.com", "-", "fail none", "accept"),
        ("softfail example.com", "-", "fail none", "accept"),
        ("fail other.example", "fail example.com", "fail none", "accept"),
        // No DMARC record: SPF.
        ("pass example.com", "-", "none -", "accept"),
        ("none example.com", "-", "none -", "accept"),
        ("neutral example.com", "-", "none -", "accept"),
        ("permerror example.com", "-", "none -", "accept"),
        ("temperror example.com", "-", "none -", "accept"),
        ("fail example.com", "-", "none -", "550 5.7.23"),
        ("fail other.example", "-", "none -", "550 5.7.23"),
        ("softfail example.com", "-", "none -", "junk"),
        ("fail example.com", "-", "permerror -", "550 5.7.23"),
        // … unless an aligned signature holds.
        ("fail example.com", "pass example.com", "none -", "accept"),
        ("softfail example.com", "pass example.com", "none -", "accept"),
        ("fail example.com", "pass mail.example.com", "none -", "accept"),
        ("fail example.com", "pass other.example", "none -", "550 5.7.23"),
        ("fail example.com", "pass notexample.com", "none -", "550 5.7.23"),
        ("fail example.com", "fail example.com, pass example.com", "none -", "accept"),
        ("fail example.com", "temperror example.com", "none -", "451 4.7.0"),
        ("fail example.com", "policy example.com", "none -", "550 5.7.23"),
        ("softfail example.com", "temperror example.com", "none -", "junk"),
    ];

    #[test]
    fn the_receiving_policy() {
        for (spf, dkim, dmarc, expected) in CASES {
            assert_eq!(word(policy(&verdict(spf, dkim, dmarc))), expected, "SPF {spf}, DKIM {dkim}, DMARC {dmarc}");
        }
    }

    #[test]
    fn the_from_rule_stands_before_all() {
        for error in [FromError::Missing, FromError::SeveralFields(2), FromError::SeveralDomains, FromError::Unreadable]
        {
            let mut verdict = verdict("pass example.com", "pass example.com", "pass none");
            verdict.author = Err(error);
            assert_eq!(word(policy(&verdict)), "550 5.7.1");
        }
    }

    #[test]
    fn top_level_domains_align_with_nothing() {
        let mut verdict = verdict("fail example.com", "pass example.com", "none -");
        verdict.dkim[0].domain = Some(domain("com"));
        assert_eq!(word(policy(&verdict)), "550 5.7.23");
    }
}
