//! The addresses of a From, Sender or Reply-To field (RFC 5322 §3.4), read so that no reader's program
//! can see a domain in the field that we did not.
//!
//! Strict where a lie could hide, tolerant otherwise: what cannot be read is `None`, never a guess.

use paquebot_mta_api::address::{Address, Domain};

/// Addresses of one field that are looked at; more is an abuse.
pub const ADDRESSES_MAX: usize = 100;
/// Octets of one such field; more is an abuse.
pub const ADDRESS_FIELD_BYTES_MAX: usize = 16 * 1024;

/// Someone in an address field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The whole address, where it is one that could be ours (no blanks in the local part, for one).
    pub address: Option<Address>,
    /// Its domain.
    pub domain: Domain,
}

/// All addresses of a field; `None` where there is none or one is unreadable.
pub fn addresses(value: &[u8]) -> Option<Vec<Author>> {
    if value.len() > ADDRESS_FIELD_BYTES_MAX {
        return None;
    }
    let mut entries = Entries::default();
    let text = String::from_utf8_lossy(value);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '(' => {
                skip_comment(&mut chars)?;
                entries.push(' ');
            }
            '"' => entries.quoted(&read_quoted(&mut chars)?),
            '<' => entries.open()?,
            '>' => entries.close()?,
            ',' | ';' | ':' if !entries.in_brackets => entries.end(c == ':')?,
            '\0' => return None,
            c => entries.push(c),
        }
    }
    entries.end(false)?;
    let found = entries.found;
    (!entries.in_brackets && !found.is_empty()).then_some(found)
}

/// The entry being read, and those read before it.
#[derive(Default)]
struct Entries {
    /// What stands outside brackets.
    outside: String,
    /// The same without what is quoted: an address there is one that a reader might see.
    unquoted: String,
    /// What stands in brackets.
    inside: Option<String>,
    in_brackets: bool,
    found: Vec<Author>,
}

impl Entries {
    fn push(&mut self, c: char) {
        match &mut self.inside {
            Some(inside) if self.in_brackets => inside.push(c),
            _ => {
                self.outside.push(c);
                self.unquoted.push(c);
            }
        }
    }

    fn quoted(&mut self, text: &str) {
        match &mut self.inside {
            Some(inside) if self.in_brackets => inside.push_str(text),
            _ => self.outside.push_str(text),
        }
    }

    fn open(&mut self) -> Option<()> {
        self.in_brackets = true;
        self.inside.replace(String::new()).is_none().then_some(())
    }

    fn close(&mut self) -> Option<()> {
        std::mem::take(&mut self.in_brackets).then_some(())
    }

    /// One address, or a group's name, has ended.
    fn end(&mut self, is_group_name: bool) -> Option<()> {
        let outside = std::mem::take(&mut self.outside);
        let unquoted = std::mem::take(&mut self.unquoted);
        if self.in_brackets {
            return None;
        }
        match self.inside.take() {
            Some(inside) => self.add(&inside)?,
            None if is_group_name => {}
            None if outside.trim().is_empty() => return Some(()),
            None => return self.add(&outside),
        }
        // `a@example.com <b@example.org>`: both count.
        unquoted.split_whitespace().filter(|word| word.contains('@')).try_for_each(|word| self.add(word))
    }

    fn add(&mut self, text: &str) -> Option<()> {
        let (local, domain) = text.trim().rsplit_once('@')?;
        let (local, domain) = (local.trim(), domain.trim());
        let is_quoted = local.len() > 1 && local.starts_with('"') && local.ends_with('"');
        let fits = is_quoted || !(local.is_empty() || local.contains([' ', '\t', '\r', '\n', '@', '"']));
        let domain: Domain = domain.parse().ok()?;
        let author = Author { address: Address::new(local, domain.clone()).ok(), domain };
        self.found.push(author);
        (fits && self.found.len() <= ADDRESSES_MAX).then_some(())
    }
}

/// To the end of a comment; comments nest.
fn skip_comment(chars: &mut std::str::Chars<'_>) -> Option<()> {
    let mut depth = 1usize;
    while depth > 0 {
        match chars.next()? {
            '\\' => drop(chars.next()?),
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    Some(())
}

/// To the end of a quoted string; with its quotes, quoted pairs undone.
fn read_quoted(chars: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = String::from('"');
    loop {
        match chars.next()? {
            '\\' => text.push(chars.next()?),
            '"' => break,
            c => text.push(c),
        }
    }
    text.push('"');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_parser::{Address as Parsed, HeaderValue, parsers::MessageStream};
    use proptest::prelude::*;

    /// What another reader sees.
    fn others(value: &[u8]) -> Vec<String> {
        let text = |addr: &mail_parser::Addr<'_>| addr.address.as_ref().map(|address| address.to_string());
        match MessageStream::new(value).parse_address() {
            HeaderValue::Address(Parsed::List(list)) => list.iter().filter_map(text).collect(),
            HeaderValue::Address(Parsed::Group(groups)) => {
                groups.iter().flat_map(|group| &group.addresses).filter_map(text).collect()
            }
            _ => Vec::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]
        /// Where another reader sees an address, we see its domain or nothing at all.
        #[test]
        fn no_reader_sees_a_domain_that_we_do_not(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "a@one.example", "b@two.example", "<c@three.example>", "<", ">", "\"", "(", ")", ",", ";", ":",
                    " ", "\r\n ", "\\", "@", "Alice", "=?utf-8?q?x?=", "[", "]", ".",
                ]),
                0..10,
            )
        ) {
            let value = format!(" {}\r\n", parts.concat());
            if let Some(ours) = addresses(value.as_bytes()) {
                for seen in others(value.as_bytes()) {
                    let Some(domain) = seen.rsplit_once('@').and_then(|(_, domain)| domain.parse::<Domain>().ok()) else {
                        continue;
                    };
                    prop_assert!(ours.iter().any(|author| author.domain == domain), "{seen} in {value:?}");
                }
            }
        }
    }
}
