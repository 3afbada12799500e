//! A transcript file, read. Its form is described in `tests/transcripts/README.md`.

/// A transcript.
#[derive(Debug, Default)]
pub struct Script {
    /// `@` lines before the session begins.
    pub settings: Vec<(String, String)>,
    /// What happens, in order.
    pub events: Vec<Event>,
    /// What the owner is asked.
    pub asks: Vec<String>,
    /// Who stands opposite the machine.
    pub peer: Peer,
}

/// Something that happens.
#[derive(Debug)]
pub enum Event {
    /// The peer sends these octets.
    Fed(Vec<u8>),
    /// The machine has said this.
    Said(String),
    /// An `@` line.
    Word(String),
}

/// Who stands opposite the machine: whose lines are fed, while the other's are expected.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The machine is a server.
    #[default]
    Client,
    /// The machine is a client.
    Server,
}

/// How a transcript is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Every block of `C` lines in one piece.
    Blocks,
    /// Every octet alone.
    Octets,
    /// All between two events in one piece.
    Pipelined,
}

impl Script {
    /// Reads a transcript; panics on a line that it does not know.
    pub fn parse(text: &str, peer: Peer) -> Self {
        let mut script = Self { peer, ..Self::default() };
        let (fed, fed_open, said) = match peer {
            Peer::Client => ("C:", "C|", "S:"),
            Peer::Server => ("S:", "S|", "C:"),
        };
        for line in text.lines() {
            let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match mark {
                "" | "# " | "#" => {}
                _ if mark == fed => script.fed([octets(rest), b"\r\n".to_vec()].concat()),
                _ if mark == fed_open => script.fed(octets(rest)),
                _ if mark == said => script.said(&format!("{rest}\r\n")),
                "O:" => script.asks.push(rest.to_owned()),
                "@ " if script.events.is_empty() => {
                    let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
                    script.settings.push((key.to_owned(), value.to_owned()));
                }
                "@ " => script.events.push(Event::Word(rest.to_owned())),
                _ => panic!("what is this line? {line}"),
            }
        }
        script
    }

    /// The ways in which it is to be played.
    pub fn ways(&self) -> Vec<Way> {
        match self.setting("only") {
            Some("blocks") => vec![Way::Blocks],
            Some(other) => panic!("only {other}?"),
            // A server that speaks before it is asked is an attack, not a way of speaking.
            None if self.peer == Peer::Server => vec![Way::Blocks, Way::Octets],
            None => vec![Way::Blocks, Way::Octets, Way::Pipelined],
        }
    }

    /// A setting's value.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    fn fed(&mut self, more: Vec<u8>) {
        match self.events.last_mut() {
            Some(Event::Fed(octets)) => octets.extend(more),
            _ => self.events.push(Event::Fed(more)),
        }
    }

    fn said(&mut self, more: &str) {
        match self.events.last_mut() {
            Some(Event::Said(text)) => text.push_str(more),
            _ => self.events.push(Event::Said(more.to_owned())),
        }
    }
}

/// The octets that a `C` line stands for.
fn octets(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        rest = &escape[1..];
        match escape.as_bytes()[0] {
            b'r' => octets.push(b'\r'),
            b'n' => octets.push(b'\n'),
            b'0' => octets.push(0),
            b'\\' => octets.push(b'\\'),
            b'x' => {
                octets.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            b'{' => {
                let (repeat, after) = rest.split_once('}').unwrap();
                let (count, what) = repeat.split_once('*').unwrap();
                octets.extend(what.repeat(count.parse().unwrap()).into_bytes());
                rest = after;
            }
            _ => panic!("what is this escape? {text}"),
        }
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}
