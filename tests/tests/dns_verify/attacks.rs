//! Servers and strangers beside the path that mean harm, or were badly made.

use paquebot::dns::verify::{Checked, State};

use super::{
    raw::{self, AUTHORITATIVE, CUT, Raw, answered, framed, txt},
    world::World,
};

const WANTED: &str = "v=DMARC1; p=reject; rua=mailto:d@reports.example";

/// The DMARC record at a server that answers so.
async fn seen(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Checked {
    let world = World::new(1, &[]).await.impatient();
    let _server = Raw::udp(world.servers[0], answer).await;
    world.one("dmarc").await
}

/// The same where datagrams are cut and TCP answers so.
async fn by_tcp(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Checked {
    let world = World::new(1, &[]).await.impatient();
    let cut = |query: &[u8]| vec![answered(query, AUTHORITATIVE | CUT, &[])];
    let _server = Raw::udp(world.servers[0], cut).await.tcp(answer).await;
    world.one("dmarc").await
}

fn is(found: &Checked, state: State, said: &str) {
    assert_eq!(found.state, state, "{found:?}");
    assert!(found.reason.as_deref().unwrap_or_default().contains(said), "{found:?}");
}

fn good(query: &[u8]) -> Vec<u8> {
    answered(query, AUTHORITATIVE, &[txt(WANTED)])
}

fn bad(query: &[u8]) -> Vec<u8> {
    answered(query, AUTHORITATIVE, &[txt("v=DMARC1; p=none")])
}

fn other_number(mut octets: Vec<u8>) -> Vec<u8> {
    octets[0] ^= 1;
    octets
}

#[tokio::test]
async fn the_control() {
    is(&seen(|query| vec![good(query)]).await, State::Verified, "");
    is(&seen(|query| vec![bad(query)]).await, State::Different, "p=none, p=reject is wanted");
}

#[tokio::test]
async fn forged_answers_before_the_true_one_do_not_count() {
    is(&seen(|query| vec![other_number(bad(query)), good(query)]).await, State::Verified, "");
    let flood = |query: &[u8]| (0..20).map(|_| other_number(bad(query))).chain([good(query)]).collect();
    is(&seen(flood).await, State::Verified, "");
    let echoed = |query: &[u8]| vec![query.to_vec(), Vec::new(), vec![0xff; 3], vec![0; 12], good(query)];
    is(&seen(echoed).await, State::Verified, "");
}

#[tokio::test]
async fn answers_to_other_questions_are_none() {
    is(&seen(|query| vec![other_number(good(query))]).await, State::Unreachable, "its number differs");
    let other_name = |query: &[u8]| {
        let mut octets = good(query);
        octets[14] ^= 3;
        vec![octets]
    };
    is(&seen(other_name).await, State::Unreachable, "its name or type differs");
    let no_question = |query: &[u8]| vec![[&query[..2], &[0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat()];
    is(&seen(no_question).await, State::Unreachable, "its name or type differs");
    is(&seen(|query| vec![query.to_vec()]).await, State::Unreachable, "its number differs");
    let flood = |query: &[u8]| (0..10_000).map(|_| other_number(good(query))).collect();
    is(&seen(flood).await, State::Unreachable, "32 times an answer to another question");
}

#[tokio::test]
async fn what_cannot_be_read_is_no_answer() {
    let unread = "an answer that cannot be read";
    is(&seen(|_| vec![b"GET / HTTP/1.1\r\n\r\n".repeat(20)]).await, State::Unreachable, unread);
    // A name that points to itself, and two that point to each other.
    let loops = |query: &[u8]| {
        let place = u16::try_from(raw::message(query, 0, 0, &[]).len()).unwrap() | 0xc000;
        vec![answered(query, AUTHORITATIVE, &[raw::record_of(&place.to_be_bytes(), 16, b"\x01a")])]
    };
    is(&seen(loops).await, State::Unreachable, unread);
    let ahead = |query: &[u8]| {
        let place = u16::try_from(raw::message(query, 0, 0, &[]).len()).unwrap() | 0xc000;
        let rest =
            [&(place + 2).to_be_bytes()[..], &place.to_be_bytes()[..], &[0, 16, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
        vec![raw::message(query, AUTHORITATIVE, 1, &rest)]
    };
    is(&seen(ahead).await, State::Unreachable, unread);
    // More records, and a longer text, than there are.
    is(&seen(|query| vec![raw::message(query, AUTHORITATIVE, 60_000, &txt(WANTED))]).await, State::Unreachable, unread);
    is(
        &seen(|query| vec![answered(query, AUTHORITATIVE, &[raw::record(16, b"\xffshort")])]).await,
        State::Unreachable,
        unread,
    );
}

#[tokio::test]
async fn records_of_other_names_and_types_are_not_looked_at() {
    let other = |query: &[u8]| {
        let data = [&[u8::try_from(WANTED.len()).unwrap()], WANTED.as_bytes()].concat();
        vec![answered(query, AUTHORITATIVE, &[raw::record_of(b"\x04evil\x07example\x00", 16, &data)])]
    };
    is(&seen(other).await, State::Missing, "add v=DMARC1");
    let address = |query: &[u8]| vec![answered(query, AUTHORITATIVE, &[raw::record(1, &[192, 0, 2, 1])])];
    is(&seen(address).await, State::Missing, "add v=DMARC1");
    // Aliases in a circle.
    let circle = |query: &[u8]| {
        let to = raw::record(5, b"\x01b\x07example\x00");
        let back = raw::record_of(b"\x01b\x07example\x00", 5, &[0xc0, 12]);
        vec![answered(query, AUTHORITATIVE, &[to, back])]
    };
    is(&seen(circle).await, State::Missing, "add v=DMARC1");
}

#[tokio::test]
async fn codes() {
    is(&seen(|query| vec![raw::coded(query, raw::SERVFAIL)]).await, State::Unreachable, "SERVFAIL");
    is(&seen(|query| vec![raw::coded(query, raw::REFUSED)]).await, State::Lame, "REFUSED");
    // An old server, that does not know EDNS.
    let old = |query: &[u8]| {
        let knows_not = query[11] == 1;
        vec![if knows_not { raw::coded(query, raw::FORMERR) } else { good(query) }]
    };
    is(&seen(old).await, State::Verified, "");
    let without_question = |query: &[u8]| vec![[&query[..2], &[0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0]].concat()];
    is(&seen(without_question).await, State::Lame, "REFUSED");
}

#[tokio::test]
async fn long_answers_come_by_tcp() {
    is(&by_tcp(|query| framed(&good(query))).await, State::Verified, "");
    is(&by_tcp(|query| framed(&bad(query))).await, State::Different, "p=none");
}

#[tokio::test]
async fn hostile_answers_by_tcp() {
    let none = "by TCP there was";
    is(&by_tcp(|_| Vec::new()).await, State::Unreachable, "none that was whole");
    is(&by_tcp(|_| vec![0xff, 0xff, 1, 2, 3]).await, State::Unreachable, "none that was whole");
    is(&by_tcp(|_| framed(&[])).await, State::Unreachable, none);
    is(&by_tcp(|_| framed(&vec![0xc0; 65_535])).await, State::Unreachable, "cannot be read");
    is(&by_tcp(|query| framed(&other_number(good(query)))).await, State::Unreachable, "its number differs");
    is(&by_tcp(|query| framed(&answered(query, AUTHORITATIVE | CUT, &[]))).await, State::Unreachable, "cut, too");
    let many = |query: &[u8]| framed(&answered(query, AUTHORITATIVE, &vec![txt("x"); 4_000]));
    is(&by_tcp(many).await, State::Unreachable, "more records than anybody reads");
    let long = |query: &[u8]| {
        framed(&answered(query, AUTHORITATIVE, &[txt(&format!("v=DMARC1; p=none; x={}", "y".repeat(60_000)))]))
    };
    let found = by_tcp(long).await;
    is(&found, State::Different, "p=none");
    assert!(format!("{found:?}").len() < 5_000);
    // Nobody listens.
    let world = World::new(1, &[]).await;
    let _cut = Raw::udp(world.servers[0], |query| vec![answered(query, AUTHORITATIVE | CUT, &[])]).await;
    is(&world.one("dmarc").await, State::Unreachable, "no connection (refused)");
}
