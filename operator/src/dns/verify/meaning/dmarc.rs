//! DMARC by meaning: the same becomes of mail that fails, the same people get reports (RFC 7489 §6.3). Pure.

use super::{
    Verdict, spoiled,
    tags::{Tags, items},
};

/// Whether receivers take a text for a DMARC record: `v=DMARC1` comes first, in capitals (RFC 7489 §6.3, §6.6.3).
pub fn is_dmarc(text: &str) -> bool {
    let first = text.split(';').next().unwrap_or_default();
    first.split_once('=').is_some_and(|(name, value)| name.trim_end() == "v" && value.trim() == "DMARC1")
}

/// Judges the texts of a name.
pub fn judge(wanted: &str, texts: &[String]) -> Verdict {
    let found: Vec<&String> = texts.iter().filter(|text| is_dmarc(text)).collect();
    match found.as_slice() {
        [] => spoiled(texts, "v=dmarc1", is_dmarc).map_or_else(Verdict::missing, Verdict::different),
        [one] => match (Tags::read(wanted), Tags::read(one)) {
            // The word of a domain that takes reports (RFC 7489 §7.1): whatever else it says.
            (Ok(wanted), _) if wanted.get("p").is_none() => Verdict::verified(),
            (Ok(wanted), Ok(seen)) => Verdict::of(differences(&wanted, &seen)),
            (_, Err(why)) | (Err(why), _) => Verdict::different(why),
        },
        // RFC 7489 §6.6.3: then there is no policy.
        many => Verdict::conflicting(format!(
            "there are {} DMARC records, which receivers take for none: leave one",
            many.len()
        )),
    }
}

const POLICIES: [&str; 3] = ["none", "quarantine", "reject"];

fn differences(wanted: &Tags, seen: &Tags) -> Vec<String> {
    let mut found = Vec::new();
    let policy = |tags: &Tags, name: &str| tags.get(name).map(str::to_ascii_lowercase);
    let (p_wanted, p_seen) = (policy(wanted, "p"), policy(seen, "p"));
    match &p_seen {
        None => found.push("it has no p=, so that receivers take it for p=none or for no record".to_owned()),
        Some(p) if !POLICIES.contains(&p.as_str()) => found.push(format!("p={p} is no policy")),
        _ if p_seen != p_wanted => found.push(worded("p", p_seen.as_deref(), p_wanted.as_deref())),
        _ => {}
    }
    // sp= left out is p=; np= left out is sp=.
    let of_subdomains = |tags: &Tags, p: &Option<String>| policy(tags, "sp").or_else(|| p.clone());
    let (sp_wanted, sp_seen) = (of_subdomains(wanted, &p_wanted), of_subdomains(seen, &p_seen));
    if sp_seen != sp_wanted && (seen.get("sp").is_some() || wanted.get("sp").is_some()) {
        found.push(worded("sp", sp_seen.as_deref(), sp_wanted.as_deref()));
    }
    let of_nobody = |tags: &Tags, sp: Option<String>| policy(tags, "np").or(sp);
    let (np_wanted, np_seen) = (of_nobody(wanted, sp_wanted), of_nobody(seen, sp_seen));
    if np_seen != np_wanted && seen.get("np").is_some() {
        found.push(worded("np", np_seen.as_deref(), np_wanted.as_deref()));
    }
    for (name, default) in [("adkim", "r"), ("aspf", "r"), ("pct", "100"), ("t", "n")] {
        let value = |tags: &Tags| tags.get(name).unwrap_or(default).to_ascii_lowercase();
        if value(seen) != value(wanted) {
            found.push(worded(name, Some(&value(seen)), Some(&value(wanted))));
        }
    }
    for name in ["rua", "ruf"] {
        found.extend(reports(name, wanted, seen));
    }
    // fo= says when, which matters to somebody only.
    let options = |tags: &Tags| items(tags.get("fo").unwrap_or("0"), ':');
    if (wanted.get("ruf").is_some() || seen.get("ruf").is_some()) && options(seen) != options(wanted) {
        found.push(worded("fo", Some(&options(seen).join(":")), Some(&options(wanted).join(":"))));
    }
    found
}

fn worded(name: &str, seen: Option<&str>, wanted: Option<&str>) -> String {
    format!("{name}={}, {name}={} is wanted", seen.unwrap_or_default(), wanted.unwrap_or_default())
}

/// Who gets reports; the `!10m` after an address only says how long they may be.
fn reports(name: &str, wanted: &Tags, seen: &Tags) -> Vec<String> {
    let people = |tags: &Tags| {
        let uris = tags.get(name).map(|value| items(value, ',')).unwrap_or_default();
        let bare = |uri: &String| uri.split('!').next().unwrap_or_default().to_owned();
        uris.iter().map(bare).collect::<Vec<_>>()
    };
    let (wanted, seen) = (people(wanted), people(seen));
    let absent = wanted.iter().filter(|it| !seen.contains(it)).map(|it| format!("{it} is not in {name}="));
    let extra = seen
        .iter()
        .filter(|it| !wanted.contains(it))
        .map(|it| format!("{it} gets reports by {name}=; if it shall, declare it in spec.dmarc.{name}"));
    absent.chain(extra).collect()
}
