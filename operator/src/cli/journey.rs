//! A message's journey as people read it, like a parcel's: time, actor, what happened, the DNS answers used.
//!
//! Pure: events in, text out. What comes from other systems (replies, names) loses its control characters here,
//! so that nobody writes to the reader's terminal.

use std::fmt::Write;

use paquebot_mta_api::journey::{Actor, Event, Step};

/// Columns of a line before it is broken, where nobody says how wide the terminal is.
pub const COLUMNS: usize = 120;
/// Characters of one event's detail at most.
const DETAIL_CHARACTERS_MAX: usize = 2000;
const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// An event, and where it happened when events of several systems are shown together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The system's name; empty where there is only one.
    pub place: String,
    /// What happened there.
    pub event: Event,
}

/// The journey of one Message-ID, in order of time.
pub fn render(stops: &[Stop], colour: bool) -> String {
    render_within(stops, colour, COLUMNS)
}

/// The same, in so many columns.
pub fn render_within(stops: &[Stop], colour: bool, columns: usize) -> String {
    let mut stops: Vec<&Stop> = stops.iter().collect();
    stops.sort_by_key(|stop| stop.event.at_us);
    let mut text = String::new();
    let ids: Vec<_> = stops.iter().map(|stop| stop.event.message_id.as_str()).filter(|id| !id.is_empty()).collect();
    let id = ids.first().map_or_else(|| "(no Message-ID)".to_owned(), |id| format!("<{}>", plain(id)));
    // A place that is everywhere the same stands at the top.
    let first = stops.first().map(|stop| stop.place.as_str()).unwrap_or_default();
    let one_place = stops.iter().all(|stop| stop.place == first);
    let place = if one_place && !first.is_empty() { format!("  {}", plain(first)) } else { String::new() };
    let _ = writeln!(text, "{}{place}", bold(&id, colour));
    let widest = stops.iter().map(|stop| stop.place.chars().count()).max().unwrap_or(0);
    let place_width = if one_place { 0 } else { widest };
    let step_width = stops.iter().map(|stop| word(stop.event.step).len()).max().unwrap_or(0);
    let mut day = None;
    for stop in stops {
        let today = stop.event.at_us.div_euclid(DAY_US);
        if day != Some(today) {
            let _ = writeln!(text, "{} UTC", date(today));
            day = Some(today);
        }
        let mut head = format!("  {}  {}", clock(stop.event.at_us), actor(stop.event.actor));
        if place_width > 0 {
            let _ = write!(head, "  {:place_width$}", plain(&stop.place));
        }
        let _ = write!(head, "  {:step_width$}  ", word(stop.event.step));
        let indent = head.chars().count();
        let head = if colour { tint(&head, stop.event.step) } else { head };
        let _ = writeln!(text, "{head}{}", broken(&told(&stop.event), indent, columns));
    }
    text
}

/// The detail, with the recipient before it where the detail does not name it.
fn told(event: &Event) -> String {
    let detail: String = plain(&event.detail).chars().take(DETAIL_CHARACTERS_MAX).collect();
    match event.recipient.as_deref().map(plain) {
        Some(recipient) if detail.is_empty() => recipient,
        Some(recipient) if !detail.contains(&recipient) => format!("{recipient}: {detail}"),
        _ => detail,
    }
}

/// Breaks at spaces; further lines start under the first.
pub fn broken(text: &str, indent: usize, columns: usize) -> String {
    let width = columns.saturating_sub(indent).max(20);
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            let _ = write!(out, "\n{:indent$}", "");
            column = 0;
        }
        if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// Without control characters and without those that turn text around.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '?',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

fn actor(actor: Actor) -> &'static str {
    match actor {
        Actor::Mua => "MUA",
        Actor::Mta => "MTA",
        Actor::Mda => "MDA",
        Actor::Mra => "MRA",
    }
}

