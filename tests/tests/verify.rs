//! Verification through real DNS: SPF, DKIM and DMARC, what attackers send, and DNS that fails.

use std::{sync::Arc, time::Duration};

use paquebot_mta::{
    dns::{Answer, Resolver},
    message::canonical::{BodyHasher, BodyHashes},
    sign::{SigningKey, field},
    time::Micros,
    verify::{Disposition, DmarcPolicy, Outcome, Verdict, Verifier, policy},
};
use paquebot_mta_api::{
    address::Domain,
    directory::{DkimKeyEntry, KeyAlgorithm, PrivateKey},
};
use paquebot_tests::zones::Zones;

const NOW: Micros = Micros(1_700_000_000_000_000);
const LISTED: &str = "192.0.2.7";
const UNLISTED: &str = "198.51.100.1";

/// An RSA key of 768 bits, and a signature with it that would hold.
const WEAK_KEY: &str = "v=DKIM1; k=rsa; p=MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhANyQ9z0efAQ1LgswcTZF/XtKUnzmcBy4Y7JLhbkh5b7LLPuz\
    KEc70OdDX+S05PSHwzHXsGpw8rjAE0KeC8PHBC6L25jLJJyQqWckj3zogdJKSoI2FMlQCOTR9R5CAzhuGQIDAQAB";
const WEAKLY_SIGNED: &str = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com;\r\n i=@example.com; \
    q=dns/txt; s=weak; t=1795448812; h=from : subject;\r\n bh=Ba3gj8+xBPQLJTahTfzW6RbWQ/XPgESxkCi2B66PSQg=;\r\n \
    b=uhHZjwHsFg6FOHl761Lc5eCdGK6hTi3ZXauVwjr0ccdE9kPjvLjqkIzAR9E0MLSbFST+m\r\n \
    Hy9owNgO+tDwRk56j43OOUihcWbWhR6+9Fr5OAF+yfQHCQr7lYvr/8dLy18\r\nFrom: alice@example.com\r\nSubject: weak\r\n\r\n";

struct Ground {
    _zones: Zones,
    resolver: Resolver,
    verifier: Verifier,
    rsa: Arc<SigningKey>,
    ed25519: Arc<SigningKey>,
}

fn key(algorithm: KeyAlgorithm, selector: &str) -> Arc<SigningKey> {
    let kind = match algorithm {
        KeyAlgorithm::Rsa => &rcgen::PKCS_RSA_SHA256,
        KeyAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
    };
    let private_key = PrivateKey(rcgen::KeyPair::generate_for(kind).unwrap().serialize_der());
    let domain = "example.com".parse().unwrap();
    Arc::new(SigningKey::parse(&DkimKeyEntry { domain, selector: selector.into(), algorithm, private_key }).unwrap())
}

/// The key's record in TXT strings of at most 200 octets.
fn txt(key: &SigningKey) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let kind = key.algorithm().split('-').next().unwrap();
    let record = format!("v=DKIM1; k={kind}; p={}", STANDARD.encode(key.public_key()));
    record.as_bytes().chunks(200).map(|part| format!("\"{}\" ", std::str::from_utf8(part).unwrap())).collect()
}

