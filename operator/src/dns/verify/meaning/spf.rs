//! SPF by meaning: the same senders pass, and the same becomes of everyone else (RFC 7208). Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Verdict, spoiled};

const VERSION: &str = "v=spf1";

/// Whether receivers take a text for an SPF record: the version, then a space or the end (RFC 7208 §4.5).
pub fn is_spf(text: &str) -> bool {
    text.get(..VERSION.len()).is_some_and(|start| start.eq_ignore_ascii_case(VERSION))
        && text.get(VERSION.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Judges the texts of a name.
pub fn judge(wanted: &str, texts: &[String]) -> Verdict {
    let found: Vec<&String> = texts.iter().filter(|text| is_spf(text)).collect();
    match found.as_slice() {
        [] => spoiled(texts, VERSION, is_spf).map_or_else(Verdict::missing, Verdict::different),
        [one] => match (Policy::read(wanted), Policy::read(one)) {
            (Ok(wanted), Ok(seen)) => Verdict::of(differences(&wanted, &seen)),
            (_, Err(why)) => Verdict::different(format!("receivers stop with an error (permerror): {why}")),
            (Err(why), _) => Verdict::different(why),
        },
        // RFC 7208 §4.5: more than one is a permanent error.
        many => Verdict::conflicting(format!(
            "there are {} SPF records, which receivers take for an error: put all into one",
            many.len()
        )),
    }
}

/// A mechanism other than `all`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mechanism {
    Net(IpNet),
    /// `include:example.com`, in lower case.
    Other(String),
}

/// A record's meaning.
struct Policy {
    /// In order: qualifier, mechanism, as it was written.
    terms: Vec<(char, Mechanism, String)>,
    /// The qualifier of `all`.
    all: Option<char>,
    redirect: Option<String>,
}

impl Policy {
    fn read(text: &str) -> Result<Self, String> {
        let mut policy = Self { terms: Vec::new(), all: None, redirect: None };
        for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
            let name_octets = term.find([':', '=', '/']).unwrap_or(term.len());
            if term.get(name_octets..).is_some_and(|rest| rest.starts_with('=')) {
                // Modifiers: unknown ones are ignored (RFC 7208 §6).
                if let Some(target) = term.to_ascii_lowercase().strip_prefix("redirect=") {
                    policy.redirect = Some(target.to_owned());
                }
                continue;
            }
            let (qualifier, bare) = match term.chars().next() {
                Some(sign @ ('+' | '-' | '~' | '?')) => (sign, term.get(1..).unwrap_or_default()),
                _ => ('+', term),
            };
            if bare.eq_ignore_ascii_case("all") {
                policy.all.get_or_insert(qualifier);
                continue;
            }
            let mechanism = mechanism(bare)?;
            // RFC 7208 §5.1: what stands after all is never reached.
            if policy.all.is_none() {
                policy.terms.push((qualifier, mechanism, term.to_owned()));
            }
        }
        Ok(policy)
    }

    /// Whether a passing term is this mechanism or contains it.
    fn passes(&self, wanted: &Mechanism) -> bool {
        self.terms.iter().any(|(qualifier, it, _)| *qualifier == '+' && covers(it, wanted))
    }
}

fn mechanism(text: &str) -> Result<Mechanism, String> {
    let lower = text.to_ascii_lowercase();
    let name_octets = lower.find([':', '/']).unwrap_or(lower.len());
    let (name, rest) = lower.split_at(name_octets);
    let value = rest.strip_prefix(':').unwrap_or(rest);
    match name {
        "ip4" | "ip6" => network(value)
            .filter(|net| net.addr().is_ipv4() == (name == "ip4"))
            .map(Mechanism::Net)
            .ok_or_else(|| format!("{text} is no {} network", if name == "ip4" { "IPv4" } else { "IPv6" })),
        "include" | "exists" if value.is_empty() || !rest.starts_with(':') => Err(format!("{text} names no domain")),
        "include" | "exists" | "a" | "mx" | "ptr" => Ok(Mechanism::Other(lower.trim_end_matches('.').to_owned())),
        _ => Err(format!("{text} is no SPF term")),
    }
}

fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address));
    }
    text.parse::<IpNet>().ok().map(|net| net.trunc())
}

fn covers(wide: &Mechanism, narrow: &Mechanism) -> bool {
    match (wide, narrow) {
        (Mechanism::Net(wide), Mechanism::Net(narrow)) => wide.contains(narrow),
        (wide, narrow) => wide == narrow,
    }
}

fn differences(wanted: &Policy, seen: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    for (_, mechanism, written) in &wanted.terms {
        if !seen.passes(mechanism) {
            found.push(format!("{written} is not in it"));
        }
    }
    for (qualifier, mechanism, written) in &seen.terms {
        if *qualifier != '+' {
            found.push(format!("{written} is more than wanted"));
        } else if !wanted.passes(mechanism) {
            found.push(format!(
                "{written} lets others send in this domain's name; if they shall, declare it in spec.spf"
            ));
        }
    }
    if seen.all != wanted.all {
        found.push(all_difference(wanted, seen));
    }
    found
}

fn all_difference(wanted: &Policy, seen: &Policy) -> String {
    let ending = |qualifier: char| match qualifier {
        '+' => "+all".to_owned(),
        other => format!("{other}all"),
    };
    let wanted = wanted.all.map_or_else(|| "nothing".to_owned(), ending);
    match (seen.all, &seen.redirect) {
        (Some('+'), _) => format!("+all lets everyone send in this domain's name, {wanted} is wanted"),
        (Some(qualifier), _) => format!("it ends in {}, {wanted} is wanted", ending(qualifier)),
        (None, Some(target)) => format!("it goes on at {target} (redirect=), {wanted} is wanted"),
        (None, None) => format!("it says nothing of everyone else, {wanted} is wanted at its end"),
    }
}
