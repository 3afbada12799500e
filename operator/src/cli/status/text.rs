//! The tree as people read it. Pure.

use std::fmt::Write;

use super::{
    next::urgency,
    records::{Record, grouped},
    tree::{Domain, Fault, MailboxLine, Server, Tree},
};
use crate::cli::journey::{broken, plain};

/// How to begin, where there is nothing.
const BEGIN: &str = "\
Five lines make a mail domain:

  apiVersion: paquebot.dev/v1alpha1
  kind: MailDomain
  metadata:
    name: example.com
    namespace: mail
";
/// Records to mend that are shown of a domain.
const RECORDS_MAX: usize = 20;
/// Domains that are shown of a server.
const DOMAINS_MAX: usize = 100;
/// Mailboxes that are shown of a domain, of those that are ready and of those that are not.
const MAILBOXES_MAX: usize = 50;

/// Records that lack the same as one above them, named at most.
const SAME_MAX: usize = 20;

/// How it is to look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Look<'a> {
    /// With colours.
    pub colour: bool,
    /// Long lines are broken; none: they are not.
    pub columns: Option<usize>,
    /// The namespace that was looked at; none: all.
    pub namespace: Option<&'a str>,
}

/// The whole text.
pub(super) fn text(tree: &Tree, look: &Look<'_>) -> String {
    let mut lines = Lines { text: String::new(), colour: look.colour, columns: look.columns };
    if let Some(message) = tree.operator.message.as_ref().filter(|_| tree.operator.is_silent()) {
        let message = look.columns.map_or_else(|| plain(message), |columns| broken(&plain(message), 2, columns));
        lines.marked(0, Mark::Fault, &message);
        lines.text.push('\n');
    }
    if tree.is_empty() {
        let place = match look.namespace {
            Some(it) => format!("namespace {} (-n names another, -A all)", plain(it)),
            None => "the cluster".to_owned(),
        };
        let _ = write!(lines.text, "There is no MailServer and no MailDomain in {place}. {BEGIN}");
        return lines.text;
    }
    tree.servers.iter().for_each(|it| server(&mut lines, it));
    for it in &tree.mailboxes {
        mailbox(&mut lines, 0, it);
    }
    match tree.next.as_slice() {
        [] => lines.text.push_str("\nAll is ready.\n"),
        next => {
            lines.text.push_str("\nNext:\n");
            for (index, line) in next.iter().enumerate() {
                lines.hung(1, &format!("{}. ", index + 1), line);
            }
        }
    }
    lines.text
}

enum Mark {
    Good,
    Fault,
    Unknown,
}

impl From<bool> for Mark {
    fn from(ready: bool) -> Self {
        if ready { Self::Good } else { Self::Fault }
    }
}

struct Lines {
    text: String,
    colour: bool,
    columns: Option<usize>,
}

impl Lines {
    fn line(&mut self, depth: usize, mark: Mark, what: &str) {
        self.marked(depth, mark, &plain(what));
    }

    fn marked(&mut self, depth: usize, mark: Mark, harmless: &str) {
        let (mark, code) = match mark {
            Mark::Good => ("✓", "32"),
            Mark::Fault => ("✗", "31"),
            Mark::Unknown => ("?", "33"),
        };
        let mark = if self.colour { format!("\x1b[{code}m{mark}\x1b[0m") } else { mark.to_owned() };
        let _ = writeln!(self.text, "{}{mark} {harmless}", "  ".repeat(depth));
    }

    /// A sentence; its further lines stand to the right of its first.
    fn hung(&mut self, depth: usize, head: &str, what: &str) {
        let indent = 2 * depth + head.chars().count().max(2);
        let what = plain(what);
        let fits = |columns: usize| 2 * depth + head.chars().count() + what.chars().count() <= columns;
        let what = match self.columns {
            Some(columns) if !fits(columns) => broken(&what, indent, columns),
            _ => what,
        };
        let _ = writeln!(self.text, "{}{head}{what}", "  ".repeat(depth));
    }

    fn plain(&mut self, depth: usize, what: &str) {
        self.hung(depth + 1, "", what);
    }

    fn faults(&mut self, depth: usize, faults: &[Fault]) {
        for fault in faults {
            self.hung(depth + 1, "", &format!("{} {}: {}", fault.condition, fault.reason, fault.message));
        }
    }

