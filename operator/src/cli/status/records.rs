//! A domain's records: how many are as wanted, which are to be mended, which nobody looked at. Pure.

use serde::Serialize;

use crate::{
    api::{
        MailDomain,
        domain::{RecordStatus, VerificationMode},
    },
    dns::verify::cause,
};

/// What the ids of records in the zones of others begin with: shown, never published, and not counted.
const ELSEWHERE: &str = "report/";
const VERIFIED: &str = "Verified";
const UNKNOWN: &str = "Unknown";

/// A record that is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub state: String,
    pub reason: Option<String>,
}

/// The records of a domain; in JSON they are fields of the domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Records {
    /// Records in the domain's own zones.
    pub records: usize,
    /// Those that every name server answers as wanted.
    pub verified: usize,
    /// Those that nobody has looked at.
    pub unchecked: usize,
    /// Nobody will: `spec.dns.verification.mode` is Disabled.
    pub verification_disabled: bool,
    /// Those to mend.
    pub mend: Vec<Record>,
    /// Those in zones of others that are not there: for their owners.
    pub elsewhere: Vec<Record>,
}

/// Counts them.
pub(super) fn records(domain: &MailDomain) -> Records {
    let all = domain.status.as_ref().map(|it| it.records.as_slice()).unwrap_or_default();
    let verification_disabled = domain.spec.dns.verification.mode == VerificationMode::Disabled;
    let (others, own): (Vec<&RecordStatus>, Vec<&RecordStatus>) =
        all.iter().partition(|it| it.id.starts_with(ELSEWHERE));
    // What was found before the checks were switched off says nothing of now.
    let looked_at = |it: &&RecordStatus| !verification_disabled && (it.state != UNKNOWN || it.reason.is_some());
    let looked: Vec<&RecordStatus> = own.iter().copied().filter(looked_at).collect();
    let wrong = |it: &&RecordStatus| it.state != VERIFIED;
    let mut mend: Vec<Record> = looked.iter().copied().filter(wrong).map(record).collect();
    // The condition names the first of these too: what the owner can mend in the zone, then servers out of order.
    mend.sort_by_key(|it| !matches!(it.state.as_str(), "Conflicting" | "Different" | "Missing"));
    Records {
        records: own.len(),
        verified: looked.iter().filter(|it| it.state == VERIFIED).count(),
        unchecked: own.len() - looked.len(),
        verification_disabled,
        mend,
        elsewhere: others.into_iter().filter(looked_at).filter(wrong).map(record).collect(),
    }
}

fn record(status: &RecordStatus) -> Record {
    Record {
        id: status.id.clone(),
        kind: status.kind.clone(),
        state: status.state.clone(),
        reason: status.reason.clone(),
    }
}

impl Records {
    /// The count in words.
    pub fn told(&self) -> String {
        match (self.verification_disabled, self.unchecked) {
            (true, _) => format!("{}, not checked (spec.dns.verification.mode is Disabled)", self.records),
            (false, 0) => format!("{} of {} verified", self.verified, self.records),
            (false, all) if all == self.records => format!("{all}, not looked at yet"),
            (false, some) => format!("{} of {} verified, {some} not looked at yet", self.verified, self.records),
        }
    }
}

/// Records that lack the same, in the order of the first of each.
pub(super) fn grouped(records: &[Record]) -> Vec<(&Record, Vec<&Record>)> {
    let mut groups: Vec<(&Record, Vec<&Record>)> = Vec::new();
    for record in records {
        let same = |first: &Record| first.state == record.state && cause_of(first) == cause_of(record);
        match groups.iter_mut().find(|(first, _)| same(first)) {
            Some((_, others)) => others.push(record),
            None => groups.push((record, Vec::new())),
        }
    }
    groups
}

