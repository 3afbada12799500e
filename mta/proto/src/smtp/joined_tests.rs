//! A client and a server machine joined in memory.

use std::{collections::VecDeque, time::Instant};

use proptest::prelude::*;

use super::{ClientMachine, ClientSettings, Role, ServerMachine, ServerSettings, StartTls, ask, client_ask};
use crate::Tls;
use crate::{
    Machine, Output, Step,
    dot::DotEncoder,
    reply::{EnhancedCode, Reply},
};

/// A message as the server took it: recipients, octets.
type Taken = (Vec<String>, Vec<u8>);

struct Joined {
    client: ClientMachine,
    server: ServerMachine,
    now: Instant,
    /// Octets under way, and octets that came but are not consumed.
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    at_server: Vec<u8>,
    at_client: Vec<u8>,
    messages: Vec<Vec<u8>>,
    next: usize,
    open: Taken,
    taken: Vec<Taken>,
    outcomes: Vec<Vec<client_ask::Outcome>>,
    failure: Option<String>,
    tls: (bool, bool),
    closed: (bool, bool),
}

impl Joined {
    fn new(messages: Vec<Vec<u8>>, tls: Tls) -> Self {
        let now = Instant::now();
        let server = ServerSettings {
            hostname: "mx.example".into(),
            role: Role::Relay,
            tls,
            message_bytes_max: 1 << 20,
            recipients_max: 100,
            nonce: [0; 24],
            refusal: None,
        };
        let client = ClientSettings { hello_name: "us.example".into(), tls: StartTls::Opportunistic };
        Self {
            client: ClientMachine::new(client, now),
            server: ServerMachine::new(server, now),
            now,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            at_server: Vec::new(),
            at_client: Vec::new(),
            messages,
            next: 0,
            open: Taken::default(),
            taken: Vec::new(),
            outcomes: Vec::new(),
            failure: None,
            tls: (false, false),
            closed: (false, false),
        }
    }

    /// Runs to the end, so many octets at a time.
    fn run(mut self, piece: usize) -> Self {
        for _ in 0..1_000_000 {
            if self.closed == (true, true) {
                return self;
            }
            self.server_turn(piece);
            self.client_turn(piece);
            if self.tls == (true, true) {
                self.tls = (false, false);
                self.server.upgraded(self.now);
                self.client.upgraded(self.now);
            }
        }
        panic!("no end");
    }

    fn server_turn(&mut self, piece: usize) {
        let came = self.to_server.len().min(piece);
        self.at_server.extend(self.to_server.drain(..came));
        while !self.tls.0 && !self.closed.0 {
            let input = std::mem::take(&mut self.at_server);
            let fed = self.server.feed(self.now, &input);
            self.at_server = input[fed.consumed..].to_vec();
            match fed.step {
                Step::Read => break,
                Step::Data(octets) => self.open.1.extend_from_slice(octets),
                Step::Upgrade(_) => self.tls.0 = true,
                Step::Close => self.closed.0 = true,
                Step::Ask(ask) => {
                    let answer = self.server_answer(ask);
                    self.server.answer(self.now, answer);
                }
            }
        }
        while let Some(Output::Bytes(octets)) = self.server.output().pop() {
            self.to_client.extend(octets);
        }
        if self.closed.0 && self.to_client.is_empty() {
            self.client.end_of_input(self.now);
        }
    }

    fn server_answer(&mut self, ask: ask::Ask) -> ask::Answer {
        let fine = Reply::new(250, EnhancedCode(2, 0, 0), "fine");
        ask::Answer::Reply(match ask {
            ask::Ask::Recipient(address) if address.starts_with("nobody@") => {
                Reply::new(550, EnhancedCode(5, 1, 1), "no such user")
            }
            ask::Ask::Recipient(address) => {
                self.open.0.push(address);
                fine
            }
            ask::Ask::Data => Reply::plain(354, "go on"),
            ask::Ask::Commit { size_bytes } => {
                assert_eq!(size_bytes, self.open.1.len() as u64);
                self.taken.push(std::mem::take(&mut self.open));
                fine
            }
            ask::Ask::Abandon(_) => {
                self.open = Taken::default();
                return ask::Answer::Done;
            }
            ask::Ask::Mail(_) => fine,
            ask::Ask::Login(_) => panic!("nobody logs in"),
        })
    }

