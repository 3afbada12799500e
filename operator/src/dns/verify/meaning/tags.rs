//! `tag=value` lists (RFC 6376 §3.2), as DKIM keys and DMARC policies are written. Pure.

/// The tags in their order, with white space around names and values removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags(Vec<(String, String)>);

impl Tags {
    /// Reads a list; where it is none, says why.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.contains("\\;") {
            return Err("there are backslashes before the semicolons: take them out".to_owned());
        }
        let mut tags: Vec<(String, String)> = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(format!("{part:?} is no tag=value: a semicolon is missing or too much"));
            };
            let name = name.trim();
            if tags.iter().any(|(known, _)| known == name) {
                // RFC 6376 §3.2: then the whole list is invalid.
                return Err(format!("the tag {name} is there twice"));
            }
            tags.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Self(tags))
    }

    /// The value of a tag; names are case-sensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The place of a tag, from 0.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == name)
    }
}

/// The items of a list with colons or commas, in lower case and in order.
pub fn items(value: &str, separator: char) -> Vec<String> {
    let mut items: Vec<String> = value.split(separator).map(|it| it.trim().to_ascii_lowercase()).collect();
    items.retain(|it| !it.is_empty());
    items.sort();
    items.dedup();
    items
}
