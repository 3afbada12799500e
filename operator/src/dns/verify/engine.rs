//! Asks every authoritative server for every record. Never fails: what went wrong is a state of a record.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::join_all, stream};
use hickory_resolver::proto::rr::Name;
use tokio::time::Instant;

use super::{
    Verification,
    ask::{Ask, Fault},
    compare,
    find::{NotFound, Resolvers},
    message,
    seen::{Answer, Looked, Question, Seen, Server},
};
use crate::dns::Record;

/// Questions for one domain: a status has no more records.
const QUESTIONS_MAX: usize = 100;
/// Names whose zone is looked for at the same time.
const NAMES_AT_ONCE_MAX: usize = 8;
/// After so many questions without an answer in a row a server is not asked again in this look.
const SILENCES_MAX: u32 = 2;
/// Aliases that are followed through the resolver.
const ALIASES_MAX: usize = 32;

/// How servers are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The port of authoritative servers: 53, except in tests.
    pub authoritative_port: u16,
    /// How long one try waits for an answer.
    pub wait: Duration,
    /// How long a look takes at most: what is not known by then is unreachable.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { authoritative_port: 53, wait: Duration::from_secs(2), deadline: Duration::from_secs(30) }
    }
}

/// Looks at all records, through these resolvers.
pub async fn verify(records: &[Record], resolvers: &[SocketAddr], options: &Options) -> Verification {
    let questions: BTreeSet<Question> = records.iter().map(Question::of).take(QUESTIONS_MAX).collect();
    compare(records, &look(questions, resolvers, options).await)
}

/// The answers of all servers to these questions.
async fn look(questions: BTreeSet<Question>, resolvers: &[SocketAddr], options: &Options) -> Seen {
    let deadline = Instant::now() + options.deadline;
    let resolvers = Resolvers::new(resolvers, options.wait);
    let names: BTreeSet<&str> = questions.iter().map(|it| it.name.as_str()).collect();
    // Half of the time for finding, half for asking.
    let finding = tokio::time::timeout(options.deadline / 2, zones(&resolvers, &names)).await;
    let zones = finding.unwrap_or_else(|_| {
        let late = || Err(NotFound::NoResolver("the resolvers are too slow".to_owned()));
        names.iter().map(|name| ((*name).to_owned(), late())).collect()
    });
    let mut seen = Seen::new();
    let mut of_zone: BTreeMap<&Zone, Vec<Question>> = BTreeMap::new();
    for question in &questions {
        match zones.get(&question.name) {
            Some(Ok(zone)) => of_zone.entry(zone).or_default().push(question.clone()),
            Some(Err(NotFound::NoZone(why))) => {
                seen.insert(question.clone(), Looked::NoZone(why.clone()));
            }
            Some(Err(NotFound::NoResolver(why))) => {
                seen.insert(question.clone(), Looked::NoResolver(why.clone()));
            }
            None => {}
        }
    }
    let asked =
        join_all(of_zone.iter().map(|(zone, questions)| ask_zone(zone, questions, options, deadline).boxed())).await;
    asked.into_iter().for_each(|found| seen.extend(found));
    follow_aliases(&mut seen, &resolvers, deadline).await;
    seen
}

/// A zone and its servers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Zone {
    name: Name,
    servers: Vec<Server>,
}

