//! What to do next, in order. Pure.

use super::{
    leader::Operator,
    tree::{Domain, Fault, MailboxLine, Server},
};
use crate::refusal;

/// So many things at most are told of: the first ones come first.
const NEXT_MAX: usize = 5;

/// What to do next: servers first, because what is below them waits for them. What only repeats
/// what something above it lacks is left out.
pub(super) fn next(operator: &Operator, servers: &[Server], alone: &[MailboxLine]) -> Vec<String> {
    let line = |kind: &str, name: &str, faults: &[Fault]| {
        let why = faults.first().map_or(operator.unsaid(), |it| it.message.as_str());
        format!("{kind} {name}: {why}")
    };
    let mailbox_line = |it: &MailboxLine| line("Mailbox", &format!("{}/{}", it.namespace, it.name), &it.faults);
    // Nothing else gets better before one leads.
    let mut all: Vec<String> = operator.message.iter().filter(|_| operator.is_silent()).cloned().collect();
    for server in servers {
        if server.hidden {
            continue;
        }
        if !server.exists {
            // The operator would have made it.
            let refused = server.domains.iter().find_map(|domain| {
                let fault =
                    domain.faults.iter().find(|it| it.condition == "Accepted" && it.reason == refusal::REASON)?;
                Some(format!("MailDomain {}/{}: {}", domain.namespace, domain.name, fault.message))
            });
            let none = || format!("MailServer {}: there is none, and domains refer to it: make it", server.name);
            all.push(refused.unwrap_or_else(none));
        } else if !server.ready {
            all.push(line("MailServer", &server.name, &server.faults));
        }
    }
    let mut below: Vec<(u8, String)> = Vec::new();
    for (server, domain) in servers.iter().flat_map(|it| it.domains.iter().map(move |domain| (it, domain))) {
        let missing = !server.exists && !server.hidden;
        if !domain.ready && !missing && !waits_for(server, domain) {
            let name = format!("{}/{}", domain.namespace, domain.name);
            below.push((urgency(false, &domain.faults), line("MailDomain", &name, &domain.faults)));
        }
        let waiting = domain.mailboxes.iter().filter(|it| !it.ready && !missing);
        below.extend(waiting.map(|it| (urgency(false, &it.faults), mailbox_line(it))));
    }
    below.sort_by_key(|(urgency, _)| *urgency);
    all.extend(below.into_iter().map(|(_, line)| line));
    all.extend(alone.iter().filter(|it| !it.ready).map(mailbox_line));
    let more = all.len().saturating_sub(NEXT_MAX);
    all.truncate(NEXT_MAX);
    if more > 0 {
        all.push(format!("and {more} more, see above"));
    }
    all
}

/// In which order things are to be mended: what is wrong, what is being found out, what holds.
pub(super) fn urgency(ready: bool, faults: &[Fault]) -> u8 {
    match (ready, faults.iter().any(|it| it.status == "False")) {
        (true, _) => 2,
        (false, true) => 0,
        (false, false) => 1,
    }
}

/// Whether a domain lacks nothing but its server.
fn waits_for(server: &Server, domain: &Domain) -> bool {
    let only_ready = domain.faults.iter().all(|it| it.condition == "Ready" && it.reason != "Outdated");
    server.exists && !server.ready && !domain.faults.is_empty() && only_ready
}