async fn ground() -> Ground {
    let (rsa, ed25519) = (key(KeyAlgorithm::Rsa, "r"), key(KeyAlgorithm::Ed25519, "e"));
    let many: String = (0..11).map(|n| format!("a:h{n}.example.com ")).collect();
    let hosts: String = (0..11).map(|n| format!("h{n} 60 IN A 203.0.113.{n}\n")).collect();
    let zone = format!(
        "@ 60 IN MX 20 backup.example.com.\n@ 60 IN MX 10 MAIL.example.com.\n\
         mail 60 IN A 192.0.2.7\nmail 60 IN AAAA 2001:db8::7\n\
         @ 60 IN TXT \"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all\"\n\
         _dmarc 60 IN TXT \"v=DMARC1; p=reject; sp=quarantine\"\n\
         two 60 IN TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\ntwo 60 IN TXT \"v=spf1 -all\"\n\
         many 60 IN TXT \"v=spf1 {many} -all\"\n{hosts}\
         loop1 60 IN CNAME loop2\nloop2 60 IN CNAME loop1\n\
         through 60 IN TXT \"v=spf1 include:two.example.com -all\"\n\
         moved 60 IN TXT \"v=spf1 redirect=two.example.com\"\n\
         unasked 60 IN TXT \"v=spf1 ip4:192.0.2.7 include:two.example.com -all\"\n\
         weak._domainkey 60 IN TXT \"{WEAK_KEY}\"\n\
         self 60 IN TXT \"v=spf1 include:self.example.com -all\"\n\
         null 60 IN MX 0 .\n\
         r._domainkey 60 IN TXT {}\ne._domainkey 60 IN TXT {}\n\
         gone._domainkey 60 IN TXT \"v=DKIM1; p=\"\n",
        txt(&rsa),
        txt(&ed25519),
    );
    let plain =
        "@ 60 IN TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\nsoft 60 IN TXT \"v=spf1 ~all\"\nnone 60 IN A 192.0.2.1\n";
    let twice = "_dmarc 60 IN TXT \"v=DMARC1; p=reject\"\n_dmarc 60 IN TXT \"v=DMARC1; p=none\"\n";
    let lax = "@ 60 IN TXT \"v=spf1 -all\"\n_dmarc 60 IN TXT \"v=DMARC1; p=none\"\n";
    let reverse = "7 60 IN PTR mail.example.com.\n";
    let zones = [
        ("example.com.", zone.as_str()),
        ("plain.example.", plain),
        ("lax.example.", lax),
        ("twice.example.", twice),
        ("2.0.192.in-addr.arpa.", reverse),
    ];
    let zones = Zones::serve(&zones).await.unwrap();
    let resolver = Resolver::new(&[zones.address]).unwrap();
    let verifier = Verifier::new(resolver.clone(), "mx.example.org".parse::<Domain>().unwrap());
    Ground { _zones: zones, resolver, verifier, rsa, ed25519 }
}

fn hashes(body: &str) -> BodyHashes {
    let mut hasher = BodyHasher::default();
    hasher.feed(body.as_bytes());
    hasher.finish()
}

impl Ground {
    async fn verdict(&self, client: &str, sender: &str, header: &str, body: &str) -> Verdict {
        let spf = self.verifier.start_spf(client.parse().unwrap(), "mail.example.com", sender);
        self.verifier.finish(spf, header.as_bytes(), &hashes(body), NOW).await
    }

    fn signed(&self, header: &str, body: &str) -> String {
        let sign = |key: &SigningKey| field::sign(header.as_bytes(), &hashes(body).relaxed, key, NOW).unwrap();
        format!("{}{}{header}", sign(&self.rsa), sign(&self.ed25519))
    }
}

const HEADER: &str = "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: x\r\n\r\n";

fn outcomes(verdict: &Verdict) -> Vec<Outcome> {
    verdict.dkim.iter().map(|signature| signature.outcome).collect()
}

#[tokio::test]
async fn a_signed_message_passes_everything() {
    let ground = ground().await;
    for body in ["Hello\r\n", "", "white \r\n \r\n\t\r\n", "8 bit: ü\r\n\r\n"] {
        let header = ground.signed(HEADER, body);
        let verdict = ground.verdict(LISTED, "alice@example.com", &header, body).await;
        assert_eq!(outcomes(&verdict), [Outcome::Pass; 2], "{body:?}: {verdict}");
        assert_eq!(verdict.spf.outcome, Outcome::Pass);
        assert_eq!((verdict.dmarc.outcome, verdict.dmarc.policy), (Outcome::Pass, Some(DmarcPolicy::Reject)));
        assert_eq!(policy(&verdict), Disposition::Accept);
        let text = verdict.to_string();
        assert!(text.starts_with("SPF pass (example.com), DKIM pass (example.com, rsa-sha256)"), "{text}");
    }
}

#[tokio::test]
async fn what_was_changed_fails() {
    let ground = ground().await;
    let header = ground.signed(HEADER, "Hello\r\n");
    for (header, body) in [
        (header.clone(), "Hello!\r\n"),
        (header.replace("Subject: x", "Subject: y"), "Hello\r\n"),
        (header.replace("From: Alice", "From: Bob"), "Hello\r\n"),
        // Oversigned: nothing can be added either.
        (format!("Cc: eve@example.net\r\n{header}"), "Hello\r\n"),
        (format!("Content-Type: text/html\r\n{header}"), "Hello\r\n"),
    ] {
        let verdict = ground.verdict(UNLISTED, "alice@example.com", &header, body).await;
        assert_eq!(outcomes(&verdict), [Outcome::Fail; 2], "{verdict}");
        assert!(matches!(policy(&verdict), Disposition::Refuse(_)), "{verdict}");
    }
    // Folding and unsigned fields may change.
    let refolded = header.replace("Subject: x", "SUBJECT:\r\n\t x ");
    let verdict = ground.verdict(UNLISTED, "", &format!("X-New: y\r\n{refolded}"), "Hello\r\n").await;
    assert_eq!(outcomes(&verdict), [Outcome::Pass; 2], "{verdict}");
}

