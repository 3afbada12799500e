//! The definitions: fresh in `crds/`, and of the form that Kubernetes takes.

use serde_json::Value;

use super::crd;

#[test]
fn committed_files_are_fresh() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds");
    for (name, text) in crd::files() {
        let committed = std::fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default();
        assert!(committed == text, "crds/{name} is stale: run `paquebot crds --directory crds`");
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 3, "crds/ has other files: remove them");
}

/// What the API server demands of a structural schema, and what these pages promise of each field.
#[test]
fn structural_and_bounded() {
    for (kind, definition) in crd::crds() {
        let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap();
        assert_eq!(
            definition["spec"]["names"]["plural"],
            format!("{}{}", kind.to_lowercase(), if *kind == "Mailbox" { "es" } else { "s" })
        );
        look(schema, kind, false);
    }
}

fn look(schema: &Value, path: &str, in_status: bool) {
    let map = schema.as_object().unwrap();
    for forbidden in ["$ref", "nullable", "oneOf", "anyOf", "allOf", "uniqueItems"] {
        assert!(!map.contains_key(forbidden), "{path} has {forbidden}");
    }
    let in_status = in_status || path.ends_with(".status");
    let kind = map.get("type").and_then(Value::as_str);
    match kind {
        Some("object") => {
            for (name, inner) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let own = !["apiVersion", "kind", "metadata"].contains(&name.as_str());
                assert!(!own || inner.get("description").is_some(), "{path}.{name} has no description");
                look(inner, &format!("{path}.{name}"), in_status);
            }
        }
        Some("array") => {
            assert!(map.contains_key("maxItems"), "{path} has no maxItems");
            look(&map["items"], &format!("{path}[]"), in_status);
            for key in map.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten() {
                let required = map["items"]["required"].as_array().unwrap();
                assert!(required.contains(key), "{path} is keyed by {key}, which is not required");
            }
        }
        Some("string") => {
            let bounded = map.contains_key("maxLength") || map.contains_key("enum");
            let by_api_server = path.matches('.').count() == 1;
            assert!(bounded || in_status || by_api_server, "{path} has no maxLength");
        }
        Some("integer" | "boolean") => {}
        None => assert!(map.contains_key("x-kubernetes-int-or-string"), "{path} has no type"),
        Some(other) => panic!("{path} is a {other}"),
    }
}

/// Each rule says what to do: a message with a colon, and one name of a field in it.
#[test]
fn rules_say_what_to_do() {
    let mut rules = Vec::new();
    for (_, definition) in crd::crds() {
        collect(definition, &mut rules);
    }
    let rules: Vec<String> = rules
        .iter()
        .map(|it| format!("{}\n  {}", it["rule"].as_str().unwrap(), it["message"].as_str().unwrap()))
        .collect();
    assert!(rules.iter().all(|it| it.contains(": ")));
    insta::assert_snapshot!(rules.join("\n"));
}

fn collect<'a>(value: &'a Value, rules: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match (key.as_str(), inner) {
                    ("x-kubernetes-validations", Value::Array(items)) => rules.extend(items),
                    _ => collect(inner, rules),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|it| collect(it, rules)),
        _ => {}
    }
}
