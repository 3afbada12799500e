//! CEL rules for what a pattern or a type cannot say, and a message of ours for each pattern: the API server refuses
//! with the words with which local mode refuses. The Rust twin of each rule stands in `domain`, `server`, `mailbox`.

use serde_json::{Map, Value, json};

use super::refs::DOMAIN_PATTERN;
use crate::load::schema::hint;

/// Values in an object × characters of each × characters of its pattern, at most: the API server estimates such a cost
/// before it takes a definition. Dearer patterns stay as they are, with a
/// cheaper rule in the table for the message where there is one.
const COST_MAX: u64 = 100_000_000;

/// A rule at a place in the definition.
struct Rule {
    kind: &'static str,
    /// `spec.spf.ip4[]`; empty: the object itself.
    path: &'static str,
    rule: &'static str,
    message: &'static str,
}

/// Octets that can be counted, and more than one message needs.
const QUANTITY_IN_BOUNDS: &str = "type(self) == int ? self >= 1048576 : isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1Mi')) >= 0 && quantity(string(self)).compareTo(quantity('7Ei')) <= 0";

const RULES: &[Rule] = &[
    Rule {
        kind: "MailDomain",
        path: "",
        rule: "size(self.metadata.name) <= 225",
        message: "metadata.name is too long, the names of its DKIM records would not fit into the DNS: use at most 225 characters",
    },
    Rule {
        kind: "MailDomain",
        path: "",
        rule: "!isIP(self.metadata.name)",
        message: "metadata.name is an address, not a domain: write it as example.com",
    },
    Rule {
        kind: "MailDomain",
        path: "",
        rule: "!has(self.spec) || !has(self.spec.spf) || !has(self.spec.spf.include) || !(self.metadata.name in self.spec.spf.include)",
        message: "spec.spf.include has the domain itself: leave it out",
    },
    Rule {
        kind: "MailDomain",
        path: "",
        rule: "!has(self.spec) || !has(self.spec.senders) || self.spec.senders.all(s, s.from.all(f, f.lowerAscii().split('@')[1] == self.metadata.name))",
        message: "spec.senders has an address in another domain: declare it in the MailDomain of its own domain",
    },
    Rule {
        kind: "MailDomain",
        path: "spec.dkim.rotationPeriod",
        rule: "duration(self) >= duration('24h')",
        message: "too short, resolvers would miss keys: write 24h or more",
    },
    Rule {
        kind: "MailDomain",
        path: "spec.spf.ip4[]",
        rule: "!self.endsWith('/0')",
        message: "lets the whole Internet send: write your own networks",
    },
    Rule {
        kind: "MailDomain",
        path: "spec.spf.ip6[]",
        rule: "!self.endsWith('/0')",
        message: "lets the whole Internet send: write your own networks",
    },
    Rule {
        kind: "MailDomain",
        path: "spec.spf.ip6[]",
        rule: "isIP(self) || isCIDR(self)",
        message: "not an IPv6 address or network: write it as 2001:db8::/32",
    },
    Rule {
        kind: "MailDomain",
        path: "spec.dns.verification.resolvers[]",
        rule: r"isIP(self) || self.matches(r'^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$')",
        message: "no address of a resolver: write it as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353",
    },
    Rule {
        kind: "MailServer",
        path: "spec.allowedDomains[].domains[]",
        rule: "self == '*' || self.startsWith('*.') || !self.contains('*')",
        message: "not a domain or a pattern of domains: write it as example.com, *.example.com or *",
    },
    Rule {
        kind: "MailServer",
        path: "spec.egress.publicAddresses[]",
        rule: "isIP(self) && self != '0.0.0.0' && self != '::'",
        message: "not an address from which mail can leave: write it as 192.0.2.10",
    },
    Rule {
        kind: "MailServer",
        path: "spec.service.proxyProtocol.trustedCIDRs[]",
        rule: "isCIDR(self)",
        message: "not a network: write it as 198.51.100.0/24",
    },
    Rule {
        kind: "MailServer",
        path: "spec.service.proxyProtocol.trustedCIDRs[]",
        rule: "!self.endsWith('/0')",
        message: "trusts the whole Internet: write the load balancers' own networks",
    },
    Rule {
        kind: "Mailbox",
        path: "spec.address",
        rule: "!self.split('@')[0].contains('+')",
        message: "would be hidden, what follows a + is left out when mail arrives: write it without",
    },
    Rule {
        kind: "Mailbox",
        path: "spec.quota",
        rule: QUANTITY_IN_BOUNDS,
        message: "too small or too large: write 1Mi to 7Ei",
    },
    Rule {
        kind: "MailServer",
        path: "spec.store.sqlite.volume.size",
        rule: QUANTITY_IN_BOUNDS,
        message: "too small or too large: write 1Mi to 7Ei",
    },
];

/// The definition with all rules. `schema`: its OpenAPI schema.
pub fn add(schema: &mut Value, kind: &str) {
    if kind == "MailDomain" {
        let message =
            "metadata.name is the domain itself: write it as example.com, with a dot, in lower case and A-labels";
        push(schema, &format!("self.metadata.name.matches(r'{DOMAIN_PATTERN}')"), message);
    }
    for rule in RULES.iter().filter(|it| it.kind == kind) {
        if let Some(place) = find(schema, rule.path) {
            push(place, rule.rule, rule.message);
        }
    }
    if let Some(spec) = find(schema, "spec") {
        speak(spec, 1);
    }
}

fn find<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut here = schema;
    for step in path.split('.').filter(|it| !it.is_empty()) {
        let (name, is_list) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
        here = here.get_mut("properties")?.get_mut(name)?;
        if is_list {
            here = here.get_mut("items")?;
        }
    }
    Some(here)
}

fn push(schema: &mut Value, rule: &str, message: &str) {
    let Some(map) = schema.as_object_mut() else { return };
    let rules = map.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({"rule": rule, "message": message}));
    }
}

/// Patterns become rules with a message.
fn speak(schema: &mut Value, cardinality: u64) {
    let Some(map) = schema.as_object_mut() else { return };
    say(map, cardinality);
    let items = map.get("maxItems").and_then(Value::as_u64).unwrap_or(1);
    if let Some(inner) = map.get_mut("items") {
        speak(inner, cardinality.saturating_mul(items));
    }
    for inner in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        speak(inner, cardinality);
    }
}

fn say(map: &mut Map<String, Value>, cardinality: u64) {
    let Some(pattern) = map.get("pattern").and_then(Value::as_str).map(str::to_owned) else { return };
    let characters = map.get("maxLength").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let cost = cardinality.saturating_mul(characters).saturating_mul(pattern.len() as u64);
    let Some((what, example)) = hint(&pattern).filter(|_| cost <= COST_MAX) else { return };
    let rule = match map.contains_key("x-kubernetes-int-or-string") {
        true => format!("type(self) == int ? self >= 0 : string(self).matches(r'{pattern}')"),
        false => format!("self.matches(r'{pattern}')"),
    };
    map.remove("pattern");
    let rules = map.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Some(rules) = rules.as_array_mut() {
        // First what it is, then what else must hold.
        rules.insert(0, json!({"rule": rule, "message": format!("not {what}: write it as {example}")}));
    }
}
