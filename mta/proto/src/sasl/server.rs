//! One login exchange, the server's side: challenges and responses, questions and answers.
//!
//! Knows no user and decides nothing about passwords: it asks. It never grants what a wrong proof
//! asked for, whatever the answer is.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    LoginAnswer, LoginAsk, ScramKeys, Secret,
    scram::{ClientFinal, ClientFirst, server_first},
};

/// Octets of a response at most, base64 taken off (RFC 4954 §4: lines of 12288 octets, base64).
pub const RESPONSE_BYTES_MAX: usize = 9216;
/// Octets of a user's name at most: an address of 64 "@" 255 octets, the domain perhaps in U-labels.
pub const NAME_BYTES_MAX: usize = 1024;
/// Octets of a password at most (RFC 4616 §2 asks for 255 at least).
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// How a client logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// PLAIN (RFC 4616): name and password in one response.
    Plain,
    /// LOGIN (draft-murchison-sasl-login): name, then password; for old programs.
    Login,
    /// SCRAM-SHA-256 (RFC 7677): the password never travels.
    ScramSha256,
}

impl Mechanism {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::ScramSha256, Self::Plain, Self::Login];

    /// By its name, in any case (RFC 4422 §3.1).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }
}

/// What comes next in an exchange.
#[derive(Debug)]
pub enum SaslStep {
    /// Send this challenge (raw, not base64).
    Challenge(Vec<u8>),
    /// Ask the owner, and give the answer to [`Exchange::answer`].
    Ask(LoginAsk),
    /// Granted.
    Done {
        /// The user's name as sent.
        name: String,
        /// The last server data to send with success, if any (raw, not base64).
        last: Option<Vec<u8>>,
    },
    /// Not granted; the exchange is over.
    Failed(SaslFailure),
}

/// Why a login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslFailure {
    /// Name or password wrong; which of them is never said.
    Denied,
    /// The store cannot tell now: a temporary error.
    Unavailable,
    /// Too many failures: a temporary error.
    Throttled,
    /// The response is not in the mechanism's grammar.
    Malformed,
}

/// One login exchange.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    server_nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing has come, or the empty first challenge was sent.
    Start,
    /// LOGIN: "Username:" was sent.
    Name,
    /// LOGIN: "Password:" was sent.
    Password { name: String },
    /// Asked whether a password is right.
    AskedPassword { name: String },
    /// SCRAM: asked for keys.
    AskedKeys { first: ClientFirst },
    /// SCRAM: server-first-message was sent.
    Final { first: ClientFirst, nonce: String, server_first: String, keys: ScramKeys },
    /// SCRAM: asked whether the user may in.
    AskedProved { name: String, signature: Option<[u8; 32]> },
    /// Over.
    End,
}

impl Exchange {
    /// A new exchange; the nonce is random and used once.
    pub fn start(mechanism: Mechanism, nonce: [u8; 24]) -> Self {
        // RFC 5802 §5.1: printable, no comma; base64 is both.
        Self { mechanism, server_nonce: STANDARD.encode(nonce), state: State::Start }
    }

    /// The initial response or the client's response to a challenge, decoded from base64; `None`:
    /// there is no initial response.
    pub fn response(&mut self, data: Option<&[u8]>) -> SaslStep {
        let state = std::mem::replace(&mut self.state, State::End);
        let Some(data) = data else { return self.first_challenge(&state) };
        if data.len() > RESPONSE_BYTES_MAX {
            return SaslStep::Failed(SaslFailure::Malformed);
        }
        let step = match (state, self.mechanism) {
            (State::Start, Mechanism::Plain) => self.plain(data),
            (State::Start | State::Name, Mechanism::Login) => self.login_name(data),
            (State::Password { name }, _) => self.login_password(name, data),
            (State::Start, Mechanism::ScramSha256) => self.scram_first(data),
            (State::Final { first, nonce, server_first, keys }, _) => {
                self.scram_final(first, &nonce, &server_first, &keys, data)
            }
            _ => None,
        };
        step.unwrap_or(SaslStep::Failed(SaslFailure::Malformed))
    }

