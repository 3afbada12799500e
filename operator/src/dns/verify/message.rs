//! Questions and answers as octets (RFC 1035 §4), and what an answer says. Pure.
//!
//! An answer comes from a stranger: only the one whose number and question are ours counts, and nothing in it is
//! believed beyond what the server has authority for.

use hickory_resolver::proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType},
};

use super::seen::{Answer, Question, Value};

/// Octets of an answer by UDP that we ask for: what passes every network in one piece (RFC 9715 §3).
pub const UDP_OCTETS_MAX: u16 = 1232;
/// Records of one answer: more is no answer that a receiver would read.
const RECORDS_MAX: usize = 100;
/// Aliases that are followed in one answer: receivers stop at about as many.
const ALIASES_MAX: usize = 8;

/// The type's number.
pub fn record_type(kind: &str) -> RecordType {
    match kind {
        "A" => RecordType::A,
        "AAAA" => RecordType::AAAA,
        "MX" => RecordType::MX,
        "SRV" => RecordType::SRV,
        _ => RecordType::TXT,
    }
}

/// An absolute name.
pub fn name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// In lower case, without the last dot; the root is empty.
pub fn plain(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// A question as octets. `recursive` asks a resolver, otherwise an authoritative server.
pub fn question(id: u16, name: &Name, kind: RecordType, recursive: bool, edns: bool) -> Option<Vec<u8>> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = recursive;
    message.add_query(Query::query(name.clone(), kind));
    if edns {
        let mut wanted = Edns::new();
        wanted.set_max_payload(UDP_OCTETS_MAX);
        message.set_edns(wanted);
    }
    message.to_vec().ok()
}

/// The answer to exactly this question; where it is none, why (RFC 5452 §9).
pub fn answer(octets: &[u8], id: u16, name: &Name, kind: RecordType) -> Result<Message, &'static str> {
    let message = Message::from_vec(octets).map_err(|_| "an answer that cannot be read")?;
    if message.metadata.id != id || message.metadata.message_type != MessageType::Response {
        return Err("an answer to another question (its number differs)");
    }
    // FORMERR and REFUSED may come without the question.
    let refused = message.queries.is_empty() && message.metadata.response_code != ResponseCode::NoError;
    let same =
        |query: &Query| query.name() == name && query.query_type() == kind && query.query_class() == DNSClass::IN;
    if !refused && (message.queries.len() != 1 || !message.queries.iter().all(same)) {
        return Err("an answer to another question (its name or type differs)");
    }
    if message.answers.len() + message.authorities.len() > RECORDS_MAX {
        return Err("an answer with more records than anybody reads");
    }
    Ok(message)
}

/// What an authoritative server's answer says.
pub fn read(message: &Message, asked: &Question) -> Answer {
    match message.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code @ (ResponseCode::Refused | ResponseCode::NotAuth) => {
            return Answer::Lame(format!("it answered {}", coded(code)));
        }
        code => return Answer::Unreachable(format!("it answered {}", coded(code))),
    }
    if !message.metadata.authoritative {
        return Answer::Lame("it answers without authority".to_owned());
    }
    let Some(start) = name(&asked.name) else { return Answer::Unreachable("the name cannot be asked for".to_owned()) };
    let (end, values) = follow(&message.answers, start.clone(), record_type(asked.kind));
    Answer::Values { values, alias: (end != start).then(|| plain(&end)) }
}

/// The end of the aliases, and the values there, as far as they stand in the answer.
pub fn follow(answers: &[Record], start: Name, kind: RecordType) -> (Name, Vec<Value>) {
    let mut current = start;
    for _ in 0..=ALIASES_MAX {
        let at = |record: &&Record| record.name == current && record.dns_class == DNSClass::IN;
        let values: Vec<Value> = answers.iter().filter(at).filter_map(|it| value(&it.data, kind)).collect();
        if !values.is_empty() {
            return (current, values);
        }
        let target = answers.iter().filter(at).find_map(|it| match &it.data {
            RData::CNAME(target) => Some(target.0.clone()),
            _ => None,
        });
        match target {
            Some(target) => current = target,
            None => break,
        }
    }
    (current, Vec::new())
}

fn value(data: &RData, kind: RecordType) -> Option<Value> {
    let found = match data {
        RData::A(address) => Value::A(address.0),
        RData::AAAA(address) => Value::Aaaa(address.0),
        RData::MX(mx) => Value::Mx { preference: mx.preference, host: plain(&mx.exchange) },
        RData::TXT(txt) => Value::Txt(txt.txt_data.concat()),
        RData::SRV(srv) => {
            Value::Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target: plain(&srv.target) }
        }
        _ => return None,
    };
    (data.record_type() == kind).then_some(found)
}

/// As people of the field call it.
pub fn coded(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::NotAuth => "NOTAUTH".to_owned(),
        other => other.to_string(),
    }
}
