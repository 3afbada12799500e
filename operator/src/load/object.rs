//! One document into one resource: kind, version, metadata, then the schema of the kind.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Loaded, Problem, Secret,
    near::nearest,
    problem::quoted,
    schema::{self, Finding},
    secret,
    yaml::Document,
};
use crate::api::{API_VERSION, MailDomain, MailServer, Mailbox, NAMESPACE_DEFAULT, crd, refs::NAME_PATTERN};

/// Octets of a name at most.
const NAME_OCTETS_MAX: usize = 253;
/// Octets of a namespace at most.
const NAMESPACE_OCTETS_MAX: usize = 63;
/// The kinds that are read.
const KINDS: [&str; 4] = ["MailDomain", "MailServer", "Mailbox", "Secret"];
/// What `metadata` may have: what people write, and what `kubectl get -o yaml` adds.
const METADATA: [&str; 13] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "finalizers",
    "ownerReferences",
    "selfLink",
    "deletionTimestamp",
];

/// One object.
pub enum Object {
    /// A MailDomain.
    Domain(Box<Loaded<MailDomain>>),
    /// A MailServer.
    Server(Box<Loaded<MailServer>>),
    /// A Mailbox.
    Mailbox(Box<Loaded<Mailbox>>),
    /// A Secret.
    Secret(Box<Loaded<Secret>>),
}

/// The object of a document.
pub fn read(document: &Document) -> Result<Option<Object>, Vec<Problem>> {
    let mut value = document.value.clone();
    let place = |findings: Vec<Finding>| -> Vec<Problem> {
        findings.into_iter().map(|(path, message)| Problem::new(&document.source, path, message)).collect()
    };
    let Some(map) = value.as_object_mut() else {
        return Err(place(vec![(
            String::new(),
            format!("is not an object: begin with apiVersion: {API_VERSION} and kind: MailDomain"),
        )]));
    };
    let kind = kind(map).map_err(&place)?;
    let mut findings = metadata(map, kind);
    if kind != "Secret" {
        // What the cluster says of an object is not what its author says.
        map.remove("status");
    }
    let schema = if kind == "Secret" { Some(secret::schema()) } else { crd::schema(kind) };
    findings.extend(schema.map(|schema| schema::walk(schema, &mut value)).unwrap_or_default());
    if !findings.is_empty() {
        return Err(place(findings));
    }
    let source = document.source.clone();
    let object = match kind {
        "MailDomain" => Object::Domain(Box::new(Loaded { source, object: typed(value).map_err(&place)? })),
        "MailServer" => Object::Server(Box::new(Loaded { source, object: typed(value).map_err(&place)? })),
        "Mailbox" => Object::Mailbox(Box::new(Loaded { source, object: typed(value).map_err(&place)? })),
        _ => {
            let text = |name: &str| {
                value.pointer(&format!("/metadata/{name}")).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            let data = secret::values(&value).map_err(&place)?;
            Object::Secret(Box::new(Loaded {
                source,
                object: Secret { namespace: text("namespace"), name: text("name"), data },
            }))
        }
    };
    Ok(Some(object))
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Vec<Finding>> {
    // The schema has been met, so this says only what a type knows and the schema does not.
    serde_json::from_value(value).map_err(|fault| vec![(String::new(), fault.to_string())])
}

fn kind(map: &Map<String, Value>) -> Result<&'static str, Vec<Finding>> {
    let wrong = |path: &str, message: String| Err(vec![(path.to_owned(), message)]);
    let version = map.get("apiVersion").and_then(Value::as_str);
    let kind = match map.get("kind").and_then(Value::as_str) {
        Some(kind) => kind,
        None => return wrong("kind", format!("is missing: write kind: {}", KINDS.join(" or "))),
    };
    let Some(known) = KINDS.iter().copied().find(|known| *known == kind) else {
        let advice = match nearest(kind, KINDS) {
            Some(near) => format!("write {near}"),
            None => format!("{} are read, move others to another file", KINDS.join(", ")),
        };
        return wrong("kind", format!("{} is not known here: {advice}", quoted(kind)));
    };
    let wanted = if known == "Secret" { "v1" } else { API_VERSION };
    match version {
        Some(version) if version == wanted => Ok(known),
        Some(version) => {
            wrong("apiVersion", format!("{} is not the version of {known}: write {wanted}", quoted(version)))
        }
        None => wrong("apiVersion", format!("is missing: write apiVersion: {wanted}")),
    }
}

/// Checks `metadata` and sets the namespace where there is none.
fn metadata(map: &mut Map<String, Value>, kind: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report = |path: &str, message: String| findings.push((path.to_owned(), message));
    let example = if kind == "MailDomain" { "example.com" } else { "main" };
    let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) else {
        // The walk would report it a second time.
        let there = map.insert("metadata".to_owned(), Value::Object(Map::new())).is_some();
        let what = if there { "is not an object" } else { "is missing" };
        report("metadata", format!("{what}: write metadata: {{name: {example}}}"));
        return findings;
    };
    for key in metadata.keys() {
        if METADATA.contains(&key.as_str()) {
            continue;
        }
        let path = format!("metadata.{}", key.escape_debug());
        match nearest(key, METADATA) {
            Some(near) => report(&path, format!("there is no such field: write {near}")),
            None => report(&path, "there is no such field: write name, namespace, labels or annotations".to_owned()),
        }
    }
    metadata.entry("namespace").or_insert_with(|| NAMESPACE_DEFAULT.into());
    for (field, octets_max) in [("name", NAME_OCTETS_MAX), ("namespace", NAMESPACE_OCTETS_MAX)] {
        let path = format!("metadata.{field}");
        match metadata.get(field) {
            None => report(&path, format!("is missing: write {field}: {example}")),
            Some(Value::String(text)) if text.len() > octets_max => {
                report(&path, format!("has {} characters: at most {octets_max} are allowed", text.len()));
            }
            Some(Value::String(text)) if is_name(text, field == "namespace") => {}
            Some(Value::String(text)) => report(&path, bad_name(text, kind, field)),
            Some(_) => report(&path, format!("is not a text: write {field}: {example}, in quotes if it is a number")),
        }
    }
    for field in ["labels", "annotations"] {
        let texts = |it: &Value| it.as_object().is_some_and(|map| map.values().all(Value::is_string));
        if metadata.get(field).is_some_and(|it| !it.is_null() && !texts(it)) {
            report(&format!("metadata.{field}"), "is not a map of texts: write key: \"value\"".to_owned());
        }
    }
    findings
}

fn is_name(text: &str, one_label: bool) -> bool {
    let plain = regex_lite::Regex::new(NAME_PATTERN).is_ok_and(|regex| regex.is_match(text));
    plain && !text.contains("..") && !(one_label && text.contains('.'))
}

fn bad_name(text: &str, kind: &str, field: &str) -> String {
    if kind == "MailDomain" && field == "name" {
        let advice = match text.parse::<paquebot_mta_api::address::Domain>() {
            Ok(domain) => format!("write {domain}"),
            Err(_) => "write it as example.com".to_owned(),
        };
        return format!("{} is not a domain in lower case and A-labels: {advice}", quoted(text));
    }
    let advice = nearest_name(text);
    format!("{} is not a {field} in Kubernetes (lower case letters, digits and -): write {advice}", quoted(text))
}

/// The text with everything replaced that a name cannot have.
fn nearest_name(text: &str) -> String {
    let plain: String =
        text.to_lowercase().chars().take(40).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = plain.trim_matches('-');
    if name.is_empty() { "main".to_owned() } else { name.to_owned() }
}
