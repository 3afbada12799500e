//! Plays a transcript against a machine, as the driver would: no socket, no waiting.

use std::time::Instant;

use paquebot_proto::{Framing, Machine, Output, Step, dot::DotEncoder};

use crate::script::{Event, Peer, Script, Way};

/// A kind of machine with its owner.
pub trait Player {
    /// The machine.
    type Machine: Machine;
    /// Who stands opposite it.
    const PEER: Peer;

    /// A machine and its owner by the transcript's settings.
    fn start(script: &Script, now: Instant) -> (Self::Machine, Self);
    /// Answers, and says in a line what was asked.
    fn answer(&mut self, ask: <Self::Machine as Machine>::Ask) -> (String, <Self::Machine as Machine>::Answer);
    /// Takes octets of a message.
    fn data(&mut self, octets: &[u8]);
    /// A stored message.
    fn bulk(&mut self, handle: u64) -> Vec<u8>;
}

/// A session that is being played.
struct Session<P: Player> {
    machine: P::Machine,
    owner: P,
    now: Instant,
    unread: Vec<u8>,
    said: String,
    asks: Vec<String>,
    upgrading: bool,
    closed: bool,
}

/// Plays a transcript; `Err` says where it differs.
pub fn play<P: Player>(script: &Script, way: Way) -> Result<(), String> {
    let now = Instant::now();
    let (machine, owner) = P::start(script, now);
    let mut session: Session<P> = Session {
        machine,
        owner,
        now,
        unread: Vec::new(),
        said: String::new(),
        asks: Vec::new(),
        upgrading: false,
        closed: false,
    };
    let (mut expected, mut pending, mut close_expected) = (String::new(), Vec::new(), false);
    for event in &script.events {
        match event {
            Event::Fed(octets) => pending.extend_from_slice(octets),
            Event::Said(text) => {
                expected.push_str(text);
                if way != Way::Pipelined {
                    session.send(&std::mem::take(&mut pending), way);
                    session.compare(&expected)?;
                }
            }
            Event::Word(word) => {
                session.send(&std::mem::take(&mut pending), way);
                session.compare(&expected)?;
                close_expected |= word == "closed";
                session.word(word)?;
            }
        }
    }
    session.send(&pending, way);
    session.compare(&expected)?;
    if session.closed != close_expected {
        return Err(format!("closed: {}", session.closed));
    }
    if session.asks == script.asks { Ok(()) } else { Err(format!("the owner was asked\n{}", session.asks.join("\n"))) }
}

impl<P: Player> Session<P> {
    fn send(&mut self, octets: &[u8], way: Way) {
        let size = if way == Way::Octets { 1 } else { octets.len().max(1) };
        if octets.is_empty() {
            self.feed(octets); // The machine may have something to say without any.
        }
        octets.chunks(size).for_each(|piece| self.feed(piece));
    }

    fn feed(&mut self, piece: &[u8]) {
        if self.upgrading {
            return; // The driver drops what came before the handshake.
        }
        self.unread.extend_from_slice(piece);
        while !self.closed {
            let input = std::mem::take(&mut self.unread);
            let fed = self.machine.feed(self.now, &input);
            self.unread = input[fed.consumed..].to_vec();
            match fed.step {
                Step::Read => {
                    assert!(self.unread.is_empty(), "the machine wants more and has not taken all");
                    break;
                }
                Step::Data(octets) => self.owner.data(octets),
                Step::Ask(ask) => {
                    let (line, answer) = self.owner.answer(ask);
                    self.asks.push(line);
                    self.machine.answer(self.now, answer);
                }
                Step::Upgrade(_) => {
                    self.upgrading = true;
                    self.unread.clear();
                    break;
                }
                Step::Close => self.closed = true,
            }
            self.write();
        }
        self.write();
    }

    fn write(&mut self) {
        while let Some(item) = self.machine.output().pop() {
            let octets = match item {
                Output::Bytes(octets) => octets,
                Output::Bulk(bulk) => {
                    let all = self.owner.bulk(bulk.handle);
                    let end = all.len().min(usize::try_from(bulk.range.end).unwrap_or(usize::MAX));
                    let part = &all[usize::try_from(bulk.range.start).unwrap().min(end)..end];
                    framed(part, bulk.framing)
                }
            };
            self.said.push_str(std::str::from_utf8(&octets).unwrap());
        }
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        match word {
            "wait" => {}
            "tls" if !self.upgrading => return Err("no handshake was asked for".into()),
            "tls" => {
                self.upgrading = false;
                self.machine.upgraded(self.now);
            }
            "gone" => self.machine.end_of_input(self.now),
            "shutdown" => self.machine.shutdown(self.now),
            "timeout" => {
                self.now = self.machine.deadline().ok_or("there is no deadline")?;
                self.machine.timeout(self.now);
            }
            "closed" if !self.closed => return Err("it is not closed".into()),
            "closed" => {}
            other => panic!("what is the event {other}?"),
        }
        self.feed(b"");
        Ok(())
    }

    fn compare(&self, expected: &str) -> Result<(), String> {
        if self.said == expected {
            return Ok(());
        }
        let same = self.said.lines().zip(expected.lines()).take_while(|(said, wanted)| said == wanted).count();
        let after = |text: &str| text.lines().skip(same).take(3).collect::<Vec<_>>().join("\n    ");
        Err(format!(
            "line {} of what it says:\n    {}\n  instead of\n    {}",
            same + 1,
            after(&self.said),
            after(expected)
        ))
    }
}

fn framed(octets: &[u8], framing: Framing) -> Vec<u8> {
    let Framing::Dot { body_lines_max } = framing else { return octets.to_vec() };
    let (mut encoder, mut out) = (DotEncoder::new(body_lines_max), Vec::new());
    encoder.encode(octets, &mut out);
    encoder.finish(&mut out);
    out
}