#[tokio::test]
async fn a_second_from_is_refused_whatever_was_signed() {
    let ground = ground().await;
    let header = ground.signed(HEADER, "");
    for from in ["From: eve@example.net\r\n", "from : eve@example.com\r\n", "From:\r\n"] {
        let verdict = ground.verdict(LISTED, "alice@example.com", &format!("{from}{header}"), "").await;
        let Disposition::Refuse(reply) = policy(&verdict) else { panic!("{from:?}: {verdict}") };
        assert!(reply.to_string().starts_with("550 5.7.1 "));
    }
}

#[tokio::test]
async fn signatures_that_are_not_taken() {
    let ground = ground().await;
    let header = ground.signed(HEADER, "Hello\r\n");
    let change = |from: &str, to: &str| header.replace(from, to);
    for (header, expected) in [
        (change("v=1; ", "v=1; l=3; "), Outcome::Policy),
        (change("v=1; a=rsa-sha256", "v=1; a=rsa-sha1"), Outcome::PermError),
        (change("v=1; ", "v=2; "), Outcome::PermError),
        (change("v=1; ", ""), Outcome::PermError),
        (change("From:From:To", "Sender:To"), Outcome::PermError),
        (change("t=1700000000", "t=1600000000; x=1650000000"), Outcome::Fail),
        (change("d=example.com", "d=-x-"), Outcome::PermError),
        (change("s=r;", "s=missing;"), Outcome::PermError),
        (change("s=r;", "s=gone;"), Outcome::PermError),
        (change("s=r;", "s=servfail;"), Outcome::TempError),
        (change("s=r;", "s=e;"), Outcome::Fail),
        (change("h=From", &format!("h={}From", "X:".repeat(300))), Outcome::PermError),
    ] {
        let verdict = ground.verdict(LISTED, "", &header, "Hello\r\n").await;
        assert_eq!(verdict.dkim[0].outcome, expected, "{header}\n{verdict}");
    }
}

/// RFC 8301 §3.2: keys below 1024 bits don't count.
#[tokio::test]
async fn a_weak_key_is_not_taken() {
    let verdict = ground().await.verdict(UNLISTED, "", WEAKLY_SIGNED, "Hello\r\n").await;
    assert_eq!(verdict.dkim[0].outcome, Outcome::Fail, "{verdict}");
    assert_ne!(verdict.dkim[0].reason, "the body was changed");
}

#[tokio::test]
async fn thousands_of_signatures_cost_ten() {
    let ground = ground().await;
    let junk = "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=r; h=from; bh=AA==; b=AA==\r\n".repeat(1900);
    let verdict = ground.verdict(LISTED, "alice@example.com", &format!("{junk}{HEADER}"), "").await;
    assert_eq!(verdict.dkim.len(), paquebot_mta::verify::dkim::SIGNATURES_MAX);
    assert!(verdict.authentication_results(&"mx.example.org".parse().unwrap()).len() < 4096);
}

#[tokio::test]
async fn spf_results() {
    let ground = ground().await;
    for (client, sender, expected) in [
        (LISTED, "a@example.com", Outcome::Pass),
        ("2001:db8::1", "a@example.com", Outcome::Pass),
        ("::ffff:192.0.2.7", "a@example.com", Outcome::Pass),
        (UNLISTED, "a@example.com", Outcome::Fail),
        (UNLISTED, "a@EXAMPLE.com.", Outcome::Fail),
        (LISTED, "a@two.example.com", Outcome::PermError),
        (LISTED, "a@through.example.com", Outcome::PermError),
        (LISTED, "a@moved.example.com", Outcome::PermError),
        (LISTED, "a@unasked.example.com", Outcome::Pass),
        (UNLISTED, "a@many.example.com", Outcome::PermError),
        (UNLISTED, "a@self.example.com", Outcome::PermError),
        (UNLISTED, "a@soft.plain.example", Outcome::SoftFail),
        (UNLISTED, "a@none.plain.example", Outcome::None),
        (UNLISTED, "a@missing.plain.example", Outcome::None),
        (UNLISTED, "a@servfail.example.com", Outcome::TempError),
        (UNLISTED, "a@[192.0.2.1]", Outcome::None),
        (UNLISTED, "a@localhost", Outcome::None),
        // The null reverse-path: postmaster at the EHLO name, mail.example.com, which has no record.
        (UNLISTED, "", Outcome::None),
    ] {
        let verdict = ground.verdict(client, sender, HEADER, "").await;
        assert_eq!(verdict.spf.outcome, expected, "{client} {sender}");
    }
    // A loop of CNAMEs ends, and vouches for nobody.
    let verdict = ground.verdict(UNLISTED, "a@loop1.example.com", HEADER, "").await;
    assert!(matches!(verdict.spf.outcome, Outcome::None | Outcome::TempError), "{verdict}");
    let check = ground.verifier.start_spf(UNLISTED.parse().unwrap(), "example.com", "");
    let verdict = ground.verifier.finish(check, HEADER.as_bytes(), &hashes(""), NOW).await;
    assert_eq!(verdict.spf.outcome, Outcome::Fail);
    let field = verdict.authentication_results(&"mx.example.org".parse().unwrap());
    assert!(field.contains("spf=fail smtp.helo=example.com"), "{field}");
}

