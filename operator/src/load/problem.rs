//! What is wrong, where, and what to write instead. Values are quoted and cut, so that a file cannot
//! write to the terminal of whoever reads the report.

use std::{fmt, path::PathBuf, sync::Arc};

/// Characters of a value that a message repeats at most.
const QUOTED_CHARS_MAX: usize = 60;

/// Where an object is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// The document in it, from 1; 0 where the whole file is meant.
    pub document: usize,
    /// The line in the file, from 1; 0 where none is known.
    pub line: usize,
    /// The document's text, in which the lines of fields are looked up.
    #[serde(skip)]
    pub(super) text: Arc<str>,
}

impl Source {
    /// Where a field of the object stands.
    pub fn at(&self, path: &str) -> Self {
        Self { line: self.line + super::lines::find(&self.text, path), ..self.clone() }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Where.
    pub source: Source,
    /// The field: `spec.dmarc.policy`; empty where the whole document is meant.
    pub path: String,
    /// What is wrong, and after a colon what to write instead.
    pub message: String,
}

impl Problem {
    /// A problem of a field of an object.
    pub fn new(source: &Source, path: impl Into<String>, message: impl Into<String>) -> Self {
        let path = path.into();
        Self { source: source.at(&path), path, message: message.into() }
    }

    /// A problem of a whole file.
    pub fn of_file(file: &std::path::Path, message: impl Into<String>) -> Self {
        Self {
            source: Source { file: file.to_owned(), ..Source::default() },
            path: String::new(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    /// `mail.yaml:7: document 2: spec.dmarc.policy: "reject" is none of None, Quarantine, Reject: write Reject`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name: String = self.source.file.display().to_string().chars().map(printable).collect();
        write!(f, "{name}")?;
        if self.source.line > 0 {
            write!(f, ":{}", self.source.line)?;
        }
        if self.source.document > 0 {
            write!(f, ": document {}", self.source.document)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A value as messages show it: quoted, escaped, cut.
pub fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
}

fn printable(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}