/// The zone of each name.
async fn zones(resolvers: &Resolvers, names: &BTreeSet<&str>) -> BTreeMap<String, Result<Zone, NotFound>> {
    // Boxed, here and below: the compiler cannot tell of closures over references that their futures may be sent.
    let find = |text: String| {
        async move {
            let found = match message::name(&text) {
                Some(name) => resolvers.zone(&name).await,
                None => Err(NotFound::NoZone("the name cannot be asked for".to_owned())),
            };
            (text, found)
        }
        .boxed()
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let found: Vec<(String, Result<Name, NotFound>)> =
        stream::iter(names).map(find).buffered(NAMES_AT_ONCE_MAX).collect().await;
    let distinct: BTreeSet<&Name> = found.iter().filter_map(|(_, zone)| zone.as_ref().ok()).collect();
    let servers =
        join_all(distinct.into_iter().map(|zone| async move { (zone, resolvers.servers(zone).await) }.boxed())).await;
    let servers: BTreeMap<&Name, Result<Vec<Server>, NotFound>> = servers.into_iter().collect();
    let zone = |name: &Name| match servers.get(name) {
        Some(Ok(servers)) => Ok(Zone { name: name.clone(), servers: servers.clone() }),
        Some(Err(fault)) => Err(fault.clone()),
        None => Err(NotFound::NoZone("no zone above it was found".to_owned())),
    };
    found.iter().map(|(name, found)| (name.clone(), found.clone().and_then(|found| zone(&found)))).collect()
}

/// All servers of a zone at the same time.
async fn ask_zone(zone: &Zone, questions: &[Question], options: &Options, deadline: Instant) -> Seen {
    let answers =
        join_all(zone.servers.iter().map(|server| ask_server(server, questions, options, deadline).boxed())).await;
    // An address that this machine has no way to says nothing, as long as another one was reached.
    let is_beyond = |answers: &[Result<Answer, Fault>]| answers.iter().all(|it| *it == Err(Fault::NoRoute));
    let all_beyond = answers.iter().all(|it| is_beyond(it));
    let mut kept: Vec<(&Server, _)> = zone.servers.iter().zip(answers).collect();
    kept.retain(|(_, answers)| all_beyond || !is_beyond(answers));
    let mut seen = Seen::new();
    for (place, question) in questions.iter().enumerate() {
        let at = |(server, answers): &(&Server, Vec<Result<Answer, Fault>>)| {
            let answer = match answers.get(place) {
                Some(Ok(answer)) => answer.clone(),
                Some(Err(Fault::Silent(why))) => Answer::Unreachable(why.clone()),
                Some(Err(Fault::NoRoute)) | None => Answer::Unreachable("there is no route to it".to_owned()),
            };
            ((*server).clone(), answer)
        };
        let zone = message::plain(&zone.name);
        seen.insert(question.clone(), Looked::At { zone, answers: kept.iter().map(at).collect() });
    }
    seen
}

/// One question after the other: a server that is not ours is asked politely.
async fn ask_server(
    server: &Server,
    questions: &[Question],
    options: &Options,
    deadline: Instant,
) -> Vec<Result<Answer, Fault>> {
    let silent = |why: &str| Err(Fault::Silent(why.to_owned()));
    let Some(address) = server.address else {
        return questions.iter().map(|_| silent("its name has no address")).collect();
    };
    let mut answers: Vec<Result<Answer, Fault>> = Vec::new();
    let mut silences = 0;
    for question in questions {
        let last = answers.last().filter(|_| silences >= SILENCES_MAX).cloned();
        let answer = match (last, message::name(&question.name)) {
            (Some(last), _) => last,
            (None, None) => silent("the name cannot be asked for"),
            (None, Some(name)) => {
                let ask = Ask {
                    server: SocketAddr::new(address, options.authoritative_port),
                    name: &name,
                    kind: message::record_type(question.kind),
                    recursive: false,
                    wait: options.wait,
                };
                match tokio::time::timeout_at(deadline, ask.send()).await {
                    Ok(answered) => answered.map(|answer| message::read(&answer, question)),
                    Err(_) => silent("it is too slow"),
                }
            }
        };
        silences = if answer.is_err() { silences + 1 } else { 0 };
        answers.push(answer);
    }
    answers
}

/// Where an alias leads out of the zone, its target's values come by the resolver, as they come to a receiver.
async fn follow_aliases(seen: &mut Seen, resolvers: &Resolvers, deadline: Instant) {
    let mut targets: BTreeSet<(String, &'static str)> = BTreeSet::new();
    for (question, looked) in seen.iter() {
        let Looked::At { answers, .. } = looked else { continue };
        for (_, answer) in answers {
            if let Answer::Values { values, alias: Some(target) } = answer
                && values.is_empty()
                && targets.len() < ALIASES_MAX
            {
                targets.insert((target.clone(), question.kind));
            }
        }
    }
    let ask = |(target, kind): (String, &'static str)| async move {
        let Some(name) = message::name(&target) else { return ((target, kind), Ok(Vec::new())) };
        let found = tokio::time::timeout_at(deadline, resolvers.values(&name, message::record_type(kind))).await;
        let found = match found {
            Ok(Ok(values)) => Ok(values),
            Ok(Err(NotFound::NoZone(why) | NotFound::NoResolver(why))) => Err(why),
            Err(_) => Err("it is too slow".to_owned()),
        };
        ((target, kind), found)
    };
    let found: BTreeMap<_, _> = join_all(targets.into_iter().map(ask)).await.into_iter().collect();
    for (question, looked) in seen.iter_mut() {
        let Looked::At { answers, .. } = looked else { continue };
        for (_, answer) in answers.iter_mut() {
            let Answer::Values { values, alias: Some(target) } = answer else { continue };
            match found.get(&(target.clone(), question.kind)) {
                Some(Ok(known)) if values.is_empty() => *values = known.clone(),
                Some(Err(why)) if values.is_empty() => {
                    *answer = Answer::Unreachable(format!("it is an alias of {target}, and {why}"));
                }
                _ => {}
            }
        }
    }
}
