//! The syntax of SMTP commands (RFC 5321 §4.1.1, RFC 1870, RFC 3207, RFC 4954, RFC 6152, RFC 6531).
//!
//! Parses one line into a [`Command`]; knows nothing of the session. The verb's case doesn't matter.

use super::path::{is_address_literal, is_bare_postmaster, is_mailbox, parse_path};
use crate::reply::{EnhancedCode, Reply};

/// A command, its arguments checked for syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// EHLO and the client's name.
    Ehlo(&'a str),
    /// HELO and the client's name.
    Helo(&'a str),
    /// MAIL FROM.
    Mail(Mail<'a>),
    /// RCPT TO: the address.
    Rcpt(&'a str),
    /// DATA.
    Data,
    /// RSET.
    Rset,
    /// NOOP, whatever follows it.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY.
    Vrfy,
    /// EXPN.
    Expn,
    /// HELP.
    Help,
    /// STARTTLS.
    StartTls,
    /// AUTH, the mechanism's name, the initial response in base64 if given.
    Auth(&'a str, Option<&'a str>),
}

/// MAIL FROM and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail<'a> {
    /// Empty for `<>`.
    pub reverse_path: &'a str,
    /// SIZE= (RFC 1870 §3).
    pub size_bytes: Option<u64>,
    /// BODY=8BITMIME (RFC 6152 §2).
    pub body_8bit: bool,
    /// SMTPUTF8 (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// AUTH= (RFC 4954 §5): syntax checked, then ignored, as from a client that is not trusted.
    pub login_given: bool,
    /// Whether there were any parameters: they need EHLO.
    pub parameters_given: bool,
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandFault {
    /// No such command.
    Unknown,
    /// A command of HTTP: a web browser is being misused, and what follows may be SMTP in its body.
    Http,
    /// Control characters, or octets that are not UTF-8.
    Characters,
    /// An argument is missing.
    Missing,
    /// An argument where none belongs, or a malformed one.
    Argument,
    /// The reverse-path is malformed.
    ReversePath,
    /// The forward-path is malformed.
    ForwardPath,
    /// The non-ASCII address needs SMTPUTF8.
    NeedsSmtputf8,
    /// A parameter of MAIL or RCPT is unknown, repeated or malformed.
    Parameter,
}

impl CommandFault {
    /// What the client is told.
    pub fn reply(self) -> Reply {
        let (code, enhanced, text) = match self {
            Self::Unknown => (500, EnhancedCode(5, 5, 2), "Command not recognized"),
            // 421 closes; Postfix goes too (postconf(5), smtpd_forbidden_commands).
            Self::Http => (421, EnhancedCode(4, 7, 0), "This is SMTP, not HTTP"),
            Self::Characters => (500, EnhancedCode(5, 5, 2), "Invalid characters in the command"),
            Self::Missing => (501, EnhancedCode(5, 5, 4), "An argument is missing"),
            Self::Argument => (501, EnhancedCode(5, 5, 4), "Invalid argument"),
            Self::ReversePath => (501, EnhancedCode(5, 1, 7), "Bad sender address syntax"),
            Self::ForwardPath => (501, EnhancedCode(5, 1, 3), "Bad recipient address syntax"),
            // RFC 6531 §3.5.
            Self::NeedsSmtputf8 => (553, EnhancedCode(5, 6, 7), "A non-ASCII address needs SMTPUTF8"),
            // RFC 5321 §4.1.1.11.
            Self::Parameter => (555, EnhancedCode(5, 5, 4), "Parameter not recognized"),
        };
        Reply::new(code, enhanced, text)
    }
}

/// Parses a line without its CRLF.
pub fn parse(line: &[u8]) -> Result<Command<'_>, CommandFault> {
    let line = std::str::from_utf8(line).map_err(|_| CommandFault::Characters)?;
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err(CommandFault::Characters);
    }
    // RFC 5321 §4.1.1: trailing white space should be tolerated.
    let line = line.trim_end_matches([' ', '\t']);
    let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let is = |name: &str| verb.eq_ignore_ascii_case(name);
    if is("MAIL") {
        parse_mail(arguments).map(Command::Mail)
    } else if is("RCPT") {
        parse_rcpt(arguments).map(Command::Rcpt)
    } else if is("VRFY") || is("EXPN") {
        let command = if is("VRFY") { Command::Vrfy } else { Command::Expn };
        if arguments.is_empty() { Err(CommandFault::Missing) } else { Ok(command) }
    } else if !line.is_ascii() {
        // RFC 6531 §3.3 widens the commands above only.
        Err(CommandFault::Characters)
    } else if is("EHLO") {
        parse_hello(arguments).map(Command::Ehlo)
    } else if is("HELO") {
        parse_hello(arguments).map(Command::Helo)
    } else if is("AUTH") {
        parse_login(arguments)
    } else if is("NOOP") {
        Ok(Command::Noop)
    } else if is("HELP") {
        Ok(Command::Help)
    } else {
        let command = match () {
            () if is("DATA") => Command::Data,
            () if is("RSET") => Command::Rset,
            () if is("QUIT") => Command::Quit,
            () if is("STARTTLS") => Command::StartTls,
            () if ["GET", "POST", "PUT", "OPTIONS", "CONNECT"].into_iter().any(is) => return Err(CommandFault::Http),
            () => return Err(CommandFault::Unknown),
        };
        if arguments.is_empty() { Ok(command) } else { Err(CommandFault::Argument) }
    }
}

/// The name is for logs and the Received field, so its characters are those of a host name or an address
/// literal; more is not asked, because the name may not be verified (RFC 5321 §4.1.4). Underscores are common.
fn parse_hello(name: &str) -> Result<&str, CommandFault> {
    let plain = name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_'));
    match name {
        "" => Err(CommandFault::Missing),
        _ if name.len() <= 255 && (plain || is_address_literal(name)) => Ok(name),
        _ => Err(CommandFault::Argument),
    }
}

fn parse_login(arguments: &str) -> Result<Command<'_>, CommandFault> {
    let mut words = arguments.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some(""), ..) | (None, ..) => Err(CommandFault::Missing),
        (Some(mechanism), initial, None) => Ok(Command::Auth(mechanism, initial)),
        _ => Err(CommandFault::Argument),
    }
}