fn cause_of(record: &Record) -> &str {
    cause(&record.kind, record.reason.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dns::{
        Data, Record as Wanted,
        verify::{Answer, Looked, Question, Seen, Server, compare},
    };

    fn domain(mode: &str, states: &[(&str, &str, Option<&str>)]) -> MailDomain {
        let status = |(id, state, reason): &(&str, &str, Option<&str>)| json!({"id": id, "type": "TXT", "state": state, "reason": reason});
        serde_json::from_value(json!({
            "apiVersion": "paquebot.dev/v1alpha1", "kind": "MailDomain", "metadata": {"name": "example.com"},
            "spec": {"dns": {"verification": {"mode": mode}}},
            "status": {"records": states.iter().map(status).collect::<Vec<_>>()},
        }))
        .unwrap()
    }

    #[test]
    fn what_nobody_checks_is_counted_apart() {
        let verified = ("spf", "Verified", None);
        let missing = ("dmarc", "Missing", Some("add it"));
        let unseen = ("mx", "Unknown", None);
        let unfound = ("mx", "Unknown", Some("no resolver answers"));
        let report = ("report/example.net", "Missing", Some("ask its owner to add it"));
        for (mode, states, told, mend, elsewhere) in [
            ("Enabled", vec![verified, missing], "1 of 2 verified", 1, 0),
            ("Enabled", vec![verified, report], "1 of 1 verified", 0, 1),
            ("Enabled", vec![verified, unseen], "1 of 2 verified, 1 not looked at yet", 0, 0),
            ("Enabled", vec![unseen, report], "1, not looked at yet", 0, 1),
            ("Enabled", vec![verified, unfound], "1 of 2 verified", 1, 0),
            ("Disabled", vec![unseen, unseen], "2, not checked (spec.dns.verification.mode is Disabled)", 0, 0),
            (
                "Disabled",
                vec![verified, missing, report],
                "2, not checked (spec.dns.verification.mode is Disabled)",
                0,
                0,
            ),
        ] {
            let found = records(&domain(mode, &states));
            assert_eq!((found.told().as_str(), found.mend.len(), found.elsewhere.len()), (told, mend, elsewhere));
        }
    }

    #[test]
    fn what_the_owner_can_mend_comes_first() {
        let states = [("mx", "Unreachable", Some("a")), ("spf", "Lame", Some("b")), ("dmarc", "Missing", Some("c"))];
        let ids: Vec<String> = records(&domain("Enabled", &states)).mend.into_iter().map(|it| it.id).collect();
        assert_eq!(ids, ["dmarc", "mx", "spf"]);
    }

    /// The sentences are the operator's own, so that a new wording there shows here.
    #[test]
    fn what_lacks_the_same_is_told_once() {
        let wanted = |id: &str, name: &str, text: &str| Wanted {
            id: id.into(),
            name: name.into(),
            ttl_seconds: 60,
            data: Data::Txt(text.into()),
            elsewhere: false,
        };
        let all =
            [wanted("spf", "example.com", "v=spf1 -all"), wanted("dmarc", "_dmarc.example.com", "v=DMARC1; p=none")];
        let server = || Server { name: "ns1.example.net".into(), address: None };
        let at = |answer: Answer| Looked::At { zone: "example.com".into(), answers: vec![(server(), answer)] };
        let missing = || at(Answer::Values { values: Vec::new(), alias: None });
        for (looked, groups) in [
            (vec![Looked::NoZone("why".into()), Looked::NoZone("why".into())], 1),
            (vec![Looked::NoResolver("why".into()), Looked::NoResolver("why".into())], 1),
            (vec![at(Answer::Unreachable("why".into())), at(Answer::Unreachable("other".into()))], 1),
            (vec![at(Answer::Lame("why".into())), at(Answer::Lame("why".into()))], 1),
            (vec![missing(), missing()], 2),
            (vec![Looked::NoZone("why".into()), missing()], 2),
        ] {
            let seen: Seen = all.iter().map(Question::of).zip(looked).collect();
            let records: Vec<Record> = compare(&all, &seen)
                .records
                .into_iter()
                .map(|it| Record { id: it.id, kind: it.kind.into(), state: it.state.text().into(), reason: it.reason })
                .collect();
            assert_eq!(grouped(&records).len(), groups, "{records:?}");
        }
    }
}
