//! POP3 commands as clients write them (RFC 1939, RFC 2449 §3, RFC 5034, RFC 2595 §4).
//! Reads one line; knows no state.

use crate::sasl::Secret;

/// Octets of a command line at most, CRLF included (RFC 2449 §4). AUTH with an initial response and
/// the lines of a login exchange may be longer (RFC 5034 §4).
pub const COMMAND_LINE_BYTES_MAX: usize = 255;

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// CAPA (RFC 2449 §5).
    Capa,
    /// STLS (RFC 2595 §4).
    Stls,
    /// USER name.
    User(String),
    /// PASS password: all that follows the space, spaces included (RFC 1939 §7).
    Pass(Secret),
    /// AUTH mechanism, with or without initial response (RFC 5034 §4).
    Auth {
        /// Its name.
        mechanism: String,
        /// As sent: base64, or "=".
        initial: Option<Vec<u8>>,
    },
    /// STAT.
    Stat,
    /// LIST, of one message or all.
    List(Option<u64>),
    /// UIDL, of one message or all.
    Uidl(Option<u64>),
    /// RETR message.
    Retr(u64),
    /// TOP message lines.
    Top(u64, u64),
    /// DELE message.
    Dele(u64),
    /// NOOP.
    Noop,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No such keyword.
    Unknown,
    /// Too long a line.
    TooLong,
    /// The arguments don't fit: the form to use.
    Form(&'static str),
}

impl Command {
    /// The command of a line without its CRLF.
    pub fn parse(line: &[u8]) -> Result<Self, Fault> {
        let (keyword, rest) = match line.iter().position(|octet| *octet == b' ') {
            Some(space) => (line.get(..space).unwrap_or_default(), line.get(space + 1..)),
            None => (line, None),
        };
        let keyword = keyword.to_ascii_uppercase();
        if keyword != b"AUTH" && line.len() + 2 > COMMAND_LINE_BYTES_MAX {
            return Err(Fault::TooLong);
        }
        if keyword == b"PASS" {
            return match rest {
                Some(password) if !password.is_empty() => Ok(Self::Pass(Secret(password.to_vec()))),
                _ => Err(Fault::Form("PASS password")),
            };
        }
        let rest = rest.unwrap_or_default().trim_ascii_end();
        let words = || rest.split(|octet| *octet == b' ').filter(|_| !rest.is_empty());
        match keyword.as_slice() {
            b"CAPA" => bare(rest, Self::Capa, "CAPA"),
            b"STLS" => bare(rest, Self::Stls, "STLS"),
            b"STAT" => bare(rest, Self::Stat, "STAT"),
            b"NOOP" => bare(rest, Self::Noop, "NOOP"),
            b"RSET" => bare(rest, Self::Rset, "RSET"),
            b"QUIT" => bare(rest, Self::Quit, "QUIT"),
            b"USER" => text(rest).map(Self::User).ok_or(Fault::Form("USER name@example.com")),
            b"AUTH" => {
                sasl_login(words()).ok_or(Fault::Form("AUTH mechanism [initial-response]; CAPA lists the mechanisms"))
            }
            b"LIST" => some_or_all(words()).map(Self::List).ok_or(Fault::Form("LIST [message]")),
            b"UIDL" => some_or_all(words()).map(Self::Uidl).ok_or(Fault::Form("UIDL [message]")),
            b"RETR" => one(words()).map(Self::Retr).ok_or(Fault::Form("RETR message")),
            b"DELE" => one(words()).map(Self::Dele).ok_or(Fault::Form("DELE message")),
            b"TOP" => {
                two(words()).map(|(message, lines)| Self::Top(message, lines)).ok_or(Fault::Form("TOP message lines"))
            }
            _ => Err(Fault::Unknown),
        }
    }
}

fn bare(rest: &[u8], command: Command, form: &'static str) -> Result<Command, Fault> {
    if rest.is_empty() { Ok(command) } else { Err(Fault::Form(form)) }
}

