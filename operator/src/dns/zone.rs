//! Records as a zone file (RFC 1035 §5): absolute names, every text quoted, so that it can be included
//! into any zone. No SOA and no NS: those are the zone's, not the mail's.

use super::{Data, Record, txt_pieces};

/// The zone file's text. Records of other people's zones stand in comments.
pub fn zone_text(records: &[Record]) -> String {
    let width = records.iter().map(|record| record.name.len() + 1).max().unwrap_or(0);
    let mut text = String::new();
    let (elsewhere, ours): (Vec<&Record>, Vec<&Record>) = records.iter().partition(|record| record.elsewhere);
    for record in ours {
        text.push_str(&line(record, width));
    }
    if !elsewhere.is_empty() {
        text.push_str("; For the owners of other zones, so that they may get the reports (RFC 7489 7.1):\n");
    }
    for record in elsewhere {
        text.push_str("; ");
        text.push_str(&line(record, width));
    }
    text
}

fn line(record: &Record, width: usize) -> String {
    let name = format!("{}.", record.name);
    format!("{name:<width$} {:>5} IN {:<4} {}\n", record.ttl_seconds, record.data.kind(), value(&record.data))
}

fn value(data: &Data) -> String {
    match data {
        Data::A(_) | Data::Aaaa(_) => data.plain(),
        Data::Mx { .. } | Data::Srv { .. } => format!("{}.", data.plain()),
        Data::Txt(text) => txt_pieces(text).into_iter().map(quoted).collect::<Vec<_>>().join(" "),
    }
}

/// A character-string in quotes: `\"`, `\\`, and `\DDD` for what is not printable ASCII (RFC 1035 §5.1).
pub(super) fn quoted(piece: &str) -> String {
    let mut text = String::from("\"");
    for octet in piece.bytes() {
        match octet {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(octet));
            }
            b' '..=b'~' => text.push(char::from(octet)),
            other => text.push_str(&format!("\\{other:03}")),
        }
    }
    text.push('"');
    text
}