    fn client_turn(&mut self, piece: usize) {
        let came = self.to_client.len().min(piece);
        self.at_client.extend(self.to_client.drain(..came));
        while !self.tls.1 && !self.closed.1 {
            let input = std::mem::take(&mut self.at_client);
            let fed = self.client.feed(self.now, &input);
            self.at_client = input[fed.consumed..].to_vec();
            match fed.step {
                Step::Read => break,
                Step::Data(_) => panic!("a client receives no message"),
                Step::Upgrade(_) => self.tls.1 = true,
                Step::Close => self.closed.1 = true,
                Step::Ask(ask) => {
                    match ask {
                        client_ask::Ask::Done(outcomes) => self.outcomes.push(outcomes),
                        client_ask::Ask::Failed { reason, .. } => self.failure = Some(reason),
                        client_ask::Ask::Ready(_) => {}
                    }
                    let answer = self.next_message();
                    self.client.answer(self.now, answer);
                }
            }
        }
        while let Some(item) = self.client.output().pop() {
            match item {
                Output::Bytes(octets) => self.to_server.extend(octets),
                Output::Bulk(bulk) => {
                    let (mut encoder, mut wire) = (DotEncoder::new(None), Vec::new());
                    let message = &self.messages[bulk.handle as usize];
                    message.chunks(piece).for_each(|chunk| encoder.encode(chunk, &mut wire));
                    encoder.finish(&mut wire);
                    self.to_server.extend(wire);
                }
            }
        }
        if self.closed.1 && self.to_server.is_empty() {
            self.server.end_of_input(self.now);
        }
    }

    fn next_message(&mut self) -> client_ask::Answer {
        let Some(message) = self.messages.get(self.next) else { return client_ask::Answer::Quit };
        self.next += 1;
        client_ask::Answer::Send(client_ask::Transaction {
            reverse_path: if self.next.is_multiple_of(2) { String::new() } else { "a@b.example".into() },
            recipients: vec!["c@d.example".into(), "nobody@d.example".into(), "e@d.example".into()],
            size_bytes: message.len() as u64,
            body_8bit: !message.is_ascii(),
            smtputf8: false,
            message: self.next as u64 - 1,
        })
    }
}

fn codes(outcomes: &[client_ask::Outcome]) -> Vec<u16> {
    outcomes.iter().map(|outcome| outcome.reply.as_ref().map_or(0, |reply| reply.code)).collect()
}

fn check(messages: &[Vec<u8>], piece: usize, tls: Tls) {
    let joined = Joined::new(messages.to_vec(), tls).run(piece);
    assert_eq!(joined.failure, None);
    assert_eq!(joined.outcomes.len(), messages.len());
    assert!(joined.outcomes.iter().all(|outcomes| codes(outcomes) == [250, 550, 250]));
    let recipients = vec!["c@d.example".to_owned(), "e@d.example".to_owned()];
    let expected: Vec<Taken> = messages.iter().map(|message| (recipients.clone(), message.clone())).collect();
    assert_eq!(joined.taken, expected);
}

#[test]
fn messages_arrive() {
    let messages: Vec<Vec<u8>> =
        ["", "a\r\n", ".\r\n", "..\r\n.a\r\n\r\n.\r\n", "é\r\n", "S: x\r\n\r\nQUIT\r\n.\r\nRSET\r\n"]
            .map(|text| text.as_bytes().to_vec())
            .into();
    for piece in [1, 2, 3, 7, 64, 1 << 20] {
        check(&messages, piece, Tls::Unavailable);
        check(&messages, piece, Tls::Available);
    }
}

proptest! {
    #[test]
    fn any_message_in_any_split(
        messages in proptest::collection::vec(proptest::collection::vec("[.a-cé ]{0,9}", 0..12), 0..4),
        piece in 1usize..200,
        tls in any::<bool>(),
    ) {
        let messages: Vec<Vec<u8>> =
            messages.iter().map(|lines| lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect()).collect();
        check(&messages, piece, if tls { Tls::Available } else { Tls::Unavailable });
    }
}
