//! MX, A, AAAA and SRV: all records of a name together say where to go. Pure.

use std::net::IpAddr;

use paquebot_mta_api::address::Domain;

use super::{
    super::seen::{Value, shown},
    Verdict,
};
use crate::dns::Data;

/// Values that are told of one record.
const TOLD_MAX: usize = 3;

fn told(values: &[String]) -> String {
    let more = values.len().saturating_sub(TOLD_MAX);
    let mut text = values.iter().take(TOLD_MAX).map(|it| shown(it)).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// MX (RFC 5321 §5.1): the numbers say the order and nothing else.
pub fn mx(preference: u16, host: &Domain, set: &[&Data], values: &[Value]) -> Verdict {
    let mut seen: Vec<(u16, &str)> = Vec::new();
    for value in values {
        if let Value::Mx { preference, host } = value {
            seen.push((*preference, host));
        }
    }
    seen.sort_unstable();
    if seen.is_empty() {
        return Verdict::missing();
    }
    if seen.iter().any(|(_, host)| host.is_empty()) {
        return Verdict::different("the domain says that it takes no mail: a null MX, RFC 7505");
    }
    let wanted = |name: &str| {
        set.iter().find_map(|data| match data {
            Data::Mx { preference, host } if host.as_str() == name => Some(*preference),
            _ => None,
        })
    };
    let others: Vec<String> = seen
        .iter()
        .filter(|(_, name)| wanted(name).is_none())
        .map(|(preference, name)| format!("{} (preference {preference})", exchanger(name)))
        .collect();
    let Some((own, _)) = seen.iter().find(|(_, name)| *name == host.as_str()) else {
        return if others.is_empty() {
            Verdict::different(format!("{host} is not in it"))
        } else {
            Verdict::different(format!("mail goes to {} instead", told(&others)))
        };
    };
    if !others.is_empty() {
        return Verdict::conflicting(format!("mail goes to {}, too", told(&others)));
    }
    // The order among those wanted.
    let turned = seen.iter().find(|(number, name)| {
        *name != host.as_str() && wanted(name).is_some_and(|other| other.cmp(&preference) != number.cmp(own))
    });
    match turned {
        Some((number, name)) => {
            Verdict::different(format!("the order is another: {host} has preference {own} and {name} has {number}"))
        }
        None => Verdict::verified(),
    }
}

/// A frequent mistake is an address.
fn exchanger(name: &str) -> String {
    if name.parse::<IpAddr>().is_ok() { format!("{name}, an address where a name must stand") } else { name.to_owned() }
}

/// A and AAAA: a program may take any of them.
pub fn address(wanted: &Data, set: &[&Data], values: &[Value]) -> Verdict {
    let wanted_all: Vec<String> = set.iter().map(|data| data.plain()).collect();
    let seen: Vec<String> = values.iter().map(Value::shown).collect();
    let others: Vec<String> = seen.iter().filter(|it| !wanted_all.contains(it)).cloned().collect();
    match (seen.contains(&wanted.plain()), others.is_empty()) {
        _ if seen.is_empty() => Verdict::missing(),
        (true, true) => Verdict::verified(),
        (true, false) => {
            Verdict::conflicting(format!("the name has {}, too, where nothing of ours answers", told(&others)))
        }
        (false, true) => Verdict::different("this address is not among them"),
        (false, false) => Verdict::different(format!("the name has {} instead", told(&others))),
    }
}

/// SRV (RFC 2782, RFC 6186): priorities count also between names, because programs choose by them between protocols.
pub fn srv(wanted: &Data, set: &[&Data], values: &[Value]) -> Verdict {
    let Data::Srv { priority, port, target, .. } = wanted else { return Verdict::verified() };
    let mut seen: Vec<(u16, u16, &str)> = Vec::new();
    for value in values {
        if let Value::Srv { priority, port, target, .. } = value {
            seen.push((*priority, *port, target));
        }
    }
    if seen.is_empty() {
        return Verdict::missing();
    }
    if seen.iter().any(|(_, _, target)| target.is_empty()) {
        return Verdict::different("the name says that the service is not there: the target is the root, RFC 2782");
    }
    let is_wanted = |seen: &(u16, u16, &str)| {
        set.iter()
            .any(|data| matches!(data, Data::Srv { port, target, .. } if *port == seen.1 && target.as_str() == seen.2))
    };
    let others: Vec<String> =
        seen.iter().filter(|it| !is_wanted(it)).map(|(_, port, target)| format!("{target} port {port}")).collect();
    match seen.iter().find(|it| it.1 == *port && it.2 == target.as_str()) {
        None if others.is_empty() => Verdict::different(format!("{target} port {port} is not in it")),
        None => Verdict::different(format!("programs are sent to {} instead", told(&others))),
        Some(_) if !others.is_empty() => Verdict::conflicting(format!("programs are sent to {}, too", told(&others))),
        Some((number, _, _)) if number != priority => {
            Verdict::different(format!("the priority is {number}, {priority} is wanted"))
        }
        Some(_) => Verdict::verified(),
    }
}
