//! A verification as people see it: a table, then what to mend.

use super::{State, Verification};

/// The table's text, and a sentence for each record that is not as wanted.
pub fn verification_table(verification: &Verification) -> String {
    let records = &verification.records;
    let width = |of: &dyn Fn(usize) -> usize, head: &str| (0..records.len()).map(of).max().unwrap_or(0).max(head.len());
    let names = width(&|place| records.get(place).map_or(0, |it| it.name.len()), "NAME");
    let states = width(&|place| records.get(place).map_or(0, |it| it.state.text().len()), "STATE");
    let mut text = format!("{:<states$}  TYPE  {:<names$}  SERVERS\n", "STATE", "NAME");
    for record in records {
        let good = record.servers.iter().filter(|it| it.state == State::Verified).count();
        let servers = match record.servers.len() {
            0 => "none asked".to_owned(),
            all => format!("{good} of {all}"),
        };
        let note = if record.elsewhere { "  (in that domain's own zone)" } else { "" };
        text.push_str(&format!(
            "{:<states$}  {:<4}  {:<names$}  {servers}{note}\n",
            record.state.text(),
            record.kind,
            record.name
        ));
    }
    let failing: Vec<(&super::Checked, &str)> =
        records.iter().filter_map(|it| Some((it, it.reason.as_deref()?))).collect();
    let mut told: Vec<(&str, &str)> = Vec::new();
    let mut sentences = String::new();
    for (record, reason) in &failing {
        let what = (record.state.text(), cause(record.kind, reason));
        if told.contains(&what) {
            continue;
        }
        told.push(what);
        let same = |it: &&(&super::Checked, &str)| (it.0.state.text(), cause(it.0.kind, it.1)) == what;
        let more = failing.iter().filter(same).count().saturating_sub(1);
        let more = if more == 0 { String::new() } else { format!(" (and so {more} more)") };
        sentences.push_str(&format!("- {reason}{more}\n"));
    }
    if !sentences.is_empty() {
        text.push_str(&format!("\nTo mend:\n{sentences}"));
    }
    text
}

/// A record's reason without the record's name and without what differs from try to try: what is true of many alike.
pub fn cause<'a>(kind: &str, reason: &'a str) -> &'a str {
    let named = ["no zone holds ", "the name servers of "].iter().find_map(|it| reason.strip_prefix(it));
    let at = reason.strip_prefix(kind).and_then(|it| it.strip_prefix(" at "));
    let cause = named.or(at).and_then(|it| it.split_once(' ')).map_or(reason, |(_, cause)| cause);
    let of_servers = ["is unknown, because ", "is not served by "].iter().any(|it| cause.starts_with(it));
    if of_servers { cause.split(": ").next().unwrap_or(cause) } else { cause }
}