fn parse_mail(arguments: &str) -> Result<Mail<'_>, CommandFault> {
    let text = strip_keyword(arguments, "FROM:").ok_or(CommandFault::Argument)?;
    let path = parse_path(text).ok_or(CommandFault::ReversePath)?;
    let mut mail = Mail {
        reverse_path: path.address,
        size_bytes: None,
        body_8bit: false,
        smtputf8: false,
        login_given: false,
        parameters_given: false,
    };
    if !path.address.is_empty() && !is_mailbox(path.address) {
        return Err(CommandFault::ReversePath);
    }
    let mut body_given = false;
    for parameter in parameters(path.rest)? {
        let (keyword, value) = parameter.split_once('=').map_or((parameter, None), |(k, v)| (k, Some(v)));
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        mail.parameters_given = true;
        match value {
            Some(value) if is("SIZE") && mail.size_bytes.is_none() => mail.size_bytes = Some(parse_size(value)?),
            Some(value) if is("BODY") && !body_given => {
                body_given = true;
                mail.body_8bit = value.eq_ignore_ascii_case("8BITMIME");
                if !mail.body_8bit && !value.eq_ignore_ascii_case("7BIT") {
                    return Err(CommandFault::Parameter);
                }
            }
            None if is("SMTPUTF8") && !mail.smtputf8 => mail.smtputf8 = true,
            Some(value) if is("AUTH") && !mail.login_given && !value.is_empty() => mail.login_given = true,
            _ => return Err(CommandFault::Parameter),
        }
    }
    if !mail.smtputf8 && !arguments.is_ascii() {
        return Err(CommandFault::NeedsSmtputf8);
    }
    Ok(mail)
}

fn parse_rcpt(arguments: &str) -> Result<&str, CommandFault> {
    let text = strip_keyword(arguments, "TO:").ok_or(CommandFault::Argument)?;
    let path = parse_path(text).ok_or(CommandFault::ForwardPath)?;
    if !is_mailbox(path.address) && !is_bare_postmaster(path.address) {
        return Err(CommandFault::ForwardPath);
    }
    // No extension that is offered adds a parameter to RCPT.
    if parameters(path.rest)?.next().is_some() { Err(CommandFault::Parameter) } else { Ok(path.address) }
}

/// What follows the keyword. Between MAIL and FROM one space is left over from cutting the verb.
fn strip_keyword<'a>(arguments: &'a str, keyword: &str) -> Option<&'a str> {
    let arguments = arguments.trim_start_matches(' ');
    let (head, rest) = arguments.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then_some(rest)
}

/// The parameters behind a path; each must stand behind a space.
fn parameters(rest: &str) -> Result<impl Iterator<Item = &str>, CommandFault> {
    if rest.is_empty() || rest.starts_with(' ') {
        Ok(rest.split(' ').filter(|parameter| !parameter.is_empty()))
    } else {
        Err(CommandFault::Argument)
    }
}

