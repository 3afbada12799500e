//! From nothing to a directory that is served; what is said of it; what changes are refused.

use std::collections::BTreeSet;

use paquebot_mta_api::{
    admin::{self, BUCKETS, Buckets, Change, Listed},
    config::Protocol,
    directory::{AliasEntry, DkimKeyEntry, Entry, KeyAlgorithm, PrivateKey, Value},
};
use paquebot_tests::{
    mta::{Mta, entries},
    zones::Fault,
};
use uuid::Uuid;

use super::bench::*;

const SECRET: &[u8] = b"a private key that is never shown";

fn all() -> Vec<Entry> {
    let key = DkimKeyEntry {
        domain: "example.org".parse().unwrap(),
        selector: "s1".into(),
        algorithm: KeyAlgorithm::Ed25519,
        private_key: PrivateKey(SECRET.to_vec()),
    };
    entries().unwrap().into_iter().chain([Entry::new(Uuid::from_u128(9), Value::DkimKey(key))]).collect()
}

/// What RCPT says to a known and to an unknown name, and POP3 and submission to a user.
async fn said(mta: &Mta) -> Result<[String; 4], Fault> {
    let mut smtp = mta.connect(Protocol::Smtp).await?;
    smtp.reply().await?;
    smtp.say("EHLO client.example").await?;
    smtp.say("MAIL FROM:<>").await?;
    let known = smtp.say("RCPT TO:<bob@example.org>").await?;
    let unknown = smtp.say("RCPT TO:<nobody@example.org>").await?;
    let mut pop3 = mta.secure(mta.connect(Protocol::Pop3s).await?).await?;
    pop3.reply().await?;
    pop3.say("USER bob@example.org").await?;
    let login = pop3.say("PASS secret").await?;
    let submission = match mta.submit_as("bob@example.org").await {
        Ok(_) => "235".to_owned(),
        Err(reply) => reply.to_string(),
    };
    Ok([known, unknown, login, submission])
}

fn are(said: &[String; 4], wanted: [&str; 4]) {
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(said.starts_with(wanted), "{said}, not {wanted}");
    }
}

#[tokio::test]
async fn nothing_is_refused_for_good_before_the_directory_is_complete() -> Result<(), Fault> {
    let bench = Bench::start().await?;
    let (server, operator) = (bench.mta.server()?, bench.operator());
    let temporary = ["451 4.3.0 ", "451 4.3.0 ", "-ERR [SYS/TEMP] ", "454 4.7.0 "];
    let state = operator.state().await?;
    assert_eq!((state.epoch, state.revision, state.complete, state.served_revision), (0, 0, false, 0));
    assert_eq!(state.root, state.served_root);
    assert!(server.ready().await.is_err());
    are(&said(&bench.mta).await?, temporary);

    // All but the last, and not yet complete: bob is there, and still nobody is known to be unknown.
    let (mut first, last) = (all(), 1);
    let rest = first.split_off(first.len() - last);
    assert_eq!(operator.change(&put(3, 0, first)).await?, Ok(1));
    assert!(server.ready().await.is_err());
    are(&said(&bench.mta).await?, temporary);

    let complete = Change { complete: true, ..put(3, 1, rest) };
    assert_eq!(operator.change(&complete).await?, Ok(2));
    let state = operator.state().await?;
    assert_eq!((state.epoch, state.revision, state.complete, state.served_revision), (3, 2, true, 2));
    assert_eq!(server.ready().await, Ok(()));
    are(&said(&bench.mta).await?, ["250 ", "550 5.1.1 ", "+OK", "235"]);
    Ok(())
}