/// UTF-8 without control characters: names may be internationalised.
fn text(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

fn sasl_login<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<Command> {
    let mechanism = text(words.next()?)?;
    let initial = words.next().map(<[u8]>::to_vec);
    words.next().is_none().then_some(Command::Auth { mechanism, initial })
}

fn some_or_all<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<Option<u64>> {
    match (words.next(), words.next()) {
        (None, _) => Some(None),
        (Some(word), None) => number(word).map(Some),
        (Some(_), Some(_)) => None,
    }
}

fn one<'a>(words: impl Iterator<Item = &'a [u8]>) -> Option<u64> {
    some_or_all(words)?
}

fn two<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<(u64, u64)> {
    let (first, second) = (number(words.next()?)?, number(words.next()?)?);
    words.next().is_none().then_some((first, second))
}

/// Digits only: no sign, no space. One too large for a `u64` is no number of a message anyway.
fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands() {
        let auth = |mechanism: &str, initial: Option<&str>| Command::Auth {
            mechanism: mechanism.into(),
            initial: initial.map(Into::into),
        };
        for (line, want) in [
            ("CAPA", Ok(Command::Capa)),
            ("capa ", Ok(Command::Capa)),
            ("CAPA x", Err(Fault::Form("CAPA"))),
            ("Stat", Ok(Command::Stat)),
            ("STLS", Ok(Command::Stls)),
            ("USER alice@example.com", Ok(Command::User("alice@example.com".into()))),
            ("USER jörg@bücher.example", Ok(Command::User("jörg@bücher.example".into()))),
            ("USER", Err(Fault::Form("USER name@example.com"))),
            ("USER a\tb", Err(Fault::Form("USER name@example.com"))),
            ("PASS  two  spaces ", Ok(Command::Pass(Secret(b" two  spaces ".to_vec())))),
            ("PASS", Err(Fault::Form("PASS password"))),
            ("PASS ", Err(Fault::Form("PASS password"))),
            ("AUTH PLAIN", Ok(auth("PLAIN", None))),
            ("AUTH plain =", Ok(auth("plain", Some("=")))),
            ("AUTH PLAIN AGE=", Ok(auth("PLAIN", Some("AGE=")))),
            ("LIST", Ok(Command::List(None))),
            ("LIST 2", Ok(Command::List(Some(2)))),
            ("LIST 0002", Ok(Command::List(Some(2)))),
            ("LIST +2", Err(Fault::Form("LIST [message]"))),
            ("LIST -2", Err(Fault::Form("LIST [message]"))),
            ("LIST 1 2", Err(Fault::Form("LIST [message]"))),
            ("LIST  2", Err(Fault::Form("LIST [message]"))),
            ("LIST 99999999999999999999", Err(Fault::Form("LIST [message]"))),
            ("UIDL 1", Ok(Command::Uidl(Some(1)))),
            ("RETR 1", Ok(Command::Retr(1))),
            ("RETR", Err(Fault::Form("RETR message"))),
            ("TOP 1 0", Ok(Command::Top(1, 0))),
            ("TOP 1", Err(Fault::Form("TOP message lines"))),
            ("TOP 1 -1", Err(Fault::Form("TOP message lines"))),
            ("DELE 1", Ok(Command::Dele(1))),
            ("NOOP", Ok(Command::Noop)),
            ("RSET", Ok(Command::Rset)),
            ("QUIT", Ok(Command::Quit)),
            ("APOP alice c4c9334bac560ecc979e58001b3e22fb", Err(Fault::Unknown)),
            ("", Err(Fault::Unknown)),
            (" STAT", Err(Fault::Unknown)),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), want, "{line:?}");
        }
        assert!(Command::parse(b"AUTH").is_err() && Command::parse(b"AUTH A B C").is_err());
        assert!(Command::parse(b"USER \xff").is_err());
    }

    #[test]
    fn length() {
        let line = |keyword: &str, octets: usize| format!("{keyword} {}", "a".repeat(octets - keyword.len() - 1));
        assert!(Command::parse(line("USER", 253).as_bytes()).is_ok());
        assert_eq!(Command::parse(line("USER", 254).as_bytes()), Err(Fault::TooLong));
        assert_eq!(Command::parse(line("PASS", 254).as_bytes()), Err(Fault::TooLong));
        assert!(Command::parse(line("AUTH PLAIN", 5000).as_bytes()).is_ok());
    }

    #[test]
    fn passwords_are_not_printed() {
        assert!(!format!("{:?}", Command::parse(b"PASS hunter2")).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(Command::parse(&line));
        }
    }
}
