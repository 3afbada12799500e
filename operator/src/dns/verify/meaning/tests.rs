//! What a receiver understands: each kind of wrongness of texts (SPF, DMARC, DKIM), and what is said of it.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

/// State, then a word of what is said.
fn told(wanted: &str, texts: &[&str]) -> String {
    let values: Vec<Value> = texts.iter().map(|text| Value::Txt(text.as_bytes().to_vec())).collect();
    let wanted = Data::Txt(wanted.to_owned());
    let verdict = judge(&wanted, &[&wanted], &values, None);
    assert_eq!(verdict.what.is_none(), matches!(verdict.state, State::Verified | State::Missing), "{verdict:?}");
    format!("{}: {}", verdict.state.text(), verdict.what.unwrap_or_default())
}

fn table(cases: &[(&str, &[&str], &str)]) {
    for (wanted, texts, expected) in cases {
        let said = told(wanted, texts);
        let (state, word) = expected.split_once(' ').unwrap_or((expected, ""));
        assert!(
            said.starts_with(&format!("{state}:")) && said.contains(word),
            "{wanted}\n{texts:?}\n{said}\n{expected}"
        );
    }
}

const SPF: &str = "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net -all";

#[test]
fn spf() {
    table(&[
        (SPF, &[SPF], "Verified"),
        // The same in other words.
        (SPF, &["v=spf1 include:_spf.example.net ip6:2001:db8::10 ip4:192.0.2.10 -all"], "Verified"),
        (SPF, &["V=SPF1  IP4:192.0.2.10/32   ip6:2001:DB8:0::10/128 +include:_SPF.Example.NET. -ALL"], "Verified"),
        (SPF, &["v=spf1 ip4:192.0.2.10 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net -all"], "Verified"),
        (
            SPF,
            &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net -all exp=why.example.com"],
            "Verified",
        ),
        (SPF, &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net foo=bar -all"], "Verified"),
        // What stands after all is never reached.
        (SPF, &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net -all ip4:203.0.113.1"], "Verified"),
        (SPF, &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net -all redirect=x.example"], "Verified"),
        // Texts of others beside it.
        (SPF, &["google-site-verification=x", SPF, "v=spf10 is another version", "spf2.0/pra -all"], "Verified"),
        // Part of what is wanted anyway.
        ("v=spf1 ip4:192.0.2.0/24 -all", &["v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.7 -all"], "Verified"),
        ("v=spf1 ip4:192.0.2.7/24 -all", &["v=spf1 ip4:192.0.2.0/24 -all"], "Verified"),
        // Not there.
        (SPF, &[], "Missing"),
        (SPF, &["v=spf2 -all", "hello"], "Missing"),
        (SPF, &["v=DMARC1; p=none"], "Missing"),
        // More than one.
        (SPF, &[SPF, SPF], "Conflicting 2 SPF records"),
        (SPF, &[SPF, "v=spf1 include:other.example -all", "v=spf1"], "Conflicting 3 SPF records"),
        // Somebody cannot send.
        (SPF, &["v=spf1 ip6:2001:db8::10 include:_spf.example.net -all"], "Different ip4:192.0.2.10 is not in it"),
        (SPF, &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all"], "Different include:_spf.example.net is not in it"),
        (
            SPF,
            &["v=spf1 ip4:192.0.2.11 ip6:2001:db8::10 include:_spf.example.net -all"],
            "Different ip4:192.0.2.11 lets others",
        ),
        (SPF, &["v=spf1 -all"], "Different ip4:192.0.2.10 is not in it; ip6:2001:db8::10 is not in it"),
        (
            SPF,
            &["v=spf1 -all ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net"],
            "Different ip4:192.0.2.10 is not in it",
        ),
        (
            SPF,
            &["v=spf1 -ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net -all"],
            "Different ip4:192.0.2.10 is not",
        ),
        (
            SPF,
            &["v=spf1 ?ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net -all"],
            "Different ip4:192.0.2.10 is not",
        ),
        // Others can.
        (
            SPF,
            &["v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::10 include:_spf.example.net -all"],
            "Different ip4:192.0.2.0/24 lets others",
        ),
        (SPF, &["v=spf1 mx ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net -all"], "Different mx lets others"),
        (
            SPF,
            &["v=spf1 a/24 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net -all"],
            "Different a/24 lets others",
        ),
        (
            SPF,
            &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net include:x.example -all"],
            "Different spec.spf",
        ),
        (
            SPF,
            &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net ~mx -all"],
            "Different ~mx is more than wanted",
        ),
        // Everyone else.
        (
            SPF,
            &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net ~all"],
            "Different ends in ~all, -all is wanted",
        ),
        (
            SPF,
            &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net +all"],
            "Different lets everyone send",
        ),
        (SPF, &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net all"], "Different lets everyone send"),
        (
            SPF,
            &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net"],
            "Different says nothing of everyone else",
        ),
        (
            SPF,
            &["v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 include:_spf.example.net redirect=x.example"],
            "Different goes on at x.example",
        ),
        // Errors.
        (SPF, &["v=spf1 ip4:192.0.2.300 -all"], "Different permerror): ip4:192.0.2.300 is no IPv4 network"),
        (SPF, &["v=spf1 ip4:2001:db8::10 -all"], "Different is no IPv4 network"),
        (SPF, &["v=spf1 ip4:192.0.2.10, ip6:2001:db8::10 -all"], "Different ip4:192.0.2.10, is no IPv4"),
        (SPF, &["v=spf1 ipv4:192.0.2.10 -all"], "Different ipv4:192.0.2.10 is no SPF term"),
        (SPF, &["v=spf1 include: _spf.example.net -all"], "Different include: names no domain"),
        (SPF, &["\"v=spf1 ip4:192.0.2.10 -all\""], "Different quotation marks"),
        (SPF, &[" v=spf1 ip4:192.0.2.10 -all"], "Different white space"),
        (SPF, &["v=spf1ip4:192.0.2.10 -all"], "Different look at how it begins"),
        (SPF, &["v = spf1 ip4:192.0.2.10 -all"], "Different look at how it begins"),
    ]);
}

const DMARC: &str = "v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@example.com,mailto:d@reports.example; ruf=mailto:f@example.com; fo=d:s";

#[test]
fn dmarc() {
    table(&[
        (DMARC, &[DMARC], "Verified"),
        (
            DMARC,
            &[
                "v=DMARC1;p=reject;sp=quarantine;rua=mailto:d@reports.example,mailto:d@example.com;ruf=mailto:f@example.com;fo=s:d;",
            ],
            "Verified",
        ),
        (
            DMARC,
            &[
                "v = DMARC1 ; p = Reject; fo=d:s; sp=QUARANTINE; ruf=MAILTO:f@Example.com; rua=mailto:d@example.com!10m , mailto:d@reports.example; adkim=r; aspf=r; pct=100; ri=3600; x=y",
            ],
            "Verified",
        ),
        ("v=DMARC1; p=none", &["v=DMARC1; p=none; fo=1"], "Verified"),
        ("v=DMARC1; p=none", &["hello", "v=DMARC1; p=none", "v=spf1 -all"], "Verified"),
        ("v=DMARC1; p=reject; sp=reject", &["v=DMARC1; p=reject"], "Verified"),
        ("v=DMARC1; p=reject", &["v=DMARC1; p=reject; sp=reject; np=reject"], "Verified"),
        ("v=DMARC1; p=none", &[], "Missing"),
        ("v=DMARC1; p=none", &["v=spf1 -all"], "Missing"),
        ("v=DMARC1; p=none", &["p=none; v=DMARC1"], "Missing"),
        ("v=DMARC1; p=none", &["v=DMARC1; p=none", "v=DMARC1; p=none;"], "Conflicting 2 DMARC records"),
        ("v=DMARC1; p=none", &["v=DMARC1; p=reject"], "Different p=reject, p=none is wanted"),
        ("v=DMARC1; p=none", &["v=DMARC1; p=nothing"], "Different p=nothing is no policy"),
        ("v=DMARC1; p=none", &["v=DMARC1"], "Different has no p="),
        ("v=DMARC1; p=reject", &["v=DMARC1; p=reject; sp=none"], "Different sp=none, sp=reject is wanted"),
        ("v=DMARC1; p=reject; sp=none", &["v=DMARC1; p=reject"], "Different sp=reject, sp=none is wanted"),
        ("v=DMARC1; p=reject", &["v=DMARC1; p=reject; np=none"], "Different np=none, np=reject is wanted"),
        ("v=DMARC1; p=reject", &["v=DMARC1; p=reject; pct=50"], "Different pct=50, pct=100 is wanted"),
        ("v=DMARC1; p=reject", &["v=DMARC1; p=reject; t=y"], "Different t=y"),
        ("v=DMARC1; p=reject", &["v=DMARC1; p=reject; adkim=s"], "Different adkim=s, adkim=r is wanted"),
        ("v=DMARC1; p=reject", &["v=DMARC1; p=reject; aspf=s"], "Different aspf=s"),
        (
            "v=DMARC1; p=none; rua=mailto:a@example.com",
            &["v=DMARC1; p=none"],
            "Different mailto:a@example.com is not in rua=",
        ),
        ("v=DMARC1; p=none", &["v=DMARC1; p=none; rua=mailto:x@other.example"], "Different spec.dmarc.rua"),
        (
            "v=DMARC1; p=none; rua=mailto:a@example.com",
            &["v=DMARC1; p=none; rua=a@example.com"],
            "Different mailto:a@example.com is not in rua=",
        ),
        (
            "v=DMARC1; p=none; ruf=mailto:a@example.com",
            &["v=DMARC1; p=none; ruf=mailto:a@example.com; fo=1"],
            "Different fo=1, fo=0 is wanted",
        ),
        ("v=DMARC1; p=none", &["v=DMARC1, p=none"], "Different look at how it begins"),
        ("v=DMARC1; p=none", &["v=DMARC1\\; p=none"], "Different look at how it begins"),
        ("v=DMARC1; p=none", &["v=DMARC1; p=none; p=reject"], "Different p is there twice"),
        ("v=DMARC1; p=none", &["v=DMARC1; p none"], "Different no tag=value"),
        ("v=DMARC1; p=none", &["v=dmarc1; p=none"], "Different look at how it begins"),
        ("v=DMARC1; p=none", &["\u{201c}v=DMARC1; p=none\u{201d}"], "Different quotation marks"),
        // The word of a domain that takes reports, also by a wildcard.
        ("v=DMARC1", &["v=DMARC1"], "Verified"),
        ("v=DMARC1", &["v=DMARC1; rua=mailto:other@example.net"], "Verified"),
        ("v=DMARC1", &["v=DMARC2"], "Missing"),
    ]);
}

/// An RSA key of 2048 bits as SubjectPublicKeyInfo (the modulus does not matter), and its RSAPublicKey.
fn rsa() -> (String, String) {
    let mut inner = vec![0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
    inner.extend((0..=255_u8).map(|octet| octet.wrapping_mul(151) | 1));
    inner.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    let mut whole = vec![0x30, 0x82, 0x01, 0x22, 0x30, 0x0d];
    whole.extend([0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]);
    whole.extend([0x03, 0x82, 0x01, 0x0f, 0x00]);
    whole.extend(&inner);
    (STANDARD.encode(whole), STANDARD.encode(inner))
}

#[test]
fn dkim() {
    let (key, raw) = rsa();
    let wanted = format!("v=DKIM1; k=rsa; h=sha256; p={key}");
    let ed = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let mut wrapped = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    wrapped.extend(STANDARD.decode(ed).unwrap());
    let mut other = wrapped.clone();
    *other.last_mut().unwrap() ^= 1;
    let wanted_ed = format!("v=DKIM1; k=ed25519; h=sha256; p={ed}");
    let spaced: String = key.as_bytes().chunks(60).map(|it| String::from_utf8_lossy(it) + " \t").collect();
    let cut = key.get(..230).unwrap();
    let cases = [
        // The same in other words.
        (&wanted, vec![wanted.clone()], "Verified"),
        (&wanted, vec![format!("p={key}")], "Verified"),
        (&wanted, vec![format!("v=DKIM1;p={key};k=rsa;n=a note;t=s;s=email;x=y;")], "Verified"),
        (&wanted, vec![format!("  v = DKIM1 ; k = RSA ; h = sha1 : SHA256 ; s=* ; p = {spaced}")], "Verified"),
        (&wanted, vec![format!("v=DKIM1; p={}", key.trim_end_matches('='))], "Verified"),
        (&wanted_ed, vec![format!("k=ed25519; p={ed}")], "Verified"),
        (&wanted_ed, vec![format!("v=DKIM1; k=ed25519; p={}", ed.trim_end_matches('='))], "Verified"),
        // Not there, or twice.
        (&wanted, vec![], "Missing"),
        (&wanted, vec![wanted.clone(), format!("v=DKIM1; p={raw}")], "Conflicting 2 texts at this selector"),
        // Another key, or none.
        (&wanted, vec!["v=DKIM1; k=rsa; p=".to_owned()], "Different the key is revoked"),
        (&wanted, vec!["v=DKIM1; k=rsa".to_owned()], "Different it has no p="),
        (&wanted, vec![format!("v=DKIM1; k=rsa; p={}", key.replacen("AQ", "AR", 1))], "Different p= is another key"),
        (&wanted, vec!["v=spf1 -all".to_owned()], "Different it has no p="),
        (&wanted, vec!["hello".to_owned()], "Different no tag=value"),
        // Spoiled on the way.
        (&wanted, vec![format!("v=DKIM1; k=rsa; p={cut}")], "Different cut short after 230 of"),
        (&wanted, vec![format!("v=DKIM1; k=rsa; p={}", key.to_lowercase())], "Different letters of the key"),
        (&wanted, vec![format!("v=DKIM1; k=rsa; p={cut}\" \"{}", key.get(230..).unwrap())], "Different not base64"),
        (&wanted, vec![format!("\"{wanted}\"")], "Different quotation mark"),
        (&wanted, vec![wanted.replace(';', "\\;")], "Different backslashes"),
        (&wanted, vec![wanted.replace(';', "")], "Different v=DKIM1 k=rsa"),
        (&wanted, vec![format!("{wanted}; p={key}")], "Different p is there twice"),
        (&wanted, vec![format!("v=DKIM1; k=rsa; p={raw}")], "Different RSAPublicKey"),
        // Its tags.
        (&wanted, vec![format!("v=DKIM1; k=ed25519; p={key}")], "Different k=ed25519, k=rsa is wanted"),
        (&wanted, vec![format!("v=DKIM2; p={key}")], "Different v=DKIM2"),
        (&wanted, vec![format!("k=rsa; v=DKIM1; p={key}")], "Different has to come first"),
        (&wanted, vec![format!("v=DKIM1; h=sha1; p={key}")], "Different leaves out sha256"),
        (&wanted, vec![format!("v=DKIM1; t=y; p={key}")], "Different being tested"),
        (&wanted, vec![format!("v=DKIM1; t=s:y; p={key}")], "Different being tested"),
        (&wanted, vec![format!("v=DKIM1; s=other; p={key}")], "Different leaves out email"),
        // Ed25519.
        (
            &wanted_ed,
            vec![format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(&wrapped))],
            "Different the key as a SubjectPublicKeyInfo of 44 octets",
        ),
        (
            &wanted_ed,
            vec![format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(&other))],
            "Different another key as a SubjectPublicKeyInfo",
        ),
        (&wanted_ed, vec![format!("v=DKIM1; p={ed}")], "Different k=rsa, k=ed25519 is wanted"),
    ];
    for (wanted, texts, expected) in cases {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        table(&[(wanted, &texts, expected)]);
    }
}

#[test]
fn other_texts() {
    table(&[
        ("hello", &["a", "hello"], "Verified"),
        ("hello", &[], "Missing"),
        ("hello", &["Hello"], "Different another text"),
    ]);
}

#[test]
fn only_so_much_is_told() {
    let many: String = (0..200).map(|n| format!("include:{}.example ", "x".repeat(n))).collect();
    let said = told(SPF, &[&format!("v=spf1 {many}-all")]);
    assert!(said.contains("more differences") && said.len() < 2_000, "{said}");
}
