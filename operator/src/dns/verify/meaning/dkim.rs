//! DKIM by the key: what a receiver would verify signatures with (RFC 6376 §3.6.1, RFC 8463 §4). Pure.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    Verdict,
    tags::{Tags, items},
};

/// What stands before the 32 octets of an Ed25519 key as a SubjectPublicKeyInfo (RFC 8410 §4).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Octets of an Ed25519 key.
const ED25519_OCTETS: usize = 32;
/// The OID of RSA (RFC 8017 §A.1) with NULL, then BIT STRING: in each SubjectPublicKeyInfo, never in an RSAPublicKey.
const RSA_OID: [u8; 13] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// Receivers take padding and leave it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a wanted text is a DKIM key.
pub fn is_dkim(text: &str) -> bool {
    text.starts_with("v=DKIM1")
}

/// Judges the texts of a selector.
pub fn judge(wanted: &str, texts: &[String]) -> Verdict {
    match texts {
        [] => Verdict::missing(),
        [one] => {
            let seen = one.trim();
            if seen.starts_with(['"', '\'', '\u{201c}']) {
                return Verdict::different(
                    "the text begins with a quotation mark, so that receivers find no key in it",
                );
            }
            match (Tags::read(wanted), Tags::read(seen)) {
                (Ok(wanted), Ok(seen)) => Verdict::of(differences(&wanted, &seen)),
                (_, Err(why)) | (Err(why), _) => Verdict::different(why),
            }
        }
        // RFC 6376 §3.6.2.2: what receivers do then is undefined.
        many => Verdict::conflicting(format!(
            "there are {} texts at this selector, and receivers may take either: leave one",
            many.len()
        )),
    }
}

fn differences(wanted: &Tags, seen: &Tags) -> Vec<String> {
    let mut found = Vec::new();
    match seen.get("v") {
        Some("DKIM1") if seen.place("v") == Some(0) => {}
        None => {}
        Some("DKIM1") => found.push("v=DKIM1 has to come first".to_owned()),
        Some(other) => found.push(format!("v={other}, v=DKIM1 is wanted")),
    }
    let kind = |tags: &Tags| tags.get("k").unwrap_or("rsa").to_ascii_lowercase();
    if kind(seen) != kind(wanted) {
        found.push(format!("k={}, k={} is wanted", kind(seen), kind(wanted)));
    }
    if let Some(hashes) = seen.get("h").map(|value| items(value, ':'))
        && !hashes.iter().any(|it| it == "sha256")
    {
        found.push(format!("h={} leaves out sha256, with which mail is signed", hashes.join(":")));
    }
    if let Some(services) = seen.get("s").map(|value| items(value, ':'))
        && !services.iter().any(|it| it == "*" || it == "email")
    {
        found.push(format!("s={} leaves out email", services.join(":")));
    }
    if seen.get("t").is_some_and(|value| items(value, ':').iter().any(|it| it == "y")) {
        found.push("t=y says that the key is being tested: receivers may take the mail for unsigned".to_owned());
    }
    found.extend(key(wanted.get("p").unwrap_or_default(), seen.get("p"), &kind(wanted)));
    found
}

/// What is wrong with `p=`.
fn key(wanted: &str, seen: Option<&str>, kind: &str) -> Option<String> {
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let Some(seen) = seen.map(bare) else {
        return Some("it has no p=, where the key stands".to_owned());
    };
    let wanted = bare(wanted);
    if seen == wanted {
        return None;
    }
    if seen.is_empty() {
        return Some("the key is revoked: p= is empty (RFC 6376 §3.6.1)".to_owned());
    }
    let cut = || {
        format!(
            "the key is cut short after {} of {} characters: a TXT string has 255 at most, split it",
            seen.len(),
            wanted.len()
        )
    };
    if wanted.starts_with(&seen) && !wanted.trim_end_matches('=').eq(&seen) {
        return Some(cut());
    }
    if seen.eq_ignore_ascii_case(&wanted) {
        return Some("the letters of the key were changed to capitals or small ones".to_owned());
    }
    let Ok(octets) = BASE64.decode(&seen) else {
        return Some("p= is not base64: it was changed when it was copied".to_owned());
    };
    let expected = BASE64.decode(&wanted).unwrap_or_default();
    if octets == expected {
        return None;
    }
    Some(encoding(&octets, &expected, kind).unwrap_or_else(|| "p= is another key".to_owned()))
}

/// The right key in a wrong form.
fn encoding(seen: &[u8], wanted: &[u8], kind: &str) -> Option<String> {
    if kind == "ed25519" {
        let inner = seen.strip_prefix(&ED25519_PREFIX)?;
        let same = if inner == wanted { "the key" } else { "another key" };
        return Some(format!(
            "p= is {same} as a SubjectPublicKeyInfo of {} octets: for Ed25519 it is the raw {ED25519_OCTETS} octets (RFC 8463 §4)",
            seen.len()
        ));
    }
    let raw = !seen.windows(RSA_OID.len()).any(|window| window == RSA_OID);
    (raw && wanted.ends_with(seen)).then(|| {
        "p= is the key as an RSAPublicKey: many receivers take a SubjectPublicKeyInfo only (RFC 6376, erratum 3017)"
            .to_owned()
    })
}
