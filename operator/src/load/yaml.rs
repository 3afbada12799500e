//! Text into documents, documents into plain values, within limits. Knows nothing of kinds.
//!
//! Documents are parsed one by one, so that a mistake in one hides nothing in the others. Values are
//! counted while they are made: aliases of aliases (the "billion laughs") end at a limit.

use std::{cell::Cell, fmt, path::Path};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{Problem, Source, problem::quoted};

/// Documents in a file at most.
const DOCUMENTS_MAX: usize = 10_000;
/// Values in a document at most, those that aliases repeat included.
const VALUES_MAX: usize = 50_000;
/// Octets of text in a document's values at most, those that aliases repeat included.
const VALUES_OCTETS_MAX: usize = 4 * 1024 * 1024;
/// Brackets and braces open at once at most. The parser looks at all open ones again at each value, so that many
/// cost the square of their number; no resource has more than a few.
const OPEN_BRACKETS_MAX: usize = 128;

/// One document.
pub struct Document {
    /// Where it starts, and its text.
    pub source: Source,
    /// What it says.
    pub value: Value,
}

/// The documents of a file; those of only comments are left out but counted.
pub fn documents(file: &Path, text: &str) -> Vec<Result<Document, Vec<Problem>>> {
    let mut documents = Vec::new();
    for (index, (line, text)) in split(text).into_iter().enumerate() {
        let source = Source { file: file.to_owned(), document: index + 1, line, text: text.into() };
        if index >= DOCUMENTS_MAX {
            let message = format!("more than {DOCUMENTS_MAX} documents: split the file");
            documents.push(Err(vec![Problem::new(&source, "", message)]));
            break;
        }
        match parse(text) {
            Ok(Value::Null) => {}
            Ok(value) => documents.push(Ok(Document { source, value })),
            Err(fault) => documents.push(Err(vec![described(&source, &fault)])),
        }
    }
    documents
}

/// The texts between lines of `---`, each with its first line's number. At the start of a line `---`
/// ends a document whatever it stands in (YAML 1.2 §9.1.2).
fn split(text: &str) -> Vec<(usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parts = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 1, 0);
    let mut seen = false;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let marker =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marker {
            let before = text.get(start..offset).unwrap_or_default();
            // Before the first marker stand only comments, as a rule: that is no document.
            if seen || !is_blank(before) {
                parts.push((start_line, before));
            }
            seen = true;
            start = offset + 3;
            start_line = index + 1;
        }
        offset += line.len();
    }
    parts.push((start_line, text.get(start..).unwrap_or_default()));
    parts
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.starts_with('#'))
}

fn parse(text: &str) -> Result<Value, serde_yaml::Error> {
    if is_blank(text) {
        return Ok(Value::Null);
    }
    if open_brackets(text) > OPEN_BRACKETS_MAX {
        return Err(de::Error::custom("recursion limit exceeded"));
    }
    let budget = Budget { values: Cell::new(VALUES_MAX), octets: Cell::new(VALUES_OCTETS_MAX) };
    Plain(&budget).deserialize(serde_yaml::Deserializer::from_str(text))
}

/// Brackets and braces open at once, those within quotes and comments included.
fn open_brackets(text: &str) -> usize {
    let (mut open, mut most) = (0usize, 0);
    for octet in text.bytes() {
        match octet {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn described(source: &Source, fault: &serde_yaml::Error) -> Problem {
    let line = fault.location().map_or(source.line, |at| source.line + at.line().saturating_sub(1));
    let text = fault.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    let advice = match reason {
        it if it.contains("tab") || it.contains("cannot start any token") => {
            ": use spaces for indentation, and quotes around a value that begins with a sign"
        }
        it if it.contains("mapping values are not allowed") => {
            ": put quotes around a value that has a colon, or mend the indentation"
        }
        it if it.contains("!tag") => ": leave the tag out",
        it if it.contains("did not find expected") || it.contains("unexpected end of stream") => {
            ": mend the indentation, or a bracket or quote that is not closed"
        }
        it if it.contains("repetition limit") => ": write it without aliases",
        it if it.contains("recursion limit") => ": write it with fewer levels, and without aliases",
        it if it.contains("multiple") || it.contains("more than one document") => {
            ": put a line of --- between documents"
        }
        it if it.contains("unknown anchor") => ": write the value where the alias stands",
        it if it.contains(": ") => "",
        _ => ": mend this line, or the one above",
    };
    Problem::new(&Source { line, ..source.clone() }, "", format!("is not YAML: {reason}{advice}"))
}

struct Budget {
    values: Cell<usize>,
    octets: Cell<usize>,
}

impl Budget {
    fn spend<E: de::Error>(&self, octets: usize) -> Result<(), E> {
        let values = self.values.get().checked_sub(1);
        let left = self.octets.get().checked_sub(octets);
        let (Some(values), Some(left)) = (values, left) else {
            return Err(E::custom("too many values in one document: split it, or write it without aliases"));
        };
        self.values.set(values);
        self.octets.set(left);
        Ok(())
    }
}

/// Makes a plain value: keys are texts and stand once, no tags.
#[derive(Clone, Copy)]
struct Plain<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for Plain<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a !tag")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.0.spend(0).map(|()| Value::Null)
    }

    fn visit_bool<E: de::Error>(self, it: bool) -> Result<Value, E> {
        self.0.spend(0).map(|()| it.into())
    }

    fn visit_i64<E: de::Error>(self, it: i64) -> Result<Value, E> {
        self.0.spend(0).map(|()| it.into())
    }

    fn visit_u64<E: de::Error>(self, it: u64) -> Result<Value, E> {
        self.0.spend(0).map(|()| it.into())
    }

    fn visit_f64<E: de::Error>(self, it: f64) -> Result<Value, E> {
        self.0.spend(0)?;
        Number::from_f64(it).map(Value::Number).ok_or_else(|| E::custom("not a finite number: write one"))
    }

    fn visit_str<E: de::Error>(self, it: &str) -> Result<Value, E> {
        self.0.spend(it.len()).map(|()| it.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.spend(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.0.spend(0)?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(self)? {
            let key = match key {
                Value::String(text) => text,
                other => return Err(de::Error::custom(format!("the key {other} is not a text: put it in quotes"))),
            };
            if map.contains_key(&key) {
                return Err(de::Error::custom(format!("the field {} stands twice: keep one", quoted(&key))));
            }
            let value = entries.next_value_seed(self)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
