//! All records against all servers: a state for each, and a sentence that says what to put where. Pure.

use std::collections::BTreeMap;

use super::{
    Checked, SeenAt, State, Verification,
    meaning::{self, Verdict},
    seen::{Answer, Looked, Question, Seen, Server, Value, shown},
};
use crate::dns::{Data, Record};

/// Servers that a sentence names.
const SERVERS_NAMED_MAX: usize = 3;
/// Characters of a value in a sentence: longer ones are copied from elsewhere, whole.
const VALUE_CHARACTERS_MAX: usize = 450;
/// Values of one answer that are kept.
const VALUES_MAX: usize = 10;

/// What is true of each wanted record.
pub fn compare(wanted: &[Record], seen: &Seen) -> Verification {
    let mut sets: BTreeMap<Question, Vec<&Data>> = BTreeMap::new();
    for record in wanted {
        sets.entry(Question::of(record)).or_default().push(&record.data);
    }
    let check = |record: &Record| {
        let question = Question::of(record);
        let set = sets.get(&question).map(Vec::as_slice).unwrap_or_default();
        checked(record, set, seen.get(&question))
    };
    Verification { records: wanted.iter().map(check).collect() }
}

fn checked(record: &Record, set: &[&Data], looked: Option<&Looked>) -> Checked {
    let mut checked = Checked {
        id: record.id.clone(),
        name: record.name.clone(),
        kind: record.data.kind(),
        wanted: record.data.plain(),
        elsewhere: record.elsewhere,
        state: State::Unknown,
        reason: None,
        zone: None,
        servers: Vec::new(),
    };
    match looked {
        None => checked.reason = Some("not looked at yet: wait a moment".to_owned()),
        Some(Looked::NoResolver(why)) => {
            checked.reason = Some(format!(
                "the name servers of {} could not be found ({}): look at spec.dns.verification.resolvers, or at the \
                 system's resolver",
                record.name,
                shown(why)
            ));
        }
        Some(Looked::NoZone(why)) => {
            checked.state = State::NoZone;
            let advice = match record.elsewhere {
                true => "look at the addresses in spec.dmarc",
                false => "register the domain, or have it delegated to your name servers",
            };
            checked.reason = Some(format!("no zone holds {} ({}): {advice}", record.name, shown(why)));
        }
        Some(Looked::At { zone, answers }) => {
            checked.zone = Some(zone.clone());
            at_servers(&mut checked, record, set, answers);
        }
    }
    checked
}

fn at_servers(checked: &mut Checked, record: &Record, set: &[&Data], answers: &[(Server, Answer)]) {
    let verdicts: Vec<(&Server, Verdict)> =
        answers.iter().map(|(server, answer)| (server, verdict(&record.data, set, answer))).collect();
    let Some(worst) = verdicts.iter().map(|(_, verdict)| verdict).max_by_key(|verdict| weight(verdict.state)) else {
        checked.state = State::NoZone;
        checked.reason = Some(format!("the zone of {} names no servers: give it NS records", record.name));
        return;
    };
    checked.state = worst.state;
    if worst.state != State::Verified {
        // Those that say the same are named together.
        let same: Vec<&Server> = verdicts.iter().filter(|(_, it)| it == worst).map(|(server, _)| *server).collect();
        let place = places(&same, verdicts.len());
        checked.reason = Some(sentence(record, worst, &place, same.len(), checked.zone.as_deref().unwrap_or_default()));
    }
    let at = |((server, verdict), (_, answer)): (&(&Server, Verdict), &(Server, Answer))| SeenAt {
        server: server.name.clone(),
        address: server.address,
        state: verdict.state,
        detail: verdict.what.clone(),
        values: match answer {
            Answer::Values { values, .. } => values.iter().take(VALUES_MAX).map(Value::shown).collect(),
            Answer::Lame(_) | Answer::Unreachable(_) => Vec::new(),
        },
    };
    checked.servers = verdicts.iter().zip(answers).map(at).collect();
}

fn verdict(wanted: &Data, set: &[&Data], answer: &Answer) -> Verdict {
    match answer {
        Answer::Values { values, alias } => meaning::judge(wanted, set, values, alias.as_deref()),
        Answer::Lame(why) => Verdict { state: State::Lame, what: Some(shown(why)) },
        Answer::Unreachable(why) => Verdict { state: State::Unreachable, what: Some(shown(why)) },
    }
}

/// What is worse is said first: what a receiver may see now, then servers that are out of order.
fn weight(state: State) -> u8 {
    match state {
        State::Conflicting => 7,
        State::Different => 6,
        State::Missing => 5,
        State::Lame => 4,
        State::Unreachable => 3,
        State::NoZone => 2,
        State::Unknown => 1,
        State::Verified => 0,
    }
}

