//! Where results go, and in which form; how commands fail. Results go to standard output, failures and
//! notes to standard error, so that `paquebot dns … > zone` gets records only.

use std::io::{self, BufWriter, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::{cluster::Unread, journey::plain};
use crate::load::Problem;

/// Exit code: something outside the command line and the YAML is in the way.
pub const FAILED: u8 = 1;
/// Exit code: wrong usage or invalid input.
pub const INVALID: u8 = 2;
/// Exit code: what is printed is true, and not all.
pub const PARTIAL: u8 = 3;
/// Problems shown at most; the rest is counted.
const PROBLEMS_SHOWN_MAX: usize = 100;

/// Columns of a terminal that does not say: the shell's `COLUMNS` counts where it is exported.
const COLUMNS_DEFAULT: usize = 80;
/// Columns that leave room for a sentence.
const COLUMNS_MIN: usize = 40;

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something outside is in the way; the text says what to do.
    #[error("paquebot: {0}\n")]
    Failed(String),
    /// The arguments do not fit; the text says which would.
    #[error("paquebot: {0}\n")]
    Usage(String),
    /// The YAML has problems.
    #[error("{}", listed(.0))]
    Invalid(Vec<Problem>),
    /// What was printed is not all; the text says what is missing, and what to do.
    #[error("paquebot: {0}\n")]
    Partial(String),
    /// Something is not ready; the output says what.
    #[error("")]
    NotReady,
    /// Whoever read the output went away: nothing to say.
    #[error("")]
    Closed,
}

impl Failure {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::Closed | Self::NotReady => FAILED,
            Self::Usage(_) | Self::Invalid(_) => INVALID,
            Self::Partial(_) => PARTIAL,
        }
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Invalid(problems)
    }
}

impl From<Unread> for Failure {
    fn from(why: Unread) -> Self {
        Self::Failed(why.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(fault: io::Error) -> Self {
        match fault.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(format!("the output could not be written ({fault}): look at where it goes")),
        }
    }
}

/// Lines without what writes to the reader's terminal: what is wrong is often in the words of strangers.
pub fn harmless(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// The problems, one a line, then their number.
pub fn listed(problems: &[Problem]) -> String {
    let mut text: String = problems.iter().take(PROBLEMS_SHOWN_MAX).map(|problem| format!("{problem}\n")).collect();
    let hidden = problems.len().saturating_sub(PROBLEMS_SHOWN_MAX);
    if hidden > 0 {
        text.push_str(&format!("… and {hidden} more\n"));
    }
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        many => format!("{many} problems"),
    };
    text.push_str(&format!("{count}: nothing was applied\n"));
    text
}

/// Where results go.
pub struct Output {
    /// The form that was asked for.
    pub format: Format,
    /// Whether to use colours.
    pub colour: bool,
    /// Where long lines are to be broken: on a terminal only, so that a pipe gets whole ones.
    pub columns: Option<usize>,
    writer: Box<dyn Write + Send>,
    notes: Box<dyn Write + Send>,
}

impl Output {
    /// Standard output and standard error; colours only on a terminal, and not with NO_COLOR.
    pub fn stdout(format: Format) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
        let columns = std::env::var("COLUMNS").ok().and_then(|it| it.parse().ok()).unwrap_or(COLUMNS_DEFAULT);
        Self {
            format,
            columns: io::stdout().is_terminal().then(|| columns.max(COLUMNS_MIN)),
            colour: wanted && io::stdout().is_terminal(),
            writer: Box::new(BufWriter::new(io::stdout())),
            notes: Box::new(io::stderr()),
        }
    }

    /// Any writers, without colours: results, then notes.
    pub fn to(format: Format, writer: impl Write + Send + 'static, notes: impl Write + Send + 'static) -> Self {
        Self { format, colour: false, columns: None, writer: Box::new(writer), notes: Box::new(notes) }
    }

    /// Text for people, as it is.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.writer.write_all(text.as_bytes())?)
    }

    /// A heading.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn heading(&mut self, text: &str) -> Result<(), Failure> {
        let line = if self.colour { format!("\x1b[1m{text}\x1b[0m\n") } else { format!("{text}\n") };
        self.text(&line)
    }

    /// A value, as JSON or YAML; for people as YAML.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn value<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = match self.format {
            Format::Json => {
                serde_json::to_string_pretty(value).map(|text| escaped(&text) + "\n").map_err(|it| it.to_string())
            }
            Format::Yaml | Format::Human => serde_yaml::to_value(value)
                .and_then(|value| serde_yaml::to_string(&untagged(value)))
                .map_err(|it| it.to_string()),
        };
        self.text(
            &text
                .map_err(|fault| Failure::Failed(format!("cannot be written in this form ({fault}): use -o human")))?,
        )
    }

    /// A note to whoever runs the command, apart from the result.
    pub fn note(&mut self, text: &str) {
        // The result matters more than the note.
        let _ = writeln!(self.notes, "note: {}", plain(text));
    }

    /// Writes what is held back.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.writer.flush()?)
    }
}

/// Control characters that JSON lets through (RFC 8259 §7) and that text is turned around by, which stand in strings
/// only, as escapes: the same to programs, and harmless to a terminal.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' => text.push(c),
            c if plain(c.encode_utf8(&mut [0; 4])).starts_with(c) => text.push(c),
            c => text.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    text
}

/// `store: {sqlite: …}` instead of `store: !sqlite …`: other programs read tags badly.
fn untagged(value: serde_yaml::Value) -> serde_yaml::Value {
    use serde_yaml::Value;
    match value {
        Value::Tagged(tagged) => {
            let name = tagged.tag.to_string().trim_start_matches('!').to_owned();
            Value::Mapping([(Value::String(name), untagged(tagged.value))].into_iter().collect())
        }
        Value::Sequence(items) => Value::Sequence(items.into_iter().map(untagged).collect()),
        Value::Mapping(map) => Value::Mapping(map.into_iter().map(|(key, value)| (key, untagged(value))).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_writes_to_the_terminal() {
        let evil = "a\u{9b}31m\u{7f}\u{202e}\u{1b}[2J\u{e9}\n";
        let json = escaped(&serde_json::to_string_pretty(&[evil]).unwrap());
        assert!(!json.replace('\n', "").chars().any(|c| c.is_control() || c == '\u{202e}'), "{json:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [evil]);
        let told = harmless(evil);
        assert!(told.ends_with('\n') && !told.trim_end().chars().any(char::is_control), "{told:?}");
    }
}
