//! Each name is asked once: the checks share one cache; keys and policy are asked for before the body has come.

use std::time::Duration;

use paquebot_mta::{
    dns::{Answer, Resolver},
    message::canonical::BodyHasher,
    time::Micros,
    verify::{Outcome, Verifier},
};
use paquebot_mta_api::address::Domain;
use paquebot_tests::zones::Zones;

const ZONE: &str = "@ 60 IN TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n_dmarc 60 IN TXT \"v=DMARC1; p=reject\"\n\
    k._domainkey 60 IN TXT \"v=DKIM1; k=rsa; p=\"\n";
const HEADER: &[u8] = b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=k; h=from;\r\n \
    bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\nFrom: alice@example.com\r\n\r\n";

#[tokio::test]
async fn the_second_message_asks_nothing() {
    let zones = Zones::serve(&[("example.com.", ZONE)]).await.unwrap();
    let verifier = Verifier::new(Resolver::new(&[zones.address]).unwrap(), "mx.example.org".parse::<Domain>().unwrap());
    let mut asked = Vec::new();
    for _ in 0..2 {
        let spf = verifier.start_spf("192.0.2.1".parse().unwrap(), "mail.example.com", "alice@example.com");
        let hashes = BodyHasher::default().finish();
        let verdict = verifier.finish(spf, HEADER, &hashes, Micros::now()).await;
        assert_eq!(verdict.dmarc.outcome, Outcome::Pass, "{verdict}");
        assert_eq!(verdict.dkim[0].outcome, Outcome::PermError, "{verdict}");
        asked.push(zones.asked());
    }
    // SPF, the key, _dmarc.example.com, _dmarc.com.
    assert_eq!(asked, [4, 4]);
}

#[tokio::test]
async fn look_ups_start_with_the_header() {
    let zones = Zones::serve(&[("example.com.", ZONE)]).await.unwrap();
    let resolver = Resolver::new(&[zones.address]).unwrap();
    let verifier = Verifier::new(resolver.clone(), "mx.example.org".parse::<Domain>().unwrap());
    let look_ups = verifier.start_look_ups(HEADER);
    let both = async {
        while zones.asked() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), both).await.unwrap();
    for name in ["k._domainkey.example.com", "_dmarc.example.com"] {
        assert_eq!(resolver.txt(name).await.records().len(), 1, "{name}");
    }
    drop(look_ups);
}

#[tokio::test]
async fn many_at_once_are_all_answered() {
    let zones = Zones::serve(&[("example.com.", "* 60 IN A 192.0.2.1\n")]).await.unwrap();
    let resolver = Resolver::new(&[zones.address]).unwrap();
    let look_ups = (0..400).map(|n| {
        let resolver = resolver.clone();
        async move { resolver.addresses(&format!("h{n}.example.com")).await }
    });
    for answer in futures::future::join_all(look_ups).await {
        assert_eq!(answer, Answer::Records(vec!["192.0.2.1".parse().unwrap()]));
    }
}

#[tokio::test]
async fn a_long_txt_record_comes_whole() {
    let part = "x".repeat(250);
    let zone = format!("long 60 IN TXT {}\n", format!("\"{part}\" ").repeat(20));
    let zones = Zones::serve(&[("example.com.", &zone)]).await.unwrap();
    let resolver = Resolver::new(&[zones.address]).unwrap();
    let answer = resolver.txt("long.example.com").await;
    assert_eq!(answer.records().first().map(|txt| txt.0.len()), Some(5000), "by TCP, strings joined");
}