/// `ns2.example.net (192.0.2.53)`, `ns1 and ns2`, `all 3 name servers`.
fn places(same: &[&Server], all: usize) -> String {
    if same.len() == all && all > 1 {
        return format!("all {all} name servers");
    }
    let named: Vec<String> = same.iter().take(SERVERS_NAMED_MAX).map(ToString::to_string).collect();
    match same.len().saturating_sub(SERVERS_NAMED_MAX) {
        0 => named.join(" and "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn sentence(record: &Record, verdict: &Verdict, place: &str, servers: usize, zone: &str) -> String {
    let subject = format!("{} at {}", record.data.kind(), record.name);
    let value = value(record);
    let what = verdict.what.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
    let (add, make, leave) = if record.elsewhere {
        ("ask its owner to add", "Ask its owner to make it", "Ask its owner to leave only")
    } else {
        ("add", "Make it", "Leave only")
    };
    let (does, it) = if servers == 1 { ("does", "it") } else { ("do", "them") };
    match verdict.state {
        State::Missing => format!("{subject} is missing at {place}: {add} {value}"),
        State::Different => format!("{subject} is not as wanted at {place}{what}. {make} {value}"),
        State::Conflicting => format!("{subject} is in conflict at {place}{what}. {leave} {value}"),
        State::Lame => format!(
            "{subject} is not served by {place}{what}. Load the zone {zone} there, or take {it} out of its NS records"
        ),
        State::Unreachable => format!(
            "{subject} is unknown, because {place} {does} not answer{what}. Start {it}, open port 53 for UDP and TCP, \
             or take {it} out of the NS records of {zone}"
        ),
        State::Verified | State::NoZone | State::Unknown => subject,
    }
}

fn value(record: &Record) -> String {
    let value = record.data.plain();
    if value.chars().count() > VALUE_CHARACTERS_MAX {
        // Half a key is worse than none.
        return format!("the value that `paquebot dns` prints for {}", record.name);
    }
    shown(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u8) -> Server {
        Server { name: format!("ns{number}.example.net"), address: Some([192, 0, 2, number].into()) }
    }

    fn txt(texts: &[&str]) -> Answer {
        Answer::Values { values: texts.iter().map(|it| Value::Txt(it.as_bytes().to_vec())).collect(), alias: None }
    }

    fn record(data: Data) -> Record {
        Record { id: "dmarc".into(), name: "_dmarc.example.com".into(), ttl_seconds: 60, data, elsewhere: false }
    }

    fn looked(answers: Vec<Answer>) -> (Checked, String) {
        let wanted = record(Data::Txt("v=DMARC1; p=reject".into()));
        let answers = answers.into_iter().zip(1..).map(|(answer, number)| (server(number), answer)).collect();
        let seen = Seen::from([(Question::of(&wanted), Looked::At { zone: "example.com".into(), answers })]);
        let mut found = compare(&[wanted], &seen).records;
        let found = found.remove(0);
        let reason = found.reason.clone().unwrap_or_default();
        (found, reason)
    }

    #[test]
    fn each_sentence_says_what_to_put_where() {
        let good = || txt(&["v=DMARC1; p=reject"]);
        let lame = || Answer::Lame("it answered REFUSED".into());
        let dead = || Answer::Unreachable("no answer within 2 s".into());
        let bad = || txt(&["v=DMARC1; p=none"]);
        let cases = [
            vec![good(), good(), good()],
            vec![good(), txt(&[]), good()],
            vec![txt(&[]), txt(&[]), txt(&[])],
            vec![txt(&[])],
            vec![txt(&[]), bad()],
            vec![bad(), good(), bad()],
            vec![good(), txt(&["v=DMARC1; p=reject", "v=DMARC1; p=none"]), txt(&[])],
            vec![good(), lame()],
            vec![good(), dead(), dead()],
            vec![dead(), lame()],
            vec![txt(&[]), txt(&[]), txt(&[]), txt(&[]), good()],
            vec![],
        ];
        let told: String = cases
            .into_iter()
            .map(|answers| {
                let (found, reason) = looked(answers);
                assert_eq!(found.reason.is_none(), found.state == State::Verified);
                format!("{}: {reason}\n", found.state.text())
            })
            .collect();
        insta::assert_snapshot!(told);
    }

    #[test]
    fn what_was_not_found() {
        let wanted = [record(Data::Txt("v=DMARC1; p=reject".into()))];
        for (looked, state, said) in [
            (Looked::NoZone("the nearest zone is com".into()), State::NoZone, "register the domain"),
            (Looked::NoResolver("127.0.0.53:53 does not answer".into()), State::Unknown, "127.0.0.53:53"),
        ] {
            let seen = Seen::from([(Question::of(&wanted[0]), looked)]);
            let found = compare(&wanted, &seen);
            assert_eq!(found.records[0].state, state);
            assert!(found.records[0].reason.as_ref().unwrap().contains(said), "{found:?}");
            assert!(!found.holds());
        }
        assert_eq!(compare(&wanted, &Seen::new()).records[0].state, State::Unknown);
        assert!(!Verification::default().holds());
    }

    #[test]
    fn sentences_of_long_keys_do_not_show_half_of_one() {
        let wanted = record(Data::Txt(format!("v=DKIM1; k=rsa; p={}", "A".repeat(700))));
        let answers = vec![(server(1), txt(&[]))];
        let seen = Seen::from([(Question::of(&wanted), Looked::At { zone: "example.com".into(), answers })]);
        let found = compare(&[wanted], &seen);
        assert!(found.records[0].reason.as_ref().unwrap().ends_with("prints for _dmarc.example.com"));
    }

    #[test]
    fn what_strangers_say_is_harmless() {
        let text = format!("v=DMARC1; p=none; rua=mailto:x\u{1b}[31m\n{}", "y".repeat(100_000));
        let (found, reason) = looked(vec![txt(&[&text])]);
        let shown = format!("{found:?}{reason}");
        assert!(shown.len() < 5_000 && !reason.contains(['\n', '\u{1b}']), "{reason}");
    }
}