#[tokio::test]
async fn forgers_meet_the_policy() {
    let ground = ground().await;
    for (sender, from, expected) in [
        ("a@example.com", "a@example.com", "550 5.7.1"),
        ("eve@plain.example", "a@example.com", "550 5.7.1"),
        ("a@example.com", "a@sub.example.com", "junk"),
        ("a@lax.example", "a@lax.example", "accept"),
        ("a@twice.example", "a@twice.example", "accept"),
        ("a@plain.example", "a@plain.example", "550 5.7.23"),
        ("a@soft.plain.example", "a@soft.plain.example", "junk"),
        ("a@none.plain.example", "a@none.plain.example", "accept"),
        ("a@servfail.example.com", "a@servfail.example.com", "451 4.7.0"),
    ] {
        let verdict = ground.verdict(UNLISTED, sender, &format!("From: {from}\r\n\r\n"), "").await;
        let found = match policy(&verdict) {
            Disposition::Accept => "accept".into(),
            Disposition::Junk => "junk".into(),
            Disposition::Refuse(reply) | Disposition::TryLater(reply) => reply.to_string(),
        };
        assert!(found.starts_with(expected), "{sender} {from}: {found} ({verdict})");
    }
}

#[tokio::test]
async fn silence_is_a_temporary_error_within_the_limit() {
    let ground = ground().await;
    let verifier = ground.verifier.clone().with_limit(Duration::from_millis(300));
    let header = ground.signed("From: a@silent.example.com\r\n\r\n", "").replace("s=r;", "s=silent;");
    let started = std::time::Instant::now();
    let spf = verifier.start_spf(LISTED.parse().unwrap(), "x", "a@silent.example.com");
    let verdict = verifier.finish(spf, header.as_bytes(), &hashes(""), NOW).await;
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(verdict.spf.outcome, Outcome::TempError);
    assert_eq!(verdict.dkim[0].outcome, Outcome::TempError);
    assert!(matches!(policy(&verdict), Disposition::TryLater(_)), "{verdict}");
}

#[tokio::test]
async fn look_ups_say_what_they_found() {
    let Ground { resolver, _zones, .. } = ground().await;
    let mx = async |name: &str| resolver.mx(&name.parse().unwrap()).await.to_string();
    assert_eq!(mx("example.com").await, "MX 10 mail.example.com, 20 backup.example.com");
    assert_eq!(mx("null.example.com").await, "MX 0 .");
    assert_eq!(mx("mail.example.com").await, "no MX records");
    assert_eq!(mx("missing.example.com").await, "no such name (NXDOMAIN)");
    assert!(mx("servfail.example.com").await.starts_with("MX look-up failed: "));
    let addresses = resolver.addresses("mail.example.com").await;
    assert_eq!(addresses.to_string(), "A/AAAA 192.0.2.7, 2001:db8::7");
    assert_eq!(resolver.addresses("missing.example.com").await, Answer::NoSuchName);
    assert_eq!(resolver.addresses("null.example.com").await, Answer::NoRecords);
    assert!(resolver.addresses("loop1.example.com").await.records().is_empty());
    assert_eq!(resolver.addresses("..").await, Answer::NoSuchName);
    assert_eq!(resolver.ptr(LISTED.parse().unwrap()).await.to_string(), "PTR mail.example.com");
    assert_eq!(resolver.txt("gone._domainkey.example.com").await.to_string(), "TXT \"v=DKIM1; p=\"");
}