/// The step in one word.
pub fn word(step: Step) -> &'static str {
    match step {
        Step::Submitted => "submitted",
        Step::Received => "received",
        Step::Refused => "refused",
        Step::Signed => "signed",
        Step::Verified => "verified",
        Step::Queued => "queued",
        Step::Routed => "routed",
        Step::Delivered => "delivered",
        Step::Deferred => "deferred",
        Step::Stored => "stored",
        Step::Returned => "returned",
        Step::Warned => "warned",
        Step::Dead => "dead",
        Step::Fetched => "fetched",
        Step::Deleted => "deleted",
    }
}

fn tint(text: &str, step: Step) -> String {
    let code = match step {
        Step::Delivered | Step::Stored | Step::Fetched => "32",
        Step::Deferred | Step::Warned => "33",
        Step::Refused | Step::Returned | Step::Dead => "31",
        _ => return text.to_owned(),
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

fn bold(text: &str, colour: bool) -> String {
    if colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// `15:04:05.678`, UTC.
pub fn clock(at_us: i64) -> String {
    let ms = at_us.rem_euclid(DAY_US) / 1000;
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// `2027-01-15`, from days since 1970, by the proleptic Gregorian calendar: 400 years have 146,097 days,
/// and years are counted from March, so that the leap day is their last.
pub fn date(days: i64) -> String {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day_of_month:02}", year + era * 400 + carry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(place: &str, at_us: i64, actor: Actor, step: Step, recipient: Option<&str>, detail: &str) -> Stop {
        let event = Event {
            at_us,
            message: uuid::Uuid::nil(),
            message_id: "1@example.com".into(),
            recipient: recipient.map(Into::into),
            actor,
            step,
            detail: detail.into(),
        };
        Stop { place: place.into(), event }
    }

    #[test]
    fn a_journey_over_two_systems() {
        let start = 1_800_000_000_000_000 - 40_000_000;
        let to = Some("bob@example.org");
        let stops = [
            stop("example.org", start + 42_000_000, Actor::Mda, Step::Stored, to, "INBOX"),
            stop(
                "example.com",
                start,
                Actor::Mua,
                Step::Submitted,
                None,
                "alice@example.com from 127.0.0.1 over TLSv1.3, logged in with SCRAM-SHA-256",
            ),
            stop("example.com", start + 12_345, Actor::Mta, Step::Signed, None, "rsa-sha256 s=r1, ed25519-sha256 s=e1"),
            stop(
                "example.com",
                start + 20_000,
                Actor::Mta,
                Step::Routed,
                to,
                "MX example.org: 10 mail.example.org; A mail.example.org: 127.0.0.3",
            ),
            stop("example.com", start + 50_000, Actor::Mta, Step::Deferred, to, "451 4.3.0 try\x1b[2J again\r\nlater"),
            stop(
                "example.org",
                start + 41_000_000,
                Actor::Mta,
                Step::Verified,
                None,
                "SPF pass (TXT example.com: v=spf1 ip4:127.0.0.2 -all), DKIM pass (d=example.com s=r1 rsa-sha256; d=example.com s=e1 ed25519-sha256), DMARC pass (TXT _dmarc.example.com: v=DMARC1; p=reject)",
            ),
        ];
        insta::assert_snapshot!(render(&stops, false));
        assert!(render(&stops, true).contains("\x1b[33m"));
    }

    #[test]
    fn nothing_writes_to_the_terminal() {
        let stops = [stop("", 0, Actor::Mta, Step::Refused, Some("a\x1b]0;x\x07@b"), "\u{202e}\u{9b}31m\r\n")];
        let text = render(&stops, false);
        assert!(!text.replace('\n', "").chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    }

    #[test]
    fn dates() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_454, "2026-01-01"),
            (20_513, "2026-03-01"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date(days), text, "{days}");
        }
        assert_eq!(clock(86_399_999_999), "23:59:59.999");
    }
}
