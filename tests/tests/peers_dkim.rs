//! DKIM against python3-dkim (Debian): it verifies our signatures on awkward bodies, and we verify its own.

use std::{io::Write, process::Command};

use aws_lc_rs::{
    encoding::{AsBigEndian, AsDer, Curve25519SeedBin, Pkcs8V1Der},
    rsa::{KeyPair as RsaPair, KeySize},
    signature::Ed25519KeyPair,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use paquebot_mta::{
    dns::Resolver,
    message::canonical::{BodyHasher, BodyHashes},
    sign::{SigningKey, field},
    time::Micros,
    verify::{Outcome, Verifier},
};
use paquebot_mta_api::{
    address::Domain,
    directory::{DkimKeyEntry, KeyAlgorithm, PrivateKey},
};
use paquebot_tests::zones::Zones;

const PYTHON: &str = "/usr/bin/python3";

/// Reads `key seed` and files from a folder; verifies `N.ours`, writes `N.C.peer` for each of four canonical forms.
const PEER: &str = r#"
import base64, glob, os, sys, dkim
folder, rsa, ed, seed = sys.argv[1:]
keys = {b"r": b"v=DKIM1; k=rsa; p=" + rsa.encode(), b"e": b"v=DKIM1; k=ed25519; p=" + ed.encode()}
lookup = lambda name, timeout=5: keys[name.split(b".")[0]]
pem = open(folder + "/rsa.pem", "rb").read()
bad = 0
for path in sorted(glob.glob(folder + "/*.ours")):
    verifier = dkim.DKIM(open(path, "rb").read())
    for index in (0, 1):
        try: good = verifier.verify(idx=index, dnsfunc=lookup)
        except dkim.DKIMException as error: good = error
        if good is not True:
            bad += 1
            print("signature", index, "of", os.path.basename(path), "is not valid:", good)
for path in glob.glob(folder + "/*.text"):
    text = open(path, "rb").read()
    for form in ("simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"):
        options = dict(canonicalize=tuple(form.encode().split(b"/")), include_headers=[b"from", b"to", b"subject", b"from"])
        a = dkim.sign(text, b"r", b"example.com", pem, **options)
        b = dkim.sign(text, b"e", b"example.com", seed.encode(), signature_algorithm=b"ed25519-sha256", **options)
        open(path[:-5] + "." + form.replace("/", "-") + ".peer", "wb").write(a + b + text)
sys.exit(1 if bad else 0)
"#;

const HEADERS: [&str; 3] = [
    "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: x\r\n\r\n",
    "FROM:Alice\t <alice@example.com>  \r\nTo: bob@example.org,\r\n\tcarol@example.org\r\nsubject:   a \t b\r\n  c \r\n\
     MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=utf-8\r\n\r\n",
    "Received: from a\r\n\tby b; Thu, 1 Jan 1970 00:00:00 +0000\r\nFrom: alice@example.com\r\nTo: a@b.example\r\n\
     To: c@d.example\r\nSubject:\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <x@example.com>\r\n\r\n",
];

/// Bodies end with CRLF or are empty: SMTP delivers nothing else.
fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        "",
        "\r\n",
        "\r\n\r\n\r\n",
        " \r\n",
        "\t\r\n \r\n\r\n",
        "Hello\r\n",
        "Hello  world \t\r\nsecond\r\n",
        "Hello\r\n \r\n\t\r\n",
        "Hello\r\n\r\n\r\n\r\n",
        " leading\r\n\ttab\r\n",
        ".\r\n..\r\n. dot\r\n",
        "8 bit: \u{fc}\u{20ac} \r\n",
        "a\r\n\r\n\r\nb\r\n \t \r\n",
    ]
    .map(|body| body.as_bytes().to_vec())
    .to_vec();
    bodies.push([&[0xff, 0x80, b' ', b'\t', 0xfe][..], b"\r\n"].concat());
    bodies.push([b"x".repeat(20_000), b" \r\n".to_vec()].concat());
    bodies.push([b" ".repeat(9_000), b"x\r\n".to_vec(), b"y \t\r\n".repeat(3_000)].concat());
    bodies
}

struct Keys {
    rsa: SigningKey,
    ed25519: SigningKey,
    rsa_pem: String,
    rsa_public: String,
    ed25519_public: String,
    seed: String,
}

