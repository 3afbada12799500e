//! One wanted record against one server's answer, as a receiver of mail would understand it. Pure.
//!
//! - [`spf`]: who may send: the terms, in any order (RFC 7208).
//! - [`dmarc`]: the policy, with its defaults (RFC 7489).
//! - [`dkim`]: the key, after decoding (RFC 6376, RFC 8463).
//! - [`tags`]: the `tag=value` lists of the two.
//! - [`sets`]: MX, A, AAAA and SRV: all records of a name together.

use super::{
    State,
    seen::{Value, shown},
};
use crate::dns::Data;

mod dkim;
mod dmarc;
mod sets;
mod spf;
mod tags;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_sets;

/// What people and forms put around a text.
const QUOTES: [char; 4] = ['"', '\'', '\u{201c}', '\u{201d}'];
/// Characters of a text that show how it begins.
const FIRST_CHARACTERS: usize = 20;
/// Differences that are told of one record.
const TOLD_MAX: usize = 3;

/// How a record compares, and in which way it differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Verified, Missing, Different or Conflicting.
    pub state: State,
    /// In which way: a clause without capital and full stop.
    pub what: Option<String>,
}

impl Verdict {
    fn verified() -> Self {
        Self { state: State::Verified, what: None }
    }

    fn missing() -> Self {
        Self { state: State::Missing, what: None }
    }

    fn different(what: impl Into<String>) -> Self {
        Self { state: State::Different, what: Some(what.into()) }
    }

    fn conflicting(what: impl Into<String>) -> Self {
        Self { state: State::Conflicting, what: Some(what.into()) }
    }

    /// Verified where nothing differs.
    fn of(differences: Vec<String>) -> Self {
        if differences.is_empty() {
            return Self::verified();
        }
        let more = differences.len().saturating_sub(TOLD_MAX);
        let mut told: Vec<String> = differences.into_iter().take(TOLD_MAX).map(|it| shown(&it)).collect();
        if more > 0 {
            told.push(format!("and {more} more differences"));
        }
        Self::different(told.join("; "))
    }
}

/// Judges `wanted`, which is one of `set`, all that is wanted of the same name and type. `alias` is where CNAME
/// records led.
pub fn judge(wanted: &Data, set: &[&Data], values: &[Value], alias: Option<&str>) -> Verdict {
    if let Some(target) = alias
        && !follows_aliases(wanted)
    {
        // RFC 1034 §3.6.2: nothing stands beside a CNAME. RFC 5321 §5.1, RFC 2181 §10.3: nor is an exchanger one.
        return Verdict::different(format!(
            "the name is a CNAME for {}, and a name that mail needs must not be one: remove the CNAME",
            shown(target)
        ));
    }
    match wanted {
        Data::Txt(text) => judge_text(text, values),
        Data::Mx { preference, host } => sets::mx(*preference, host, set, values),
        Data::A(_) | Data::Aaaa(_) => sets::address(wanted, set, values),
        Data::Srv { .. } => sets::srv(wanted, set, values),
    }
}

/// Receivers look keys, policies and services up through aliases; a domain and a mail host are not to be one. A text
/// of the domain itself stands beside its MX.
fn follows_aliases(wanted: &Data) -> bool {
    match wanted {
        Data::Txt(text) => !spf::is_spf(text),
        Data::Srv { .. } => true,
        Data::Mx { .. } | Data::A(_) | Data::Aaaa(_) => false,
    }
}

fn judge_text(wanted: &str, values: &[Value]) -> Verdict {
    let texts: Vec<String> = values
        .iter()
        .filter_map(|value| match value {
            Value::Txt(octets) => Some(String::from_utf8_lossy(octets).into_owned()),
            _ => None,
        })
        .collect();
    if spf::is_spf(wanted) {
        spf::judge(wanted, &texts)
    } else if dmarc::is_dmarc(wanted) {
        dmarc::judge(wanted, &texts)
    } else if dkim::is_dkim(wanted) {
        dkim::judge(wanted, &texts)
    } else if texts.iter().any(|text| text == wanted) {
        Verdict::verified()
    } else if texts.is_empty() {
        Verdict::missing()
    } else {
        Verdict::different("there is another text")
    }
}

/// A text that was meant to be the record and is none for receivers: which mistake it is. `version` is how the record
/// begins, in small letters.
fn spoiled(texts: &[String], version: &str, is_it: impl Fn(&str) -> bool) -> Option<String> {
    texts.iter().find_map(|text| {
        let bare = text.trim().trim_matches(QUOTES).trim();
        if bare != text && is_it(bare) {
            let what = if text.contains(QUOTES) { "quotation marks" } else { "white space" };
            return Some(format!("the text begins or ends with {what}, so that receivers take it for no record"));
        }
        let start: String = bare.chars().filter(|c| !c.is_whitespace()).take(version.len()).collect();
        start.eq_ignore_ascii_case(version).then(|| {
            let first: String = bare.chars().take(FIRST_CHARACTERS).collect();
            format!("receivers do not recognise {}: look at how it begins", shown(&first))
        })
    })
}
