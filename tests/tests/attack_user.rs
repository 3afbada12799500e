//! Attacks on logins, and by those who are logged in: guessing, telling users apart, sending as others, telling of Bcc.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use paquebot_mta_api::config::Protocol;
use paquebot_tests::{
    mta::{Mta, Talk},
    zones::Fault,
};
use tokio::net::TcpStream;

type Secured = Talk<tokio_rustls::client::TlsStream<TcpStream>>;

async fn submission(mta: &Mta) -> Result<Secured, Fault> {
    let mut talk = mta.secure(mta.connect(Protocol::Submissions).await?).await?;
    talk.reply().await?;
    talk.say("EHLO client.example").await?;
    Ok(talk)
}

fn plain(authzid: &str, name: &str, password: &str) -> String {
    format!("AUTH PLAIN {}", STANDARD.encode(format!("{authzid}\0{name}\0{password}")))
}

#[tokio::test]
async fn a_user_sends_as_nobody_else() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut talk = mta.submit_as("bob@example.org").await?;
    let mut sent = 0;
    for (header, taken) in [
        ("From: bob@example.org", true),
        ("From: BOB@EXAMPLE.ORG", true),
        ("From: Bob (the (real) one) <bob@example.org>", true),
        ("From: =?utf-8?q?carol=40example.org?= <bob@example.org>", true),
        ("From: team: bob@example.org, info@example.org;", true),
        ("from :\r\n\tbob@example.org", true),
        ("From: carol@example.org", false),
        ("From: bob@example.org, carol@example.org", false),
        ("From: team: bob@example.org; carol@example.org", false),
        ("From: team: carol@example.org;", false),
        ("From: bob@example.org\r\nFrom: carol@example.org", false),
        ("From: bob@example.org\r\nfrom : carol@example.org", false),
        ("From: bob@example.org\r\nFr\u{1}om: carol@example.org", false),
        ("From: bob@example.org\r\nFrom\u{a0}: carol@example.org", false),
        (" From: carol@example.org\r\nFrom: bob@example.org", false),
        ("From: bob@example.org\r\n <carol@example.org>", false),
        ("From: bob@example.org <carol@example.org>", false),
        ("From: carol@example.org <bob@example.org>", false),
        ("From: (bob@example.org) carol@example.org", false),
        ("From: \"bob@example.org\" <carol@example.org>", false),
        ("From: carol@example.org(<bob@example.org>)", false),
        ("From: <@example.org:carol@example.org>", false),
        ("From: =?utf-8?q?bob=40example.org?=", false),
        ("From: =?utf-8?b?Ym9iQGV4YW1wbGUub3Jn?= <carol@example.org>", false),
        ("From: \"bob\\\"\" <carol@example.org>", false),
        ("From: \"bob@example.org\"@elsewhere.example", false),
        ("From: bоb@example.org", false),
        ("From: bob@examplе.org", false),
        ("From: bob@example.org.", true),
        ("From: bob@example.org\0", false),
        ("From: bob@[127.0.0.1]", false),
        ("From:", false),
        ("From: undisclosed-senders:;", false),
        ("Subject: none", false),
        ("From: bob@example.org\r\nSender: carol@example.org", false),
        ("From: bob@example.org\r\nSender: bob@example.org\r\nSender: carol@example.org", false),
        ("From: bob@example.org\r\nSender: ", false),
        ("From: bob@example.org\r\nSender: x <info@example.org>", true),
    ] {
        let reply =
            talk.mail("bob@example.org", "carol@example.org", &format!("{header}\r\nSubject: x\r\n\r\nhello")).await?;
        assert_eq!(reply.starts_with("250"), taken, "{header:?}: {reply}");
        assert!(taken || reply.starts_with("550 5.7.1"), "{header:?}: {reply}");
        sent += usize::from(taken);
        if !taken {
            // Refusals add up to the end of a session.
            talk = mta.submit_as("bob@example.org").await?;
        }
    }
    let mut stored = Vec::new();
    while stored.len() < sent {
        stored = mta.stored(3, "INBOX").await?;
    }
    assert_eq!(stored.len(), sent);
    Ok(())
}

#[tokio::test]
async fn a_blind_recipient_is_named_to_nobody() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut talk = mta.submit_as("bob@example.org").await?;
    for line in ["MAIL FROM:<bob@example.org>", "RCPT TO:<carol@example.org>", "RCPT TO:<info@example.org>", "DATA"] {
        talk.say(line).await?;
    }
    let header = "From: bob@example.org\r\nTo: carol@example.org\r\nBCC :\r\n info@example.org\r\nResent-Bcc: info@example.org\r\nbcc: info@example.org";
    assert!(talk.say(&format!("{header}\r\n\r\nhello\r\n.")).await?.starts_with("250"));
    let stored = mta.stored(3, "INBOX").await?.concat();
    assert!(stored.contains("To: carol@example.org"), "{stored}");
    assert!(!stored.contains("info@"), "{stored}");
    Ok(())
}