    /// The answer to the last [`SaslStep::Ask`].
    pub fn answer(&mut self, answer: LoginAnswer) -> SaslStep {
        let state = std::mem::replace(&mut self.state, State::End);
        match (state, answer) {
            (State::AskedPassword { name }, LoginAnswer::Granted) => SaslStep::Done { name, last: None },
            (State::AskedProved { name, signature: Some(signature) }, LoginAnswer::Granted) => {
                let last = format!("v={}", STANDARD.encode(signature)).into_bytes();
                SaslStep::Done { name, last: Some(last) }
            }
            (State::AskedProved { signature: None, .. }, LoginAnswer::Granted) | (_, LoginAnswer::Denied) => {
                SaslStep::Failed(SaslFailure::Denied)
            }
            (State::AskedKeys { first }, LoginAnswer::Keys(keys)) => {
                let nonce = format!("{}{}", first.nonce, self.server_nonce);
                let server_first = server_first(&nonce, &keys);
                let challenge = server_first.clone().into_bytes();
                self.state = State::Final { first, nonce, server_first, keys };
                SaslStep::Challenge(challenge)
            }
            (_, LoginAnswer::Throttled) => SaslStep::Failed(SaslFailure::Throttled),
            (_, LoginAnswer::Unavailable | LoginAnswer::Granted | LoginAnswer::Keys(_)) => {
                SaslStep::Failed(SaslFailure::Unavailable)
            }
        }
    }

    fn first_challenge(&mut self, state: &State) -> SaslStep {
        if !matches!(state, State::Start) {
            return SaslStep::Failed(SaslFailure::Malformed);
        }
        match self.mechanism {
            Mechanism::Login => {
                self.state = State::Name;
                SaslStep::Challenge(b"Username:".to_vec())
            }
            // RFC 4422 §5: where the client speaks first, the first challenge is empty.
            Mechanism::Plain | Mechanism::ScramSha256 => {
                self.state = State::Start;
                SaslStep::Challenge(Vec::new())
            }
        }
    }

    /// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
    fn plain(&mut self, data: &[u8]) -> Option<SaslStep> {
        let mut parts = data.split(|octet| *octet == 0);
        let (authzid, authcid, password) = (parts.next()?, parts.next()?, parts.next()?);
        // One may log in as oneself only.
        if parts.next().is_some() || !(authzid.is_empty() || authzid == authcid) {
            return None;
        }
        let name = user_name(authcid)?;
        self.ask_password(name, password)
    }

    fn login_name(&mut self, data: &[u8]) -> Option<SaslStep> {
        let name = user_name(data)?;
        self.state = State::Password { name };
        Some(SaslStep::Challenge(b"Password:".to_vec()))
    }

    fn login_password(&mut self, name: String, data: &[u8]) -> Option<SaslStep> {
        self.ask_password(name, data)
    }

    fn ask_password(&mut self, name: String, password: &[u8]) -> Option<SaslStep> {
        if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
            return None;
        }
        self.state = State::AskedPassword { name: name.clone() };
        Some(SaslStep::Ask(LoginAsk::Password { name, password: Secret(password.to_vec()) }))
    }

    fn scram_first(&mut self, data: &[u8]) -> Option<SaslStep> {
        let first = ClientFirst::parse(data)?;
        let name = first.name.clone();
        self.state = State::AskedKeys { first };
        Some(SaslStep::Ask(LoginAsk::Keys { name }))
    }

    fn scram_final(
        &mut self,
        first: ClientFirst,
        nonce: &str,
        server_first: &str,
        keys: &ScramKeys,
        data: &[u8],
    ) -> Option<SaslStep> {
        let last = ClientFinal::parse(data, &first.gs2_header, nonce)?;
        // RFC 5802 §3, AuthMessage.
        let auth_message = format!("{},{server_first},{}", first.bare, last.without_proof);
        let right = keys.proves(auth_message.as_bytes(), &last.proof);
        let signature = right.then(|| keys.server_signature(auth_message.as_bytes()));
        self.state = State::AskedProved { name: first.name.clone(), signature };
        Some(SaslStep::Ask(LoginAsk::Proved { name: first.name, right }))
    }
}

/// A name: UTF-8, neither empty nor too long, no control characters (RFC 4013 §2.3).
fn user_name(octets: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(octets).ok()?;
    let good = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control);
    good.then(|| name.to_owned())
}

#[cfg(test)]
#[path = "server_tests.rs"]
pub(crate) mod tests;
