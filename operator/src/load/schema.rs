//! A value against the OpenAPI schema of its kind: sets defaults as the API server does, and names every
//! deviation in our words. Knows nothing of files.

use serde_json::{Map, Value};

use super::{near::nearest, problem::quoted};
use crate::api::{domain as d, pod as p, refs as r, server as s, service as v, units as u};

/// A deviation: the field's path, and what is wrong: what to write instead.
pub type Finding = (String, String);

/// What texts of a pattern are called, and one of them.
type Hint = (&'static str, &'static str, &'static str);

/// Walks `value`, sets defaults in it, returns all deviations.
pub fn walk(root: &Value, value: &mut Value) -> Vec<Finding> {
    let mut walker = Walker { root, findings: Vec::new() };
    walker.any(root, value, "");
    walker.findings
}

struct Walker<'a> {
    root: &'a Value,
    findings: Vec<Finding>,
}

impl Walker<'_> {
    fn report(&mut self, path: &str, message: impl Into<String>) {
        self.findings.push((path.to_owned(), message.into()));
    }

    fn any(&mut self, schema: &Value, value: &mut Value, path: &str) {
        if value.is_null() {
            match schema.get("default") {
                Some(default) => *value = default.clone(),
                None => return self.report(path, "is empty: give it a value, or leave the line out"),
            }
        }
        if schema.get("x-kubernetes-int-or-string").is_some() {
            return self.int_or_string(schema, value, path);
        }
        let wanted = schema.get("type").and_then(Value::as_str).unwrap_or("object");
        match (wanted, value) {
            ("object", Value::Object(map)) => self.object(schema, map, path),
            ("array", Value::Array(items)) => self.array(schema, items, path),
            ("string", Value::String(text)) => self.string(schema, text, path),
            ("integer", Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.integer(schema, number, path);
            }
            ("boolean", Value::Bool(_)) => {}
            (_, value) => self.wrong_type(schema, wanted, value, path),
        }
    }

    fn wrong_type(&mut self, schema: &Value, wanted: &str, value: &Value, path: &str) {
        let shown = shown(schema, value);
        let message = match (wanted, value) {
            ("string", Value::Number(_) | Value::Bool(_)) => {
                let example = if schema.get("writeOnly").is_some() { String::new() } else { format!(": \"{shown}\"") };
                format!("{shown} is not a text: put it in quotes{example}")
            }
            ("array", Value::Object(_)) => "is not a list: begin each item with \"- \"".to_owned(),
            ("array", _) => format!("{shown} is not a list: write it as [{shown}]"),
            ("object", _) => match fields(schema) {
                fields if fields.is_empty() => format!("{shown} is not an object: write it as {{}}"),
                fields => format!("{shown} is not an object: its fields are {fields}"),
            },
            ("integer", Value::String(text)) if text.parse::<u64>().is_ok() => {
                format!("{shown} is a text: write {text}, without quotes")
            }
            ("integer", _) => format!("{shown} is not a whole number: write it as 1, without quotes"),
            ("boolean", _) => format!("{shown} is neither true nor false: write one of them, without quotes"),
            _ => format!("{shown} is not a text: write one"),
        };
        self.report(path, message);
    }

    fn object(&mut self, schema: &Value, map: &mut Map<String, Value>, path: &str) {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let open = schema.get("additionalProperties");
        // As it was written: who uses it reads it.
        if schema.get("x-kubernetes-preserve-unknown-fields").is_some() {
            return;
        }
        if let Some(most) = schema.get("maxProperties").and_then(Value::as_u64)
            && map.len() as u64 > most
        {
            self.report(path, format!("has {} entries: at most {most} are allowed", map.len()));
        }
        for (key, value) in map.iter_mut() {
            match (properties.get(key), open) {
                (Some(inner), _) => self.any(inner, value, &join(path, key)),
                (None, Some(inner)) => self.any(inner, value, &join(path, key)),
                // `metadata` has no properties in a definition: the API server checks it by itself.
                (None, None) if properties.is_empty() && path == "metadata" => {}
                (None, None) => self.unknown(properties, key, path),
            }
        }
        for (key, inner) in properties {
            if let (false, Some(default)) = (map.contains_key(key), inner.get("default")) {
                let mut value = default.clone();
                self.any(inner, &mut value, &join(path, key));
                map.insert(key.clone(), value);
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str).filter(|key| !map.contains_key(*key)) {
            let example = properties.get(key).map(example).unwrap_or_default();
            self.report(&join(path, key), format!("is missing: write {key}: {example}"));
        }
    }

    fn unknown(&mut self, properties: &Map<String, Value>, key: &str, path: &str) {
        let whole = join(path, key);
        let message = match nearest(key, properties.keys().map(String::as_str)) {
            Some(known) => format!("there is no such field: write {known}"),
            None => match elsewhere(self.root, key, "") {
                Some(place) => format!("there is no such field: it stands at {place}"),
                None if properties.is_empty() => {
                    "there is no such field: leave it out, there is nothing to set here".to_owned()
                }
                None => {
                    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                    format!("there is no such field: there are {}", known.join(", "))
                }
            },
        };
        self.report(&whole, message);
    }

    fn array(&mut self, schema: &Value, items: &mut [Value], path: &str) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let count = items.len() as u64;
        if bound("maxItems").is_some_and(|most| count > most) {
            let most = bound("maxItems").unwrap_or(0);
            return self.report(path, format!("has {count} items: at most {most} are allowed"));
        }
        if bound("minItems").is_some_and(|least| count < least) {
            self.report(path, "is an empty list: give it at least one item");
        }
        let inner = schema.get("items").unwrap_or(&Value::Null);
        for (index, item) in items.iter_mut().enumerate() {
            self.any(inner, item, &format!("{path}[{index}]"));
        }
        let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
        let is_set = schema.get("x-kubernetes-list-type").and_then(Value::as_str) == Some("set");
        let mut seen: Vec<String> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let identity = match keys.and_then(|keys| keys.first()).and_then(Value::as_str) {
                Some(key) => item.get(key).map(|it| (format!("{path}[{index}].{key}"), it)),
                None if is_set => Some((format!("{path}[{index}]"), item)),
                None => None,
            };
            let Some((place, identity)) = identity else { continue };
            let text = identity.as_str().map_or_else(|| identity.to_string(), str::to_owned);
            if seen.contains(&text) {
                self.report(&place, format!("{} stands twice: keep one", quoted(&text)));
            } else {
                seen.push(text);
            }
        }
    }

    fn string(&mut self, schema: &Value, text: &str, path: &str) {
        let shown = shown(schema, &Value::String(text.to_owned()));
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let known: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            if !known.contains(&text) {
                let advice =
                    nearest(text, known.iter().copied()).map_or_else(|| "one of them".to_owned(), str::to_owned);
                self.report(path, format!("{shown} is none of {}: write {advice}", known.join(", ")));
            }
            return;
        }
        let characters = text.chars().count() as u64;
        if let Some(most) = schema.get("maxLength").and_then(Value::as_u64)
            && characters > most
        {
            return self.report(path, format!("has {characters} characters: at most {most} are allowed"));
        }
        if text.is_empty() && schema.get("minLength").and_then(Value::as_u64).is_some_and(|least| least > 0) {
            return self.report(path, "is an empty text: give it a value, or leave the line out");
        }
        self.pattern(schema, text, path);
    }

    fn pattern(&mut self, schema: &Value, text: &str, path: &str) {
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else { return };
        if regex_lite::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text)) {
            return;
        }
        let shown = shown(schema, &Value::String(text.to_owned()));
        let message = match HINTS.iter().find(|(known, ..)| *known == pattern) {
            Some((_, what, example)) => format!("{shown} is not {what}: write it as {example}"),
            None => format!("{shown} does not match {pattern}: write it so"),
        };
        self.report(path, message);
    }

    fn integer(&mut self, schema: &Value, number: &serde_json::Number, path: &str) {
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            if !values.iter().any(|it| it.as_u64() == number.as_u64()) {
                let known: Vec<String> = values.iter().map(Value::to_string).collect();
                self.report(path, format!("{number} is none of {}: write one of them", known.join(", ")));
            }
            return;
        }
        let value = number.as_f64().unwrap_or(0.0);
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        if let Some(least) = bound("minimum").filter(|least| value < *least) {
            self.report(path, format!("{number} is too small: write {least} or more"));
        }
        if let Some(most) = bound("maximum").filter(|most| value > *most) {
            self.report(path, format!("{number} is too large: write {most} or less"));
        }
    }

    fn int_or_string(&mut self, schema: &Value, value: &Value, path: &str) {
        match value {
            Value::String(text) => self.string(schema, text, path),
            Value::Number(number) if number.is_u64() => {}
            other => self.report(path, format!("{} is not a quantity: write it as 5Gi", shown(schema, other))),
        }
    }
}

