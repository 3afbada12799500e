//! Durations as Go writes them (`2160h`, `1h30m`), quantities as Kubernetes does (`5Gi`, `500M`, `1e9`).
//!
//! Both keep the text as it was written and are read when they are used; the schema's pattern has
//! already refused what cannot be read.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// What a duration looks like.
pub const DURATION_PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";
/// What a quantity of octets looks like.
pub const QUANTITY_PATTERN: &str = r"^[0-9]+(\.[0-9]+)?(k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e[0-9]{1,2}|E[0-9]{1,2})?$";
/// Octets of the text of either at most.
const TEXT_OCTETS_MAX: usize = 32;

/// A length of time, as Go writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GoDuration(pub String);

impl GoDuration {
    /// Its value; `None` where the text is none or its sum does not fit.
    pub fn value(&self) -> Option<Duration> {
        let mut rest = self.0.as_str();
        let mut sum = 0.0;
        if rest.is_empty() || rest.len() > TEXT_OCTETS_MAX {
            return None;
        }
        while !rest.is_empty() {
            let (number, after) = split_number(rest)?;
            let unit_octets = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, next) = after.split_at_checked(unit_octets)?;
            let seconds = match unit {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            sum += number * seconds;
            rest = next;
        }
        Duration::try_from_secs_f64(sum).ok()
    }
}

impl JsonSchema for GoDuration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": DURATION_PATTERN, "maxLength": TEXT_OCTETS_MAX})
    }
}

/// A number of octets, as Kubernetes writes quantities: a number or a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl Quantity {
    /// The octets; `None` where the text is no quantity or does not fit.
    pub fn octets(&self) -> Option<u64> {
        if self.0.len() > TEXT_OCTETS_MAX {
            return None;
        }
        let (number, suffix) = split_number(&self.0)?;
        let factor = match suffix {
            "" => 1.0,
            "k" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "T" => 1e12,
            "P" => 1e15,
            "E" => 1e18,
            "Ki" => 1024.0,
            "Mi" => 1024f64.powi(2),
            "Gi" => 1024f64.powi(3),
            "Ti" => 1024f64.powi(4),
            "Pi" => 1024f64.powi(5),
            "Ei" => 1024f64.powi(6),
            _ => 10f64.powi(suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|power| *power <= 18)?),
        };
        let octets = (number * factor).ceil();
        // Above 2^63 nothing counts octets, and a float would no longer be exact.
        (octets < 9.2e18).then_some(octets as u64)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// Any number or text: what is none is said by validation. One stored object that could not be read would stop
    /// the watch of all.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(i64),
            Text(String),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Number(number) => Self(number.to_string()),
            Either::Text(text) => Self(text),
        })
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": QUANTITY_PATTERN,
            "maxLength": TEXT_OCTETS_MAX,
        })
    }
}

/// The number at the start, and what follows it.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let octets = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(octets)?;
    let whole = number.starts_with(|c: char| c.is_ascii_digit()) && !number.ends_with('.');
    Some((number.parse().ok().filter(|_| whole)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("2160h", Some(7_776_000.0)),
            ("1h30m", Some(5400.0)),
            ("1.5s", Some(1.5)),
            ("500ms", Some(0.5)),
            ("90d", None),
            ("", None),
            ("h", None),
            ("5", None),
            ("-1h", None),
            (".5h", None),
            ("1.h", None),
            ("99999999999999999999999h", None),
        ] {
            assert_eq!(GoDuration(text.to_owned()).value(), seconds.map(Duration::from_secs_f64), "{text}");
        }
    }

    #[test]
    fn quantities() {
        for (text, octets) in [
            ("5Gi", Some(5 * 1024 * 1024 * 1024)),
            ("500M", Some(500_000_000)),
            ("1.5Ki", Some(1536)),
            ("1e3", Some(1000)),
            ("12", Some(12)),
            ("5GB", None),
            ("", None),
            ("-1", None),
            ("8Ei", None),
            ("1e99", None),
            ("five", None),
        ] {
            assert_eq!(Quantity(text.to_owned()).octets(), octets, "{text}");
        }
        assert_eq!(serde_json::from_str::<Quantity>("-1").unwrap().octets(), None);
        assert_eq!(serde_json::from_str::<Quantity>("1024").unwrap().octets(), Some(1024));
    }
}
