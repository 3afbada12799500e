//! Reads off a certificate what rustls does not tell: what it may be used for, and the URIs that it names.
//!
//! Only for certificates that are verified already. Strict DER of definite length; whatever is not, has no facts.

/// An element: its tag, its content, what follows.
type Element<'a> = (u8, &'a [u8], &'a [u8]);

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// RFC 5280 §4.1: `extensions [3] EXPLICIT`.
const EXTENSIONS: u8 = 0xa3;
/// RFC 5280 §4.2.1.6: `uniformResourceIdentifier [6] IA5String`.
const URI: u8 = 0x86;
/// id-ce-subjectAltName, 2.5.29.17 (RFC 5280 §4.2.1.6).
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// id-ce-extKeyUsage, 2.5.29.37 (RFC 5280 §4.2.1.12).
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// id-kp-clientAuth, 1.3.6.1.5.5.7.3.2 (RFC 5280 §4.2.1.12).
const FOR_CLIENTS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

/// What a certificate says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether it names the use as a client's certificate; one that names no use does not.
    pub for_clients: bool,
    /// The URIs among its alternative names.
    pub uris: Vec<String>,
}

/// The facts of a certificate; `None`: it cannot be read.
pub fn facts(der: &[u8]) -> Option<Facts> {
    let (certificate, _) = expect(SEQUENCE, der)?;
    let (to_be_signed, _) = expect(SEQUENCE, certificate)?;
    let mut facts = Facts::default();
    for (_, extensions) in children(to_be_signed)?.into_iter().filter(|(tag, _)| *tag == EXTENSIONS) {
        let (list, _) = expect(SEQUENCE, extensions)?;
        for (_, extension) in children(list)? {
            let parts = children(extension)?;
            let ((OBJECT_IDENTIFIER, id), (OCTET_STRING, value)) = (*parts.first()?, *parts.last()?) else {
                return None;
            };
            match id {
                SUBJECT_ALT_NAME => facts.uris.extend(uris(value)?),
                EXTENDED_KEY_USAGE => {
                    let uses = children(expect(SEQUENCE, value)?.0)?;
                    facts.for_clients |= uses.contains(&(OBJECT_IDENTIFIER, FOR_CLIENTS));
                }
                _ => {}
            }
        }
    }
    Some(facts)
}

fn uris(value: &[u8]) -> Option<Vec<String>> {
    let names = children(expect(SEQUENCE, value)?.0)?;
    let uris = names.into_iter().filter(|(tag, _)| *tag == URI);
    uris.map(|(_, uri)| String::from_utf8(uri.to_vec()).ok()).collect()
}

/// Content and rest of an element that must be first.
fn expect(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(input)?;
    (found == tag).then_some((content, rest))
}

/// All elements, one after the other; no octet is left.
fn children(mut input: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut all = Vec::new();
    while !input.is_empty() {
        let (tag, content, rest) = element(input)?;
        all.push((tag, content));
        input = rest;
    }
    Some(all)
}

/// X.690 §8.1: a tag of one octet, a length of at most three, the content.
fn element(input: &[u8]) -> Option<Element<'_>> {
    let (tag, input) = input.split_first()?;
    let (first, input) = input.split_first()?;
    let (length, input) = match first {
        0..=0x7f => (usize::from(*first), input),
        0x81..=0x83 => {
            let (octets, input) = input.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), input)
        }
        _ => return None,
    };
    let (content, rest) = input.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, SanType};

    use super::*;

    fn made(uris: &[&str], uses: &[ExtendedKeyUsagePurpose]) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["mail.example.com".to_owned()]).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.extended_key_usages = uses.to_vec();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn uses_and_uris() {
        use ExtendedKeyUsagePurpose::{ClientAuth, EmailProtection, ServerAuth};
        let long = format!("urn:{}", "x".repeat(300));
        for (uris, uses, for_clients) in [
            (vec![], vec![], false),
            (vec!["urn:a"], vec![ServerAuth], false),
            (vec!["urn:a", "urn:b"], vec![ServerAuth, ClientAuth], true),
            (vec![long.as_str()], vec![EmailProtection, ClientAuth], true),
        ] {
            let facts = facts(&made(&uris, &uses)).unwrap();
            assert_eq!(
                (facts.uris.iter().map(String::as_str).collect::<Vec<_>>(), facts.for_clients),
                (uris, for_clients)
            );
        }
    }

    #[test]
    fn what_is_cut_or_changed_never_panics_and_cut_has_no_facts() {
        let whole = made(&["urn:a"], &[ExtendedKeyUsagePurpose::ClientAuth]);
        for at in 0..whole.len() {
            assert_eq!(facts(&whole[..at]), None, "cut at {at}");
            for value in [0, 0x30, 0x7f, 0x80, 0x81, 0x84, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = facts(&changed);
            }
        }
    }
}