/// The value as a message shows it; what is secret is not shown.
fn shown(schema: &Value, value: &Value) -> String {
    if schema.get("writeOnly").is_some() {
        return "the value".to_owned();
    }
    match value {
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

fn fields(schema: &Value) -> String {
    let names = schema.get("properties").and_then(Value::as_object);
    names.map(|it| it.keys().map(String::as_str).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

fn example(schema: &Value) -> String {
    let pattern = schema.get("pattern").and_then(Value::as_str);
    if let Some((.., example)) = HINTS.iter().find(|(known, ..)| Some(*known) == pattern) {
        return example.split(", ").next().unwrap_or_default().to_owned();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let known: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        return known.join(" or ");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => format!("[{}]", schema.get("items").map(example).unwrap_or_default()),
        Some("object") => format!("{{…}} with {}", fields(schema)),
        _ => "…".to_owned(),
    }
}

/// Where a field of this name stands in the spec.
fn elsewhere(schema: &Value, key: &str, path: &str) -> Option<String> {
    let properties = schema.get("properties")?.as_object()?;
    properties.iter().filter(|(name, _)| !path.is_empty() || *name == "spec").find_map(|(name, inner)| {
        let here = join(path, name);
        if name == key { Some(here) } else { elsewhere(inner, key, &here) }
    })
}

fn join(path: &str, key: &str) -> String {
    let key: String = key.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// What texts of a pattern are called, and one of them.
pub fn hint(pattern: &str) -> Option<(&'static str, &'static str)> {
    HINTS.iter().find(|(known, ..)| *known == pattern).map(|(_, what, example)| (*what, *example))
}

const HINTS: &[Hint] = &[
    (u::DURATION_PATTERN, "a length of time", "2160h or 1h30m (h, m, s, ms)"),
    (u::QUANTITY_PATTERN, "a quantity", "5Gi"),
    (r::DOMAIN_PATTERN, "a domain name", "example.com, in lower case and A-labels"),
    (r::LOOKUP_PATTERN, "a domain name", "_spf.example.com"),
    (r::NAME_PATTERN, "a name of a Kubernetes object", "main, in lower case letters, digits, - and ."),
    (r::KEY_PATTERN, "a key of a Secret", "password, in letters, digits, -, _ and ."),
    (r::ADDRESS_PATTERN, "an address", "alice@example.com"),
    (d::SELECTOR_PATTERN, "a selector", "s1, one label of a DNS name in lower case"),
    (d::MAILTO_PATTERN, "where reports go", "mailto:dmarc@example.com"),
    (d::FAILURE_OPTIONS_PATTERN, "a list of 0, 1, d and s", "\"1\" or \"d:s\""),
    (d::LOCAL_PART_PATTERN, "the part of an address before the @", "info, without @ and spaces"),
    (d::IP4_PATTERN, "an IPv4 address or network", "192.0.2.0/24"),
    (d::IP6_PATTERN, "an IPv6 address or network", "2001:db8::/32"),
    (s::DOMAIN_MATCH_PATTERN, "a domain or a pattern of domains", "example.com, *.example.com or *"),
    (p::AMOUNT_PATTERN, "an amount", "500m or 1Gi"),
    (p::IMAGE_PATTERN, "an image", "registry.example.com/paquebot:1.0"),
    (v::CLASS_PATTERN, "a class of load balancers", "example.com/internal"),
    (v::CIDR_PATTERN, "a network", "198.51.100.0/24"),
    (s::IP_PATTERN, "an IP address", "192.0.2.10"),
];