    fn records(&mut self, depth: usize, records: &[Record]) {
        for (record, same) in grouped(records).into_iter().take(RECORDS_MAX) {
            let why = record.reason.as_deref().unwrap_or("it says no more");
            self.hung(depth, "", &format!("{} {} {}: {why}", record.kind, record.id, record.state));
            if !same.is_empty() {
                let mut names: Vec<String> =
                    same.iter().take(SAME_MAX).map(|it| format!("{} {}", it.kind, it.id)).collect();
                names.extend((same.len() > SAME_MAX).then(|| format!("and {} more", same.len() - SAME_MAX)));
                self.hung(depth + 1, "", &format!("the same: {}", names.join(", ")));
            }
        }
    }
}

fn server(lines: &mut Lines, server: &Server) {
    let place = server.hostname.as_deref().unwrap_or("no host name yet");
    let addresses = if server.addresses.is_empty() { "no address yet".to_owned() } else { server.addresses.join(", ") };
    let what = match server.exists {
        true => format!("MailServer {}  {place}  {addresses}", server.name),
        false if server.hidden => format!("MailServer {}  in a namespace that you may not read", server.name),
        false => format!("MailServer {}  does not exist", server.name),
    };
    lines.line(0, if server.hidden { Mark::Unknown } else { server.ready.into() }, &what);
    lines.faults(0, &server.faults);
    for pod in &server.pods {
        let restarts = if pod.restarts == 0 { String::new() } else { format!("  {} restarts", pod.restarts) };
        lines.line(1, pod.ready.into(), &format!("Pod {}  {}{restarts}", pod.name, pod.image));
    }
    let mut domains: Vec<&Domain> = server.domains.iter().collect();
    // Those to mend first, where there are too many.
    if domains.len() > DOMAINS_MAX {
        domains.sort_by_key(|it| urgency(it.ready, &it.faults));
    }
    domains.iter().take(DOMAINS_MAX).for_each(|it| domain(lines, it));
    if let Some(rest) = domains.get(DOMAINS_MAX..).filter(|it| !it.is_empty()) {
        let state = state_of_rest(rest.iter().filter(|it| !it.ready).count());
        lines.plain(1, &format!("and {} more domains, {state}: name one, or -o json", rest.len()));
    }
}

fn state_of_rest(wrong: usize) -> String {
    if wrong == 0 { "all ready".to_owned() } else { format!("{wrong} of them not ready") }
}

fn domain(lines: &mut Lines, domain: &Domain) {
    lines.line(1, domain.ready.into(), &format!("MailDomain {}  in {}", domain.name, domain.namespace));
    let faults: Vec<Fault> = domain.faults.iter().map(|it| without_repetition(it, &domain.records.mend)).collect();
    lines.faults(1, &faults);
    for key in &domain.keys {
        let secret = key.secret.as_deref().unwrap_or("no Secret");
        lines.plain(2, &format!("DKIM key {}  {}  {secret}", key.selector, key.state));
    }
    let records = &domain.records;
    if records.records > 0 {
        let all = match records.verified == records.records {
            true => String::new(),
            false => format!("; `paquebot dns {} -n {}` prints them", domain.name, domain.namespace),
        };
        lines.hung(3, "", &format!("DNS records: {}{all}", records.told()));
    }
    lines.records(4, &records.mend);
    if !records.elsewhere.is_empty() {
        lines.hung(3, "", "Records in zones of others, which do not count here:");
        lines.records(4, &records.elsewhere);
    }
    if let Some(secret) = &domain.postmaster {
        lines.plain(2, &format!("postmaster@{}: its password is in the Secret {secret}", domain.name));
    }
    let mut shown = 0;
    for state in [false, true] {
        for it in domain.mailboxes.iter().filter(|it| it.ready == state).take(MAILBOXES_MAX) {
            shown += 1;
            mailbox(lines, 2, it);
        }
    }
    let wrong = domain.mailboxes.iter().filter(|it| !it.ready).count().saturating_sub(MAILBOXES_MAX);
    let state = state_of_rest(wrong);
    if shown < domain.mailboxes.len() {
        lines.plain(2, &format!("and {} more mailboxes, {state}", domain.mailboxes.len() - shown));
    }
}

/// What stands at the record below is not said twice.
fn without_repetition(fault: &Fault, records: &[Record]) -> Fault {
    let reason = records.iter().filter_map(|it| it.reason.as_deref()).find(|it| fault.message.ends_with(it));
    match reason {
        Some(_) => Fault { message: "see the records below".to_owned(), ..fault.clone() },
        None => fault.clone(),
    }
}

fn mailbox(lines: &mut Lines, depth: usize, mailbox: &MailboxLine) {
    let secret = mailbox.secret.as_ref().map_or_else(String::new, |it| format!("  password in the Secret {it}"));
    lines.line(depth, mailbox.ready.into(), &format!("Mailbox {}{secret}", mailbox.address));
    lines.faults(depth, &mailbox.faults);
}
