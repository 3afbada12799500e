//! DKIM signatures (RFC 6376): policy and body hash are ours, the header and the key mail-auth's.
//!
//! mail-auth gets the header block and one signature that our rules took; never a body, never `l=`.

use mail_auth::{
    AuthenticatedMessage, DkimResult,
    common::{
        crypto::{Algorithm, HashAlgorithm},
        headers::Header,
    },
    dkim::{Canonicalization, Signature},
};
use paquebot_mta_api::address::Domain;

use super::{Dkim, Outcome};
use crate::{
    dns::Resolver,
    message::{
        canonical::BodyHashes,
        header::{RawField, fields},
    },
    time::Micros,
};

/// Signatures of a message that are looked at, from the top: each costs look-ups and a verification.
pub const SIGNATURES_MAX: usize = 10;
/// Names in one `h=`: matching them costs their number times the number of fields.
pub const SIGNED_NAMES_MAX: usize = 200;

/// The signatures of a header that are looked at, each read or found unreadable.
pub fn signatures<'a>(header: &'a [u8]) -> impl Iterator<Item = RawField<'a>> {
    fields(header).filter(|field| field.is("DKIM-Signature")).take(SIGNATURES_MAX)
}

/// Verifies one signature of a header; without a time limit: the caller has one.
pub async fn verify(
    resolver: &Resolver,
    header: &[u8],
    field: &RawField<'_>,
    hashes: &BodyHashes,
    now: Micros,
) -> Dkim {
    let mut signature = match read(field) {
        Ok(signature) => signature,
        Err(unread) => return *unread,
    };
    if let Some((outcome, reason)) = refuse(&signature, hashes, now) {
        return found(&signature, outcome, reason);
    }
    // No reports (RFC 6651) and no third parties (RFC 6541): they would cost look-ups.
    signature.r = false;
    signature.atps = None;
    let message = AuthenticatedMessage {
        headers: fields(header).map(|field| (field.name, field.value)).collect(),
        body_hashes: vec![(signature.cb, HashAlgorithm::Sha256, signature.l, signature.bh.clone())],
        dkim_headers: vec![Header { name: field.name, value: field.value, header: signature.clone() }],
        ..AuthenticatedMessage::default()
    };
    let outputs = resolver.authenticator().verify_dkim(&message).await;
    match outputs.first().map(|output| output.result()) {
        Some(DkimResult::Pass) => found(&signature, Outcome::Pass, ""),
        Some(DkimResult::TempError(_)) => found(&signature, Outcome::TempError, "the key could not be looked up"),
        Some(DkimResult::PermError(error)) => found(&signature, Outcome::PermError, &format!("no usable key: {error}")),
        Some(DkimResult::Fail(_)) => found(&signature, Outcome::Fail, "the signature does not match the header"),
        Some(DkimResult::Neutral(error)) => found(&signature, Outcome::Neutral, &error.to_string()),
        Some(DkimResult::None) | None => found(&signature, Outcome::Neutral, "not verified"),
    }
}

/// Where the key of a signature lies, if it is one that will be verified.
pub fn key_name(field: &RawField<'_>) -> Option<String> {
    let signature = Signature::parse(field.value).ok()?;
    let domain: Domain = signature.d.parse().ok()?;
    Some(format!("{}._domainkey.{domain}", signature.s))
}

/// What a signature says that could not be verified in time.
pub fn late(field: &RawField<'_>) -> Dkim {
    match read(field) {
        Ok(signature) => found(&signature, Outcome::TempError, "no answer in time"),
        Err(unread) => *unread,
    }
}

fn read(field: &RawField<'_>) -> Result<Signature, Box<Dkim>> {
    Signature::parse(field.value).map_err(|error| {
        Box::new(Dkim {
            outcome: Outcome::PermError,
            domain: None,
            selector: String::new(),
            algorithm: "",
            signature_start: String::new(),
            reason: format!("unreadable: {error}"),
        })
    })
}

/// Why a signature is not even verified.
fn refuse(signature: &Signature, hashes: &BodyHashes, now: Micros) -> Option<(Outcome, &'static str)> {
    let now_seconds = u64::try_from(now.0.div_euclid(1_000_000)).unwrap_or(0);
    let body_hash = match signature.cb {
        Canonicalization::Simple => &hashes.simple,
        Canonicalization::Relaxed => &hashes.relaxed,
    };
    if signature.v != 1 {
        return Some((Outcome::PermError, "there is no v=1"));
    }
    if signature.d.parse::<Domain>().is_err() {
        return Some((Outcome::PermError, "d= is not a domain"));
    }
    // RFC 8301 §3.1: rsa-sha1 must not be used.
    if matches!(signature.a, Algorithm::RsaSha1) {
        return Some((Outcome::PermError, "rsa-sha1 is not taken any more"));
    }
    if signature.h.len() > SIGNED_NAMES_MAX {
        return Some((Outcome::PermError, "h= names too many fields"));
    }
    // RFC 6376 §5.4: From must be signed.
    if !signature.h.iter().any(|name| name.eq_ignore_ascii_case("from")) {
        return Some((Outcome::PermError, "From is not signed"));
    }
    // RFC 6376 §8.2: with l= anything can be added to the body.
    if signature.l > 0 {
        return Some((Outcome::Policy, "l= leaves the end of the body unsigned"));
    }
    if signature.x > 0 && (signature.x <= now_seconds || signature.x < signature.t) {
        return Some((Outcome::Fail, "it has expired"));
    }
    (signature.bh != body_hash).then_some((Outcome::Fail, "the body was changed"))
}

fn found(signature: &Signature, outcome: Outcome, reason: &str) -> Dkim {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let start = signature.b.get(..6).unwrap_or_default();
    Dkim {
        outcome,
        domain: signature.d.parse().ok(),
        selector: signature.s.clone(),
        algorithm: match signature.a {
            Algorithm::RsaSha1 => "rsa-sha1",
            Algorithm::RsaSha256 => "rsa-sha256",
            Algorithm::Ed25519Sha256 => "ed25519-sha256",
        },
        signature_start: STANDARD.encode(start),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reading_never_panics(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let block = [b"DKIM-Signature: v=1; ".as_slice(), &value].concat();
            signatures(&block).for_each(|field| drop(late(&field)));
        }

        #[test]
        fn reading_tags_never_panics(value in "([abcdhilqstvxz]{1,2}=[a-z0-9+/=:. \t-]{0,20}; ?){0,12}") {
            let block = format!("DKIM-Signature: {value}\r\n");
            signatures(block.as_bytes()).for_each(|field| drop(late(&field)));
        }
    }
}