/// What a client is told of a login that fails, all exchanges and protocols; the nonce taken out.
async fn failed_login(mta: &Mta, name: &str) -> Result<Vec<String>, Fault> {
    let mut said = Vec::new();
    let mut talk = submission(mta).await?;
    said.push(talk.say(&plain("", name, "wrong")).await?);
    said.push(talk.say("AUTH LOGIN").await?);
    said.push(talk.say(&STANDARD.encode(name)).await?);
    said.push(talk.say(&STANDARD.encode("wrong")).await?);
    said.push(talk.say(&format!("VRFY {name}")).await?);
    said.push(talk.say(&format!("EXPN {name}")).await?);
    let mut talk = submission(mta).await?;
    let nonce = "rOprNGfwEbeRWgbNEkqO";
    let first = talk.say(&format!("AUTH SCRAM-SHA-256 {}", STANDARD.encode(format!("n,,n={name},r={nonce}")))).await?;
    let challenge = STANDARD.decode(first.trim().strip_prefix("334 ").ok_or(first.clone())?)?;
    let challenge = String::from_utf8(challenge)?;
    let whole_nonce = challenge.split(',').next().unwrap_or_default().to_owned();
    let iterations = challenge.rsplit(',').next().unwrap_or_default().to_owned();
    let salt_octets = challenge.split(',').nth(1).map(str::len);
    assert!(whole_nonce.starts_with(&format!("r={nonce}")) && whole_nonce.len() > nonce.len() + 20, "{challenge}");
    said.push(format!("{iterations} {salt_octets:?}"));
    let proof = STANDARD.encode(format!("c=biws,{whole_nonce},p={}", STANDARD.encode([7; 32])));
    said.push(talk.say(&proof).await?);
    let mut pop = mta.secure(mta.connect(Protocol::Pop3s).await?).await?;
    pop.reply().await?;
    said.push(pop.say(&format!("USER {name}")).await?);
    said.push(pop.say("PASS wrong").await?);
    Ok(said)
}

#[tokio::test]
async fn a_failed_login_does_not_tell_whether_the_user_exists() -> Result<(), Fault> {
    let mta = Mta::start(|config| config.limits.failed_logins = 1000).await?;
    let known = failed_login(&mta, "bob@example.org").await?;
    for name in ["nobody@example.org", "bob@elsewhere.example", "info@example.org", "nonsense"] {
        assert_eq!(failed_login(&mta, name).await?, known, "{name}");
    }
    assert!(known[0].starts_with("535 5.7.8"), "{known:?}");
    Ok(())
}

/// The salt of a SCRAM exchange.
async fn salt(mta: &Mta, name: &str) -> Result<String, Fault> {
    let mut talk = submission(mta).await?;
    let first = STANDARD.encode(format!("n,,n={name},r=abcdefghijkl"));
    let reply = talk.say(&format!("AUTH SCRAM-SHA-256 {first}")).await?;
    let challenge = String::from_utf8(STANDARD.decode(reply.trim().strip_prefix("334 ").ok_or("no challenge")?)?)?;
    Ok(challenge.split(',').nth(1).unwrap_or_default().to_owned())
}

#[tokio::test]
async fn made_up_salts_look_real() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut salts = BTreeSet::new();
    for name in ["bob@example.org", "nobody@example.org", "somebody@example.org"] {
        let one = salt(&mta, name).await?;
        assert_eq!(one, salt(&mta, name).await?, "{name}: the same each time");
        assert_eq!(one, salt(&mta, &name.to_uppercase()).await?, "{name}: whatever the case");
        salts.insert(one);
    }
    assert_eq!(salts.len(), 3);
    Ok(())
}

#[tokio::test]
async fn guesses_are_few_and_lock_no_user_out() -> Result<(), Fault> {
    let mta = Mta::start(|config| config.limits.failed_logins = 5).await?;
    // She has logged in from here before.
    mta.submit_as("carol@example.org").await?;
    let (mut denied, mut throttled) = (0, 0);
    for n in 0..12 {
        let mut talk = submission(&mta).await?;
        // Spelled differently, one name still.
        let name = if n % 2 == 0 { "bob@example.org" } else { "BOB@Example.ORG." };
        let reply = talk.say(&plain("", name, &format!("guess{n}"))).await?;
        denied += usize::from(reply.starts_with("535"));
        throttled += usize::from(reply.starts_with("454"));
    }
    assert_eq!((denied, throttled), (5, 7));
    let mut talk = submission(&mta).await?;
    assert!(
        talk.say(&plain("", "bob@example.org", "secret")).await?.starts_with("454"),
        "a right guess comes too late"
    );
    let mut pop = mta.secure(mta.connect(Protocol::Pop3s).await?).await?;
    pop.reply().await?;
    pop.say("USER bob@example.org").await?;
    assert!(!pop.say("PASS secret").await?.starts_with("+OK"), "another protocol is no way around");
    mta.submit_as("carol@example.org").await?;
    let mut talk = submission(&mta).await?;
    for _ in 0..3 {
        talk.say(&plain("", "x@example.org", "y")).await?;
    }
    assert!(talk.reply().await?.starts_with("421 4.7.0"), "and the session ends");
    assert_eq!(talk.rest().await?, "");
    Ok(())
}

