//! `paquebot trace`: where a message is, and how it got there.

use paquebot_mta_api::journey::Event;
use uuid::Uuid;

use super::{
    cluster::exec::SOCKET,
    journey::{COLUMNS, Stop, plain, render_within},
    output::{Failure, Format, Output},
    socket,
    source::{Place, Source},
};

/// Octets of what one may ask for.
const ASKED_OCTETS_MAX: usize = 998;

/// Shows a message's journey: time, actor, what happened, the DNS answers used.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  paquebot trace '<20261123.1@example.com>'               by the Message-ID field
  paquebot trace 0193b1f0c0de70008000000000000001         by the id that the server's 250 names
  paquebot trace 20261123.1@example.com -o json           for programs
  kubectl paquebot trace -A 20261123.1@example.com        in a cluster, by pods/exec

Exit code 1 if no server knows the message, 3 if one that was not asked may know more. Journeys are kept for 14 days.")]
pub struct Args {
    /// The Message-ID field, with or without brackets, or the server's id.
    message: String,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
///
/// # Errors
/// No server, an unknown message.
pub async fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let (field, value) = question(&args.message)?;
    let mut complete = Ok(());
    let stops = match args.source.place().await? {
        Place::Socket(socket) => {
            let events: Option<Vec<Event>> = socket::get(&socket, "/v1/journey", &[(field, &value)])
                .await
                .map_err(|fault| Failure::Failed(fault.to_string()))?;
            stops(String::new(), events.unwrap_or_default())
        }
        Place::Cluster(cluster) => {
            // A Message-ID may begin with a dash: no option comes after --.
            let words = ["trace", "--socket", SOCKET, "--", &value];
            let answers = cluster.ask(args.source.server.as_deref(), &words).await?;
            complete = answers.complete();
            answers.known.into_iter().flat_map(|answer| stops(answer.server, answer.value)).collect()
        }
    };
    if stops.is_empty() {
        // Who could not be asked may know it.
        complete?;
        return Err(Failure::Failed(format!(
            "no message {} is known: look at the Message-ID field, ask within 14 days, and ask the server that took it (--data, -n)",
            plain(&args.message)
        )));
    }
    if out.format == Format::Human {
        out.text(&render_within(&stops, out.colour, out.columns.unwrap_or(COLUMNS)))?;
    } else {
        out.value(&stops.iter().map(|stop| &stop.event).collect::<Vec<_>>())?;
    }
    out.flush()?;
    complete
}

fn stops(place: String, events: Vec<Event>) -> Vec<Stop> {
    events.into_iter().map(|event| Stop { place: place.clone(), event }).collect()
}

/// What to ask for: the server's id has no @, which every Message-ID has (RFC 5322 §3.6.4).
fn question(message: &str) -> Result<(&'static str, String), Failure> {
    let bare = message.trim().trim_start_matches('<').trim_end_matches('>');
    if bare.is_empty() || bare.len() > ASKED_OCTETS_MAX {
        return Err(Failure::Usage(
            "name a message: its Message-ID field, or the id that the server's 250 names".to_owned(),
        ));
    }
    Ok(match Uuid::parse_str(bare) {
        Ok(id) => ("id", id.to_string()),
        Err(_) => ("message-id", bare.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type() {
        for (typed, field, value) in [
            ("<1@example.com>", "message-id", "1@example.com"),
            (" 1@example.com ", "message-id", "1@example.com"),
            ("0193b1f0c0de70008000000000000001", "id", "0193b1f0-c0de-7000-8000-000000000001"),
            ("not-an-id", "message-id", "not-an-id"),
        ] {
            assert_eq!(question(typed).unwrap(), (field, value.to_owned()), "{typed}");
        }
        for typed in ["", "<>", &"x".repeat(999)] {
            assert_eq!(question(typed).unwrap_err().exit_code(), 2, "{typed}");
        }
    }
}
