//! Conditions of a status: kept in one order, their time moved only when their status changes. Pure.
//!
//! A condition's reason is CamelCase, its message a sentence that says what to do next. `Stalled` is there only
//! while it is true: permanent errors that wait for a change (kstatus).

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use crate::api::refs::Conditions;

/// Octets of a message at most: the API allows 32,768, people read less.
pub const MESSAGE_OCTETS_MAX: usize = 1024;

/// What a condition says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// `True`
    True,
    /// `False`
    False,
    /// `Unknown`: not looked at yet, or it cannot be told.
    Unknown,
}

impl State {
    /// As the API writes it.
    pub fn text(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition without its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `Ready`, `Accepted` and so on.
    pub kind: &'static str,
    /// Whether it holds.
    pub state: State,
    /// CamelCase, for programs.
    pub reason: String,
    /// A sentence for people, that says what to do.
    pub message: String,
}

impl Finding {
    /// It holds.
    pub fn yes(kind: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { kind, state: State::True, reason: reason.to_owned(), message: message.into() }
    }

    /// It does not hold.
    pub fn no(kind: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { kind, state: State::False, reason: reason.to_owned(), message: message.into() }
    }

    /// It cannot be told.
    pub fn unknown(kind: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { kind, state: State::Unknown, reason: reason.to_owned(), message: message.into() }
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.state == State::True
    }
}

/// The conditions that follow, in the order of the findings; a time moves only with the status. Kinds that were
/// there and are not found any more go.
pub fn set(before: &Conditions, findings: &[Finding], generation: Option<i64>, now: Timestamp) -> Conditions {
    let condition = |finding: &Finding| {
        let old = before.0.iter().find(|it| it.type_ == finding.kind && it.status == finding.state.text());
        Condition {
            type_: finding.kind.to_owned(),
            status: finding.state.text().to_owned(),
            reason: finding.reason.clone(),
            message: cut(&finding.message, MESSAGE_OCTETS_MAX),
            observed_generation: generation,
            last_transition_time: old.map_or_else(|| Time(whole_seconds(now)), |it| it.last_transition_time.clone()),
        }
    };
    Conditions(findings.iter().map(condition).collect())
}

/// The condition of this kind.
pub fn find<'a>(conditions: &'a Conditions, kind: &str) -> Option<&'a Condition> {
    conditions.0.iter().find(|it| it.type_ == kind)
}

/// `Ready`: the first of these that does not hold says why; all hold: yes.
pub fn ready(findings: &[Finding], message: &str) -> Finding {
    match findings.iter().find(|it| !it.holds()) {
        None => Finding::yes("Ready", "Ready", message),
        Some(first) => {
            Finding { kind: "Ready", state: State::False, reason: first.reason.clone(), message: first.message.clone() }
        }
    }
}

/// The API keeps whole seconds: a fraction would look like a change at each comparison.
fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// At most so many octets of a message.
pub(crate) fn cut(message: &str, octets: usize) -> String {
    if message.len() <= octets {
        return message.to_owned();
    }
    let mut end = octets.saturating_sub('…'.len_utf8());
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", message.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_move_with_the_status_only() {
        let first = Timestamp::from_second(1000).unwrap();
        let later = Timestamp::from_second(2000).unwrap();
        let one = set(&Conditions::default(), &[Finding::no("Ready", "Waiting", "wait")], Some(1), first);
        let same = set(&one, &[Finding::no("Ready", "Other", "wait more")], Some(2), later);
        assert_eq!(same.0[0].last_transition_time.0, first);
        assert_eq!((same.0[0].reason.as_str(), same.0[0].observed_generation), ("Other", Some(2)));
        let turned = set(&same, &[Finding::yes("Ready", "Ready", "fine")], Some(2), later);
        assert_eq!(turned.0[0].last_transition_time.0, later);
    }

    #[test]
    fn ready_is_the_first_that_does_not_hold() {
        let findings =
            [Finding::yes("A", "A", "a"), Finding::unknown("B", "NotAsked", "ask"), Finding::no("C", "C", "c")];
        assert_eq!(ready(&findings, "all is well"), Finding::no("Ready", "NotAsked", "ask"));
        assert!(ready(&findings[..1], "all is well").holds());
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let said = cut(&"é".repeat(MESSAGE_OCTETS_MAX), MESSAGE_OCTETS_MAX);
        assert!(said.len() <= MESSAGE_OCTETS_MAX && said.ends_with('…'));
    }
}
