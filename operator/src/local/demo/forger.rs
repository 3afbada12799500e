//! Case 5: a forger at an address that SPF does not list. What happens is what the forged domain published.

use paquebot_mta_api::journey::Step;

use super::{
    DemoError,
    message::{field, plain},
    mua::{Line, fetch, relay},
    report::Report,
    system::journey,
    world::{BOB, FORGER, World},
    zones::{FORGED, Forged},
};

/// What it shows.
pub const TITLE: &str = "A forger writes to bob in the names of five domains: what happens is what they published";

/// What became of a forged message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// 550 with this status.
    Refused(&'static str),
    Junk,
    Inbox,
}

fn due(forged: &Forged) -> End {
    match (forged.policy, forged.all) {
        ("reject", _) => End::Refused("5.7.1"),
        ("quarantine", _) => End::Junk,
        ("none", _) => End::Inbox,
        (_, "-all") => End::Refused("5.7.23"),
        _ => End::Junk,
    }
}

fn published(forged: &Forged) -> String {
    match forged.policy {
        "" => format!("SPF {}, no DMARC", forged.all),
        policy => format!("SPF {}, DMARC p={policy}", forged.all),
    }
}

/// One message in each name.
pub async fn run(world: &mut World) -> Result<Report, DemoError> {
    let mut report = Report::default();
    let mut sent = Vec::new();
    for forged in &FORGED {
        let from = format!("ceo@{}", forged.domain);
        let letter = plain(&from, BOB, "Urgent", "Please pay the enclosed invoice today.");
        let mut line = Line::plain(world.org.at(world.org.place.ports.smtp), FORGER).await?;
        let (code, reply) = relay(&mut line, &from, BOB, &letter.octets).await?;
        let last = if due(forged) == End::Inbox || due(forged) == End::Junk { Step::Stored } else { Step::Refused };
        let stops =
            journey(&[&world.org], &letter.id, |stops| stops.iter().any(|stop| stop.event.step == last)).await?;
        sent.push((forged, letter, code, reply, stops));
    }
    let inbox = fetch(&mut world.org.pop3().await?, &world.org.user(BOB)?).await?;
    for (forged, letter, code, reply, stops) in sent {
        let name = format!("{} ({})", forged.domain, published(forged));
        let mail = inbox.iter().find(|mail| field(mail, "message-id") == [format!("<{}>", letter.id)]);
        let in_junk = stops.iter().any(|stop| stop.event.step == Step::Stored && stop.event.detail.contains("Junk"));
        match due(forged) {
            End::Refused(status) => {
                let right = code == 550 && reply.contains(status) && mail.is_none();
                report.check(right, format!("{name}: refused: {reply}"));
                let shown = stops.iter().any(|stop| stop.event.step == Step::Refused);
                report.check(shown, format!("{name}: its journey shows the refusal"));
            }
            End::Junk => report.check(code == 250 && in_junk && mail.is_none(), format!("{name}: in Junk: {reply}")),
            End::Inbox => {
                let verdict = mail.map(|mail| field(mail, "authentication-results").concat()).unwrap_or_default();
                report.check(code == 250 && !in_junk && mail.is_some(), format!("{name}: accepted: {reply}"));
                report.check(verdict.contains("dmarc=fail"), format!("{name}: the header says so: {verdict}"));
            }
        }
        report.journey(&format!("In the name of {name}:"), stops);
    }
    Ok(report)
}
