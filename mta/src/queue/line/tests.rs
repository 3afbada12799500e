//! Who waits where, and whose turn it is: limits, turns, idle workers, closed destinations.

use paquebot_proto::EnhancedCode;
use uuid::Uuid;

use super::*;
use crate::{
    message::{Body, Message, MessageId},
    queue::job::Budget,
    store::{Envelope, Incarnation},
    time::Micros,
};

fn job() -> Job {
    let message = Message {
        id: MessageId::new(),
        prefix: Default::default(),
        header: Default::default(),
        body: Body::Inline(Default::default()),
        message_id: String::new(),
        eight_bit: false,
        utf8_header: false,
    };
    let envelope =
        Envelope { reverse_path: None, accepted: Micros(0), domain: Uuid::nil(), smtputf8: false, junk: false };
    let ticket = Arc::new(Budget::new(10, 1000)).ticket(&message);
    Job {
        message: Arc::new(message),
        envelope: Arc::new(envelope),
        recipients: Vec::new(),
        holder: Incarnation(Uuid::nil()),
        since: Micros(0),
        route_told: false,
        ticket,
    }
}

fn to(name: &str) -> Destination {
    Destination::Domain(format!("{name}.example").parse().unwrap())
}

fn said(then: &Then) -> String {
    match then {
        Then::Nothing => "nothing".into(),
        Then::Wake(_) => "wake".into(),
        Then::Start(Destination::Local) => "start local".into(),
        Then::Start(Destination::Domain(domain)) => format!("start {domain}"),
    }
}

#[test]
fn limits_and_turns() {
    let mut line = Line::new(Connections { each_max: 2, all_max: 3 });
    for (name, wanted) in [
        ("a", "start a.example"),
        ("a", "start a.example"),
        ("a", "nothing"),         // two each
        ("b", "start b.example"), // three in all
        ("c", "nothing"),         // stands in line
        ("b", "nothing"),         // behind c
    ] {
        assert_eq!(said(&line.push(to(name), job())), wanted, "{name}");
    }
    assert_eq!(said(&line.push(Destination::Local, job())), "start local", "needs no connection");
    assert_eq!(said(&line.push(Destination::Local, job())), "nothing", "one is enough");
    assert!(line.is_crowded());
    // A busy destination that gives a connection up does not get it back before those in line.
    let then: Vec<String> = line.ended(&to("a")).iter().map(said).collect();
    assert_eq!(then[0], "start c.example");
    assert!(!then.contains(&"start a.example".to_owned()), "{then:?}");
}

#[test]
fn an_idle_worker_is_woken_before_another_is_started() {
    let mut line = Line::new(Connections { each_max: 2, all_max: 3 });
    assert_eq!(said(&line.push(to("a"), job())), "start a.example");
    assert!(matches!(line.next(&to("a")), Next::Job(_)));
    assert!(matches!(line.next(&to("a")), Next::Idle(_)));
    assert_eq!(said(&line.push(to("a"), job())), "wake");
    line.busy(&to("a"));
    assert_eq!(said(&line.push(to("a"), job())), "start a.example");
}

#[tokio::test]
async fn a_closed_destination_opens_by_time_or_by_an_answer() {
    let mut line = Line::new(Connections { each_max: 2, all_max: 3 });
    let now = Instant::now();
    let second = std::time::Duration::from_secs(1);
    let failure = Failure::ours(EnhancedCode(4, 4, 1), "down");
    let _ = line.push(to("a"), job());
    line.close(&to("a"), now + second, failure.clone());
    assert_eq!(line.closed(&to("a"), now), Some(failure.clone()));
    assert_eq!(line.closed(&to("a"), now + second), None);
    line.open(&to("a"));
    assert_eq!(line.closed(&to("a"), now), None);
    // What is done with is forgotten, what is closed is remembered while it is.
    line.close(&to("a"), now + second, failure);
    let _ = line.take(&to("a"));
    let _ = line.ended(&to("a"));
    line.tidy(now);
    assert_eq!(line.destinations.len(), 1);
    line.tidy(now + second);
    assert!(line.destinations.is_empty());
}
