//! What a MailDomain's status says of its DNS: the condition, and each record. Pure.

use k8s_openapi::jiff::Timestamp;

use super::{Checked, State, Verification};
use crate::{api::domain::RecordStatus, conditions::Finding};

/// The condition's type.
pub const CONDITION: &str = "DNSVerified";
/// Records whose values stand in the status: the zone file has all, and a status should stay small.
const VALUES_MAX: usize = 5;
/// Octets of a reason and of a value in the status, as the schema has them.
const REASON_OCTETS_MAX: usize = 1024;
const VALUE_OCTETS_MAX: usize = 4096;
/// Records in the status, as the schema has them.
const RECORDS_MAX: usize = 100;
/// Servers that are named when all is well.
const SERVERS_NAMED_MAX: usize = 6;

/// Verification is switched off.
pub fn disabled() -> Finding {
    Finding::yes(
        CONDITION,
        "VerificationDisabled",
        "the records are not checked, as spec.dns.verification.mode says; publish what `paquebot dns` prints",
    )
}

/// Not looked at yet.
pub fn not_checked() -> Finding {
    Finding::unknown(CONDITION, "NotChecked", "the records are about to be checked: wait a moment")
}

/// The condition: the first record to mend, and what to put there.
pub fn summary(verification: &Verification) -> Finding {
    let own: Vec<&Checked> = verification.records.iter().filter(|it| !it.elsewhere).collect();
    let failing: Vec<&Checked> = own.iter().copied().filter(|it| it.state != State::Verified).collect();
    // What the owner can mend in the zone comes before servers that are out of order.
    let Some(first) = failing.iter().find(|it| in_zone(it.state)).or(failing.first()) else {
        return if own.is_empty() { not_checked() } else { verified(&own) };
    };
    let said = first.reason.clone().unwrap_or_default();
    let message = match failing.len() {
        1 => said,
        many => format!("{many} of {} records to mend, first: {said}", own.len()),
    };
    match first.state {
        State::Unknown => Finding::unknown(CONDITION, "NotChecked", message),
        state => Finding::no(CONDITION, reason(state), message),
    }
}

fn in_zone(state: State) -> bool {
    matches!(state, State::Missing | State::Different | State::Conflicting)
}

fn reason(state: State) -> &'static str {
    match state {
        State::Verified => "Verified",
        State::Missing => "RecordMissing",
        State::Different => "RecordDifferent",
        State::Conflicting => "RecordConflicting",
        State::Lame => "ServersLame",
        State::Unreachable => "ServersUnreachable",
        State::NoZone => "ZoneNotFound",
        State::Unknown => "NotChecked",
    }
}