/// RFC 1870 §3: 1 to 20 digits. What is beyond a u64 is surely too large.
fn parse_size(value: &str) -> Result<u64, CommandFault> {
    if value.is_empty() || value.len() > 20 || !value.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(CommandFault::Parameter);
    }
    Ok(value.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mail(reverse_path: &str) -> Mail<'_> {
        Mail {
            reverse_path,
            size_bytes: None,
            body_8bit: false,
            smtputf8: false,
            login_given: false,
            parameters_given: false,
        }
    }

    #[test]
    fn commands() {
        use Command::*;
        let with_parameters = super::Mail { parameters_given: true, ..mail("a@b") };
        for (line, expected) in [
            ("EHLO mail.example.com", Ok(Ehlo("mail.example.com"))),
            ("ehlo [192.0.2.1]", Ok(Ehlo("[192.0.2.1]"))),
            ("HELO a_b", Ok(Helo("a_b"))),
            ("EHLO", Err(CommandFault::Missing)),
            ("EHLO a b", Err(CommandFault::Argument)),
            ("EHLO <script>", Err(CommandFault::Argument)),
            ("EHLO é.example", Err(CommandFault::Characters)),
            ("data", Ok(Data)),
            ("DATA  ", Ok(Data)),
            ("DATA x", Err(CommandFault::Argument)),
            ("NOOP anything", Ok(Noop)),
            ("HELP MAIL", Ok(Help)),
            ("VRFY é", Ok(Vrfy)),
            ("VRFY", Err(CommandFault::Missing)),
            ("STARTTLS", Ok(StartTls)),
            ("STARTTLS now", Err(CommandFault::Argument)),
            ("AUTH PLAIN", Ok(Auth("PLAIN", None))),
            ("AUTH PLAIN =", Ok(Auth("PLAIN", Some("=")))),
            ("AUTH", Err(CommandFault::Missing)),
            ("AUTH PLAIN a b", Err(CommandFault::Argument)),
            ("BDAT 10 LAST", Err(CommandFault::Unknown)),
            ("", Err(CommandFault::Unknown)),
            ("POST / HTTP/1.1", Err(CommandFault::Http)),
            ("QUIT\u{1}", Err(CommandFault::Characters)),
            ("MAIL FROM:<>", Ok(Mail(mail("")))),
            ("mail from: <a@b>", Ok(Mail(mail("a@b")))),
            ("MAIL FROM:<@x,@y:a@b>", Ok(Mail(mail("a@b")))),
            ("MAIL FROM:<a@b> SIZE=12", Ok(Mail(super::Mail { size_bytes: Some(12), ..with_parameters.clone() }))),
            (
                "MAIL FROM:<a@b> body=8bitmime size=99999999999999999999",
                Ok(Mail(super::Mail { size_bytes: Some(u64::MAX), body_8bit: true, ..with_parameters.clone() })),
            ),
            ("MAIL FROM:<a@b> BODY=7BIT", Ok(Mail(with_parameters.clone()))),
            (
                "MAIL FROM:<é@b> SMTPUTF8",
                Ok(Mail(super::Mail { reverse_path: "é@b", smtputf8: true, ..with_parameters.clone() })),
            ),
            ("MAIL FROM:<a@b> AUTH=<>", Ok(Mail(super::Mail { login_given: true, ..with_parameters.clone() }))),
            ("MAIL FROM:<é@b>", Err(CommandFault::NeedsSmtputf8)),
            ("MAIL FROM:<a@b> SIZE=1 SIZE=2", Err(CommandFault::Parameter)),
            ("MAIL FROM:<a@b> SIZE=-1", Err(CommandFault::Parameter)),
            ("MAIL FROM:<a@b> SIZE", Err(CommandFault::Parameter)),
            ("MAIL FROM:<a@b> BODY=BINARYMIME", Err(CommandFault::Parameter)),
            ("MAIL FROM:<a@b> SMTPUTF8=1", Err(CommandFault::Parameter)),
            ("MAIL FROM:<a@b> RET=FULL", Err(CommandFault::Parameter)),
            ("MAIL FROM:<a@b>SIZE=1", Err(CommandFault::Argument)),
            ("MAIL FROM:a@b", Err(CommandFault::ReversePath)),
            ("MAIL FROM:<a>", Err(CommandFault::ReversePath)),
            ("MAIL TO:<a@b>", Err(CommandFault::Argument)),
            ("MAIL", Err(CommandFault::Argument)),
            ("RCPT TO:<a@b>", Ok(Rcpt("a@b"))),
            ("RCPT TO:<Postmaster>", Ok(Rcpt("Postmaster"))),
            ("RCPT TO:<é@b>", Ok(Rcpt("é@b"))),
            ("RCPT TO:<>", Err(CommandFault::ForwardPath)),
            ("RCPT TO:<root>", Err(CommandFault::ForwardPath)),
            ("RCPT TO:<a@b> NOTIFY=NEVER", Err(CommandFault::Parameter)),
        ] {
            assert_eq!(parse(line.as_bytes()), expected, "{line:?}");
        }
        assert_eq!(parse(b"NOOP \xff"), Err(CommandFault::Characters));
    }

    proptest! {
        #[test]
        fn no_line_breaks_it(verb in "(MAIL FROM:|RCPT TO:|AUTH |EHLO )?", rest in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut line = verb.into_bytes();
            line.extend(rest);
            let _ = parse(&line);
        }
    }
}