#[tokio::test]
async fn a_login_exchange_cannot_be_bent() -> Result<(), Fault> {
    let mta = Mta::start(|config| config.limits.failed_logins = 1000).await?;
    let scram = |first: &str| format!("AUTH SCRAM-SHA-256 {}", STANDARD.encode(first));
    for line in [
        // As another than oneself (RFC 4616 §2, RFC 5802 §5.1: authzid).
        plain("carol@example.org", "bob@example.org", "secret"),
        scram("n,a=carol@example.org,n=bob@example.org,r=abcdefghijkl"),
        // Channel binding that was not offered (RFC 5802 §6: p=).
        scram("p=tls-unique,,n=bob@example.org,r=abcdefghijkl"),
        scram("p=tls-exporter,,n=bob@example.org,r=abcdefghijkl"),
        // A mandatory extension that is not known (RFC 5802 §5.1: m=).
        scram("n,,m=x,n=bob@example.org,r=abcdefghijkl"),
        scram("n,,n=bob@example.org,r="),
        scram("n,,n=bob=example.org,r=abcdefghijkl"),
        "AUTH SCRAM-SHA-256 =".to_owned(),
        plain("", "bob@example.org", ""),
        plain("", "bob@example.org\0x", "secret"),
        plain("", "", "secret"),
        "AUTH PLAIN =".to_owned(),
        "AUTH PLAIN !!!!".to_owned(),
        "AUTH SCRAM-SHA-1 biws".to_owned(),
        "AUTH CRAM-MD5".to_owned(),
        "AUTH EXTERNAL =".to_owned(),
        "AUTH ANONYMOUS =".to_owned(),
        format!("AUTH PLAIN {}", "A".repeat(20_000)),
    ] {
        let mut talk = submission(&mta).await?;
        let reply = talk.say(&line).await?;
        assert!(reply.starts_with('5'), "{line:.80}: {reply}");
        assert!(talk.say("MAIL FROM:<bob@example.org>").await?.starts_with("530"), "{line:.80}");
    }
    // What is pipelined behind AUTH was written by somebody who could not know its end.
    let mut talk = submission(&mta).await?;
    talk.send(format!("{}\r\nMAIL FROM:<bob@example.org>\r\n", plain("", "bob@example.org", "secret")).as_bytes())
        .await?;
    assert!(talk.reply().await?.starts_with("235"));
    assert!(talk.say("RCPT TO:<carol@example.org>").await?.starts_with("503"), "MAIL was not read");
    assert!(talk.say(&plain("", "carol@example.org", "secret")).await?.starts_with("503"), "once a session");
    Ok(())
}

#[tokio::test]
async fn a_scram_proof_is_good_once() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    // A proof that was heard: the server's nonce is another one now, so is what the proof must cover.
    let mut talk = submission(&mta).await?;
    let first = STANDARD.encode("n,,n=bob@example.org,r=abcdefghijkl");
    let old = talk.say(&format!("AUTH SCRAM-SHA-256 {first}")).await?;
    talk.say("*").await?;
    let new = talk.say(&format!("AUTH SCRAM-SHA-256 {first}")).await?;
    assert_ne!(old, new, "a nonce of its own each time");
    let old = String::from_utf8(STANDARD.decode(old.trim().trim_start_matches("334 "))?)?;
    let heard = format!("c=biws,{},p={}", old.split(',').next().unwrap_or_default(), STANDARD.encode([1; 32]));
    let reply = talk.say(&STANDARD.encode(heard)).await?;
    assert!(reply.starts_with("501") || reply.starts_with("535"), "{reply}");
    Ok(())
}

#[tokio::test]
async fn a_maildrops_lock_is_not_stolen() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut first = pop(&mta, "bob@example.org").await?;
    assert!(first.say("STAT").await?.starts_with("+OK"));
    for _ in 0..3 {
        let mut second = mta.secure(mta.connect(Protocol::Pop3s).await?).await?;
        second.reply().await?;
        second.say("USER bob@example.org").await?;
        let reply = second.say("PASS secret").await?;
        assert!(reply.starts_with("-ERR [IN-USE]"), "{reply}");
        assert!(second.say("STAT").await?.starts_with("-ERR"), "and nothing is open");
    }
    // Another's lock stands in nobody's way.
    pop(&mta, "carol@example.org").await?;
    first.say("QUIT").await?;
    pop(&mta, "bob@example.org").await?;
    Ok(())
}

async fn pop(mta: &Mta, name: &str) -> Result<Secured, Fault> {
    let mut talk = mta.secure(mta.connect(Protocol::Pop3s).await?).await?;
    talk.reply().await?;
    talk.say(&format!("USER {name}")).await?;
    let reply = talk.say("PASS secret").await?;
    if reply.starts_with("+OK") { Ok(talk) } else { Err(reply.into()) }
}
