//! Records as a table, to be copied into a provider's form: texts in one piece, without quotes.

use super::Record;

/// The table's text.
pub fn table(records: &[Record]) -> String {
    let mut text = String::new();
    let width = records.iter().map(|record| record.name.len()).max().unwrap_or(0).max("NAME".len());
    text.push_str(&format!("{:<width$}  {:<4}  {:>5}  VALUE\n", "NAME", "TYPE", "TTL"));
    for record in records {
        let value: String = record.data.plain().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let note = if record.elsewhere { "  (in that domain's own zone)" } else { "" };
        text.push_str(&format!(
            "{:<width$}  {:<4}  {:>5}  {value}{note}\n",
            record.name,
            record.data.kind(),
            record.ttl_seconds
        ));
    }
    text
}
