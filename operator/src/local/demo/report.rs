//! What a case of the demo found: its journeys, and what had to be true of them.

use std::fmt::Write;

use crate::cli::journey::{Stop, render};

/// A case's findings.
#[derive(Debug, Default)]
pub struct Report {
    journeys: Vec<(String, Vec<Stop>)>,
    checks: Vec<(bool, String)>,
}

impl Report {
    /// A message's journey, under a title that may be empty.
    pub fn journey(&mut self, title: &str, stops: Vec<Stop>) {
        self.journeys.push((title.to_owned(), stops));
    }

    /// Something that must be true.
    pub fn check(&mut self, holds: bool, what: impl Into<String>) {
        self.checks.push((holds, what.into()));
    }

    /// Whether all was true that had to be, and something had to be.
    pub fn holds(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|(holds, _)| *holds)
    }

    /// As people read it.
    pub fn text(&self, colour: bool) -> String {
        let mut text = String::new();
        for (title, stops) in &self.journeys {
            if !title.is_empty() {
                let _ = writeln!(text, "{title}");
            }
            text.push_str(&render(stops, colour));
        }
        for (holds, what) in &self.checks {
            let word = match (holds, colour) {
                (true, false) => "ok   ",
                (false, false) => "WRONG",
                (true, true) => "\x1b[32mok   \x1b[0m",
                (false, true) => "\x1b[31mWRONG\x1b[0m",
            };
            let _ = writeln!(text, "  {word} {what}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_only_where_all_holds() {
        let mut report = Report::default();
        assert!(!report.holds(), "nothing was looked at");
        report.check(true, "one");
        assert!(report.holds());
        report.check(false, "two");
        assert!(!report.holds());
        assert_eq!(report.text(false), "  ok    one\n  WRONG two\n");
    }
}
