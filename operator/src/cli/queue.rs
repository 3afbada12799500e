//! `paquebot queue list`: what waits to be delivered, oldest first.

use std::{
    fmt::Write,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use paquebot_mta_api::journey::Queued;
use serde::{Deserialize, Serialize};

use super::{
    cluster::exec::SOCKET,
    journey::plain,
    output::{Failure, Format, Output},
    socket::{self, SocketError},
    source::{Place, Source},
};

/// Rows that are asked for at a time.
const PAGE_ROWS: usize = 500;
/// Rows that may be asked for.
const ROWS_MAX: u32 = 100_000;
/// Characters of the last error in the table.
const ERROR_CHARACTERS_MAX: usize = 80;

/// Shows what waits to be delivered.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists what waits, oldest first: age, tries, when the next one comes, the last error.
    List(List),
}

/// Lists what waits, oldest first: age, tries, when the next one comes, the last error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  paquebot queue list                  the oldest 100
  paquebot queue list --limit 5000     more of them
  paquebot queue list -o json          for programs
  kubectl paquebot queue list -A       in a cluster, by pods/exec")]
struct List {
    /// Rows at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROWS_MAX)))]
    limit: u32,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
///
/// # Errors
/// No server.
pub async fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let list = args.command.map_or(args.list, |Command::List(list)| list);
    let rows_max = usize::try_from(list.limit).unwrap_or(usize::MAX);
    let mut complete = Ok(());
    let page = match list.source.place().await? {
        Place::Socket(socket) => ask(&socket, rows_max).await.map_err(|fault| Failure::Failed(fault.to_string()))?,
        Place::Cluster(cluster) => {
            let limit = list.limit.to_string();
            let words = ["queue", "list", "--limit", &limit, "--socket", SOCKET];
            let answers = cluster.ask::<Page>(list.source.server.as_deref(), &words).await?;
            complete = answers.complete();
            if answers.known.is_empty() {
                complete?;
                complete = Ok(());
            }
            merged(answers.known.into_iter().map(|answer| answer.value), rows_max)
        }
    };
    show(&page, out)?;
    // What the others have is shown all the same; that something is missing must not be overlooked.
    out.flush()?;
    complete
}

fn show(page: &Page, out: &mut Output) -> Result<(), Failure> {
    if out.format != Format::Human {
        return out.value(page);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    out.text(&render(page, i64::try_from(now.as_micros()).unwrap_or(i64::MAX)))
}

/// A page of the queue, as the MTA gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The rows.
    pub items: Vec<Queued>,
    /// Where the next page starts; `None`: there is none.
    pub next: Option<String>,
}

/// The queues of several servers as one, oldest first.
fn merged(pages: impl Iterator<Item = Page>, rows_max: usize) -> Page {
    let mut all = Page { items: Vec::new(), next: None };
    for page in pages {
        all.items.extend(page.items);
        all.next = all.next.or(page.next);
    }
    all.items.sort_by_key(|item| item.accepted_us);
    all.items.truncate(rows_max);
    all
}

/// The queue's first rows, and whether there are more.
pub async fn ask(socket: &Path, rows_max: usize) -> Result<Page, SocketError> {
    let mut all = Page { items: Vec::new(), next: None };
    loop {
        let limit = PAGE_ROWS.min(rows_max.saturating_sub(all.items.len())).to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(all.next.as_deref().map(|after| ("after", after)));
        let Some(page) = socket::get::<Page>(socket, "/v1/queue", &query).await? else { return Ok(all) };
        let empty = page.items.is_empty();
        all.items.extend(page.items);
        all.next = page.next;
        if all.next.is_none() || empty || all.items.len() >= rows_max {
            all.items.truncate(rows_max);
            return Ok(all);
        }
    }
}

/// The queue as people read it. `now_us`: microseconds since 1970 UTC.
pub fn render(page: &Page, now_us: i64) -> String {
    if page.items.is_empty() {
        return "The queue is empty.\n".to_owned();
    }
    let mut rows = vec![["MESSAGE", "AGE", "SIZE", "FROM", "TO", "TRIES", "NEXT", "LAST ERROR"].map(str::to_owned)];
    rows.extend(page.items.iter().map(|item| row(item, now_us)));
    let widths: Vec<usize> = (0..8)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if page.next.is_some() {
        let _ = writeln!(text, "… and more: show them with --limit");
    }
    text
}

fn row(item: &Queued, now_us: i64) -> [String; 8] {
    let from = if item.reverse_path.is_empty() { "<>".to_owned() } else { plain(&item.reverse_path) };
    let next = match item.next_attempt_us {
        None => "now".to_owned(),
        Some(at) if at <= now_us => "now".to_owned(),
        Some(at) => format!("in {}", span(at - now_us)),
    };
    [
        item.message.simple().to_string(),
        span(now_us - item.accepted_us),
        size(item.size_bytes),
        from,
        plain(&item.recipient),
        item.attempts.to_string(),
        next,
        plain(&item.last_error).chars().take(ERROR_CHARACTERS_MAX).collect(),
    ]
}

/// `5s`, `12m`, `3h`, `2d`.
fn span(us: i64) -> String {
    let seconds = us.max(0) / 1_000_000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..1_048_576 => format!("{}Ki", bytes / 1024),
        _ => format!("{}Mi", bytes / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_read_it() {
        let now = 1_800_000_000_000_000;
        let item = |age_s: i64, next: Option<i64>, from: &str, error: &str| Queued {
            message: uuid::Uuid::from_u128(1),
            message_id: "1@example.com".into(),
            reverse_path: from.into(),
            recipient: "bob@example.org".into(),
            size_bytes: 4200,
            accepted_us: now - age_s * 1_000_000,
            next_attempt_us: next.map(|s| now + s * 1_000_000),
            attempts: 1,
            last_error: error.into(),
        };
        let items = vec![
            item(300, Some(600), "alice@example.com", "451 4.7.1 Greylisted\x1b[2J"),
            item(1, None, "", ""),
            item(400_000, Some(-5), "alice@example.com", "connection refused"),
        ];
        insta::assert_snapshot!(render(&Page { items, next: Some("x".into()) }, now));
        assert_eq!(render(&Page { items: vec![], next: None }, now), "The queue is empty.\n");
    }
}
