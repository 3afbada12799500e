//! The DKIM-Signature field (RFC 6376 §3.5): which fields are signed, and how it is written.
//!
//! relaxed/relaxed; never `l=`. Pure: `now` is a value.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{SignError, SigningKey};
use crate::{
    message::{
        canonical::{Hash, relaxed_field},
        header::{RawField, fields},
    },
    time::Micros,
};

/// Signed as often as they stand in the header and once more, so that none can be added
/// (RFC 6376 §8.15).
const OVERSIGNED: [&str; 9] =
    ["From", "To", "Cc", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];
/// Signed as often as they stand in the header (RFC 6376 §5.4.1).
const SIGNED: [&str; 4] = ["Reply-To", "Sender", "In-Reply-To", "References"];
/// Columns of a line of the field at most (RFC 5322 §2.1.1: 78 should).
const COLUMNS_MAX: usize = 76;

/// A DKIM-Signature field for this header and the relaxed hash of this body, ended by CRLF.
pub fn sign(header: &[u8], body_hash: &Hash, key: &SigningKey, now: Micros) -> Result<String, SignError> {
    let all: Vec<RawField<'_>> = fields(header).collect();
    let mut names = Vec::new();
    let mut canonical = Vec::with_capacity(header.len());
    for (name, more) in OVERSIGNED.iter().map(|name| (*name, 1)).chain(SIGNED.iter().map(|name| (*name, 0))) {
        let mut count = more;
        // From the last to the first (RFC 6376 §5.4.2).
        for field in all.iter().rev().filter(|field| field.is(name)) {
            relaxed_field(field.name, field.value, &mut canonical);
            canonical.extend_from_slice(b"\r\n");
            count += 1;
        }
        names.extend(std::iter::repeat_n(name, count));
    }
    let value = unsigned_value(key, &names, body_hash, now);
    relaxed_field(b"DKIM-Signature", value.as_bytes(), &mut canonical);
    let signature = STANDARD.encode(key.sign(&canonical)?);
    let mut field = format!("DKIM-Signature:{value}");
    let mut column = "\tb=".len();
    for c in signature.chars() {
        if column >= COLUMNS_MAX {
            field.push_str("\r\n\t ");
            column = 2;
        }
        field.push(c);
        column += 1;
    }
    field.push_str("\r\n");
    Ok(field)
}

/// The value with an empty `b=` at its end: what is signed of the field itself (RFC 6376 §3.5, `b=`).
fn unsigned_value(key: &SigningKey, names: &[&str], body_hash: &Hash, now: Micros) -> String {
    let seconds = now.0.div_euclid(1_000_000).max(0);
    let mut value = format!(
        " v=1; a={}; c=relaxed/relaxed;\r\n\td={};\r\n\ts={}; t={seconds};\r\n\th=",
        key.algorithm(),
        key.domain,
        key.selector,
    );
    let mut column = "\th=".len();
    for (place, name) in names.iter().enumerate() {
        if place > 0 {
            value.push(':');
            column += 1;
        }
        if column + name.len() > COLUMNS_MAX {
            value.push_str("\r\n\t ");
            column = 2;
        }
        value.push_str(name);
        column += name.len();
    }
    value.push_str(";\r\n\tbh=");
    value.push_str(&STANDARD.encode(body_hash));
    value.push_str(";\r\n\tb=");
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::canonical::BodyHasher;
    use paquebot_mta_api::directory::{DkimKeyEntry, KeyAlgorithm, PrivateKey};

    fn key(algorithm: KeyAlgorithm) -> DkimKeyEntry {
        let kind = match algorithm {
            KeyAlgorithm::Rsa => &rcgen::PKCS_RSA_SHA256,
            KeyAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
        };
        let private_key = PrivateKey(rcgen::KeyPair::generate_for(kind).unwrap().serialize_der());
        DkimKeyEntry { domain: "example.com".parse().unwrap(), selector: "s1".into(), algorithm, private_key }
    }

    fn signed(header: &str, algorithm: KeyAlgorithm) -> String {
        let key = SigningKey::parse(&key(algorithm)).unwrap();
        let hash = BodyHasher::default().finish().relaxed;
        sign(header.as_bytes(), &hash, &key, Micros(1_700_000_000_000_000)).unwrap()
    }

    #[test]
    fn the_field_is_folded_and_oversigns() {
        for algorithm in [KeyAlgorithm::Rsa, KeyAlgorithm::Ed25519] {
            let field = signed("From: a@example.com\r\nto: b\r\nTO: c\r\nReply-To: d\r\n\r\n", algorithm);
            assert!(field.lines().all(|line| line.len() < 78), "{field}");
            assert!(field.ends_with("\r\n"));
            let plain: String = field.chars().filter(|c| !c.is_whitespace()).collect();
            assert!(plain.contains(
                ";h=From:From:To:To:To:Cc:Subject:Date:Message-ID:MIME-Version:Content-Type:\
                 Content-Transfer-Encoding:Reply-To;bh="
            ));
            assert!(plain.contains("t=1700000000;") && !plain.contains(";l="));
        }
    }

    #[test]
    fn many_fields_stay_folded() {
        let field = signed(&"To: a@b\r\n".repeat(500), KeyAlgorithm::Ed25519);
        assert!(field.lines().all(|line| line.len() < 78));
    }

    #[test]
    fn wrong_keys_are_refused_with_a_reason() {
        let mut wrong = key(KeyAlgorithm::Ed25519);
        wrong.algorithm = KeyAlgorithm::Rsa;
        assert!(SigningKey::parse(&wrong).err().unwrap().to_string().contains("s1._domainkey.example.com"));
        let mut wrong = key(KeyAlgorithm::Ed25519);
        wrong.selector = "a; x=y\r\n".into();
        assert!(SigningKey::parse(&wrong).is_err());
    }

    #[tokio::test]
    async fn signers_sign_with_each_key() {
        let signers = super::super::Signers::default();
        let keys = [KeyAlgorithm::Rsa, KeyAlgorithm::Ed25519].map(|algorithm| std::sync::Arc::new(key(algorithm)));
        let hash = BodyHasher::default().finish().relaxed;
        let header = bytes::Bytes::from_static(b"From: a@example.com\r\n\r\n");
        let both = signers.sign(header.clone(), hash, &keys, Micros(0)).await.unwrap();
        assert_eq!(both.fields.matches("DKIM-Signature: v=1").count(), 2);
        assert_eq!(both.words, "DKIM d=example.com: rsa-sha256 s=s1, ed25519-sha256 s=s1");
        assert_eq!(
            signers.sign(header.clone(), hash, &[], Micros(0)).await.unwrap(),
            super::super::Signatures::default()
        );
        // A broken key is left out; with none that works there is an error.
        let mut broken = key(KeyAlgorithm::Rsa);
        broken.private_key.0.truncate(20);
        let broken = std::sync::Arc::new(broken);
        let [_, good] = keys;
        let one = signers.sign(header.clone(), hash, &[broken.clone(), good], Micros(0)).await.unwrap();
        assert_eq!(one.fields.matches("DKIM-Signature: v=1").count(), 1);
        assert_eq!(one.words, "DKIM d=example.com: ed25519-sha256 s=s1", "only what really signed");
        assert!(signers.sign(header, hash, &[broken], Micros(0)).await.is_err());
    }
}