#[tokio::test]
async fn what_is_there_is_told_without_what_it_says() -> Result<(), Fault> {
    let (bench, all) = (Bench::start().await?, all());
    let operator = bench.operator();
    assert_eq!(operator.change(&Change { complete: true, ..put(1, 0, all.clone()) }).await?, Ok(1));
    let listed = |it: &Entry| Listed { key: it.value.key(), owner: it.owner, digest: it.digest };
    let wanted: BTreeSet<_> = all.iter().map(listed).collect();
    let digests = admin::bucket_digests(wanted.iter().cloned());
    let state = operator.state().await?;
    assert_eq!((state.root, state.served_root), (admin::root(&digests), admin::root(&digests)));
    assert_eq!(
        serde_json::from_value::<Buckets>(operator.get("/v1/directory/buckets").await?)?,
        Buckets { revision: 1, digests }
    );
    let mut found = BTreeSet::new();
    let used: BTreeSet<_> = wanted.iter().map(|it| admin::bucket(&it.key)).chain([0, BUCKETS - 1]).collect();
    for bucket in used {
        let bucket = operator.bucket(&format!("/v1/directory/buckets/{bucket}")).await?;
        assert_eq!(bucket.revision, 1);
        found.extend(bucket.entries);
    }
    assert_eq!(found, wanted);
    let domains = operator.bucket("/v1/directory/domains").await?;
    assert_eq!(domains.entries.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["domain/example.org"]);
    Ok(())
}

#[tokio::test]
async fn a_change_that_does_not_fit_changes_nothing() -> Result<(), Fault> {
    let (bench, all) = (Bench::start().await?, all());
    let operator = bench.operator();
    let complete = Change { complete: true, ..put(5, 0, all.clone()) };
    assert_eq!(operator.change(&complete).await?, Ok(1));
    let before = operator.state().await?;
    let theirs = |entry: &Entry| Entry { owner: Uuid::from_u128(666), ..entry.clone() };
    let alias = AliasEntry { address: "bob@example.org".parse()?, to: vec!["eve@evil.example".parse()?] };
    let alias = Entry::new(Uuid::from_u128(666), Value::Alias(alias));
    let key = |number| format!("domain/d{number}.example");
    for (change, status, reason) in [
        (put(4, 1, all.clone()), 409, "Fenced"),
        (put(5, 0, all.clone()), 409, "Moved"),
        (put(5, 2, all.clone()), 409, "Moved"),
        (put(9, 1, vec![theirs(&all[0])]), 409, "Owned"),
        (put(9, 1, vec![theirs(&all[1])]), 409, "Owned"),
        (put(9, 1, vec![alias]), 409, "Owned"),
        (put(9, 1, vec![all[0].clone(), all[0].clone()]), 409, "Invalid"),
        (put(9, 1, vec![Entry { digest: Default::default(), ..all[0].clone() }]), 409, "Invalid"),
        (Change { delete: (0..1001).map(key).collect(), ..put(9, 1, vec![]) }, 413, "Invalid"),
    ] {
        let refused = Err((status, reason.to_owned()));
        assert_eq!(operator.change(&change).await?, refused, "{change:?}");
        assert_eq!(operator.state().await?, before, "{change:?}");
    }
    // The owner is gone: its name is freed in the same change, and the new one's is served at once.
    let taken = Change { delete: vec![all[0].value.key()], ..put(9, 1, vec![theirs(&all[0])]) };
    assert_eq!(operator.change(&taken).await?, Ok(2));
    let state = operator.state().await?;
    assert_eq!((state.epoch, state.served_revision, state.served_root), (9, 2, state.root));
    let domains = operator.bucket("/v1/directory/domains").await?;
    assert_eq!(domains.entries[0].owner, Uuid::from_u128(666));
    Ok(())
}

#[tokio::test]
async fn the_metrics_say_what_is_served() -> Result<(), Fault> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bench = Bench::start().await?;
    let operator = bench.operator();
    operator.change(&Change { complete: true, ..put(1, 0, all()) }).await?.unwrap();
    operator.change(&put(0, 1, vec![])).await?.unwrap_err();
    let mut stream = tokio::net::TcpStream::connect(bench.mta.server()?.metrics_address().unwrap()).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    for line in [
        "paquebot_directory_revision 1",
        "paquebot_directory_entries 6",
        "paquebot_directory_unreadable_entries 0",
        "paquebot_admin_requests_total{result=\"ok\"} 1",
        "paquebot_admin_requests_total{result=\"fenced\"} 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    Ok(())
}