fn keys() -> Keys {
    let parse = |algorithm, selector: &str, der: Vec<u8>| {
        let domain = "example.com".parse().unwrap();
        let private_key = PrivateKey(der);
        SigningKey::parse(&DkimKeyEntry { domain, selector: selector.into(), algorithm, private_key }).unwrap()
    };
    let pair = RsaPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec();
    let lines: String = STANDARD
        .encode(&der)
        .as_bytes()
        .chunks(64)
        .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
        .collect();
    let rsa = parse(KeyAlgorithm::Rsa, "r", der);
    let pair = Ed25519KeyPair::generate().unwrap();
    let seed = AsBigEndian::<Curve25519SeedBin<'_>>::as_be_bytes(&pair.seed().unwrap()).unwrap();
    let ed25519 = parse(KeyAlgorithm::Ed25519, "e", pair.to_pkcs8().unwrap().as_ref().to_vec());
    Keys {
        rsa_pem: format!("-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\n"),
        rsa_public: STANDARD.encode(rsa.public_key()),
        ed25519_public: STANDARD.encode(ed25519.public_key()),
        seed: STANDARD.encode(seed.as_ref()),
        rsa,
        ed25519,
    }
}

fn hashes(body: &[u8]) -> BodyHashes {
    let mut hasher = BodyHasher::default();
    body.chunks(777).for_each(|part| hasher.feed(part));
    hasher.finish()
}

fn peer(folder: &std::path::Path, keys: &Keys) {
    std::fs::write(folder.join("rsa.pem"), &keys.rsa_pem).unwrap();
    let probe = Command::new(PYTHON).args(["-c", "import dkim, nacl"]).output();
    assert!(
        probe.as_ref().is_ok_and(|output| output.status.success()),
        "python3-dkim is missing: apt-get install python3-dkim python3-nacl"
    );
    let output = Command::new(PYTHON)
        .args(["-c", PEER])
        .arg(folder)
        .args([&keys.rsa_public, &keys.ed25519_public, &keys.seed])
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

async fn verifier(keys: &Keys) -> (Zones, Verifier) {
    let quoted = |record: String| -> String {
        record.as_bytes().chunks(200).map(|part| format!("\"{}\" ", std::str::from_utf8(part).unwrap())).collect()
    };
    let zone = format!(
        "r._domainkey 60 IN TXT {}\ne._domainkey 60 IN TXT {}\n",
        quoted(format!("v=DKIM1; k=rsa; p={}", keys.rsa_public)),
        quoted(format!("v=DKIM1; k=ed25519; p={}", keys.ed25519_public)),
    );
    let zones = Zones::serve(&[("example.com.", &zone)]).await.unwrap();
    let resolver = Resolver::new(&[zones.address]).unwrap();
    (zones, Verifier::new(resolver, "mx.example.org".parse::<Domain>().unwrap()))
}

#[tokio::test]
async fn each_verifies_the_others_signatures() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys();
    let now = Micros::now();
    for (h, header) in HEADERS.iter().enumerate() {
        for (b, body) in bodies().iter().enumerate() {
            let text = [header.as_bytes(), body].concat();
            std::fs::write(folder.path().join(format!("{h}-{b}.text")), &text).unwrap();
            let mut ours = std::fs::File::create(folder.path().join(format!("{h}-{b}.ours"))).unwrap();
            for key in [&keys.rsa, &keys.ed25519] {
                let signature = field::sign(header.as_bytes(), &hashes(body).relaxed, key, now).unwrap();
                ours.write_all(signature.as_bytes()).unwrap();
            }
            ours.write_all(&text).unwrap();
        }
    }
    peer(folder.path(), &keys);

    let (_zones, verifier) = verifier(&keys).await;
    let mut verified = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "peer") {
            continue;
        }
        let message = std::fs::read(&path).unwrap();
        let end = message.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let (header, body) = message.split_at(end);
        let spf = verifier.start_spf("192.0.2.1".parse().unwrap(), "x.example", "");
        let verdict = verifier.finish(spf, header, &hashes(body), now).await;
        let outcomes: Vec<Outcome> = verdict.dkim.iter().map(|signature| signature.outcome).collect();
        assert_eq!(outcomes, [Outcome::Pass; 2], "{}: {verdict}", path.display());
        verified += 1;
    }
    assert_eq!(verified, HEADERS.len() * bodies().len() * 4);
}