fn verified(own: &[&Checked]) -> Finding {
    let mut servers: Vec<&str> = Vec::new();
    for at in own.iter().flat_map(|it| &it.servers) {
        if !servers.contains(&at.server.as_str()) {
            servers.push(&at.server);
        }
    }
    let more = servers.len().saturating_sub(SERVERS_NAMED_MAX);
    servers.truncate(SERVERS_NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("all {} records are answered as wanted by {}{more}", own.len(), servers.join(", "));
    Finding::yes(CONDITION, "Verified", message)
}

/// Each record's status: `since` moves with the state only; values only of the first few that fail.
pub fn record_statuses(verification: &Verification, before: &[RecordStatus], now: Timestamp) -> Vec<RecordStatus> {
    // The API keeps whole seconds.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now).to_string();
    let mut values_left = VALUES_MAX;
    let status = |record: &Checked| {
        let state = record.state.text();
        let since = before.iter().find(|it| it.id == record.id && it.state == state).and_then(|it| it.since.clone());
        let shows_value = record.state != State::Verified && record.state != State::Unknown && values_left > 0;
        values_left -= usize::from(shows_value);
        RecordStatus {
            id: record.id.clone(),
            kind: record.kind.to_owned(),
            state: state.to_owned(),
            reason: record.reason.as_deref().map(|it| cut(it, REASON_OCTETS_MAX)),
            since: Some(since.unwrap_or_else(|| now.clone())),
            value: shows_value.then(|| cut(&record.wanted, VALUE_OCTETS_MAX)),
        }
    };
    verification.records.iter().take(RECORDS_MAX).map(status).collect()
}

fn cut(text: &str, octets_max: usize) -> String {
    if text.len() <= octets_max {
        return text.to_owned();
    }
    let mut end = octets_max - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(id: &str, state: State) -> Checked {
        Checked {
            id: id.into(),
            name: "example.com".into(),
            kind: "TXT",
            wanted: "v=spf1 -all".into(),
            elsewhere: id.starts_with("report/"),
            state,
            reason: (state != State::Verified).then(|| format!("mend {id}")),
            zone: Some("example.com".into()),
            servers: Vec::new(),
        }
    }

    fn said(states: &[(&str, State)]) -> (String, String) {
        let records = states.iter().map(|(id, state)| checked(id, *state)).collect();
        let found = summary(&Verification { records });
        assert_eq!(found.kind, CONDITION);
        (format!("{} {}", found.state.text(), found.reason), found.message)
    }

    #[test]
    fn the_first_record_to_mend_is_named() {
        use State::{Conflicting, Different, Lame, Missing, NoZone, Unknown, Unreachable, Verified};
        for (states, reason, message) in [
            (vec![], "Unknown NotChecked", "wait"),
            (vec![("mx", Verified)], "True Verified", "all 1 records"),
            (vec![("mx", Verified), ("report/x", Missing)], "True Verified", "all 1 records"),
            (vec![("mx", Verified), ("spf", Missing)], "False RecordMissing", "mend spf"),
            (
                vec![("mx", Unreachable), ("spf", Different)],
                "False RecordDifferent",
                "2 of 2 records to mend, first: mend spf",
            ),
            (vec![("mx", Lame), ("spf", Unreachable)], "False ServersLame", "first: mend mx"),
            (vec![("spf", Conflicting)], "False RecordConflicting", "mend spf"),
            (vec![("mx", Unreachable)], "False ServersUnreachable", "mend mx"),
            (vec![("mx", NoZone), ("spf", NoZone)], "False ZoneNotFound", "first: mend mx"),
            (vec![("mx", Unknown)], "Unknown NotChecked", "mend mx"),
        ] {
            let found = said(&states);
            assert_eq!(found.0, reason, "{states:?}");
            assert!(found.1.contains(message), "{found:?}");
        }
        assert!(disabled().holds());
    }

    #[test]
    fn since_moves_with_the_state_only() {
        let first = Timestamp::from_second(1_000).unwrap();
        let later = Timestamp::from_second(2_000).unwrap();
        let one = Verification { records: vec![checked("mx", State::Missing), checked("spf", State::Missing)] };
        let before = record_statuses(&one, &[], first);
        assert_eq!(before[0].since.as_deref(), Some("1970-01-01T00:16:40Z"));
        let two = Verification { records: vec![checked("mx", State::Missing), checked("spf", State::Verified)] };
        let after = record_statuses(&two, &before, later);
        assert_eq!(after[0], before[0]);
        assert_eq!(after[1].since.as_deref(), Some("1970-01-01T00:33:20Z"));
        assert_eq!((after[1].reason.as_deref(), after[1].value.as_deref()), (None, None));
    }

    #[test]
    fn a_status_stays_small() {
        let mut records: Vec<Checked> = (0..300).map(|n| checked(&format!("r{n}"), State::Missing)).collect();
        records[0].reason = Some("é".repeat(2_000));
        let statuses = record_statuses(&Verification { records }, &[], Timestamp::UNIX_EPOCH);
        assert_eq!(statuses.len(), RECORDS_MAX);
        assert_eq!(statuses.iter().filter(|it| it.value.is_some()).count(), VALUES_MAX);
        assert!(statuses[0].reason.as_ref().unwrap().len() <= REASON_OCTETS_MAX);
    }
}
