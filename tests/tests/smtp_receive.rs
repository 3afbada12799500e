//! Receiving over real sockets into a real store: what is taken, what is refused, what is on disk after `250`.

use paquebot_mta_api::config::Protocol;
use paquebot_tests::{mta::Mta, zones::Fault};

const LETTER: &str = "From: Ann <ann@sender.example>\r\nTo: bob@example.org\r\nBcc: carol@example.org\r\n\
    Authentication-Results: mail.example.org; dmarc=pass\r\nMessage-ID: <one@sender.example>\r\nSubject: hello\r\n\r\nDear Bob";

#[tokio::test]
async fn a_message_from_a_server_is_verified_and_stored() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut talk = mta.connect(Protocol::Smtp).await?;
    assert!(talk.reply().await?.starts_with("220 mail.example.org"));
    talk.say("EHLO out.sender.example").await?;
    let reply = talk.mail("ann@sender.example", "info@example.org", LETTER).await?;
    assert!(reply.starts_with("250 2.0.0 queued as "), "{reply}");
    let stored = mta.stored(2, "INBOX").await?.concat();
    assert!(stored.contains("Return-Path: <ann@sender.example>"), "{stored}");
    assert!(stored.contains("by mail.example.org"), "{stored}");
    assert!(stored.contains("spf=pass"), "{stored}");
    assert!(!stored.contains("Bcc") && !stored.contains("dmarc=pass"), "{stored}");
    assert!(stored.ends_with("Dear Bob\r\n"), "{stored}");
    Ok(())
}

#[tokio::test]
async fn look_ups_begin_when_the_header_is_there() -> Result<(), Fault> {
    let resolver = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    let at = resolver.local_addr()?;
    let mta = Mta::start(|config| config.resolvers = vec![at]).await?;
    let mut talk = mta.connect(Protocol::Smtp).await?;
    talk.reply().await?;
    talk.say("EHLO out.sender.example").await?;
    for line in ["MAIL FROM:<ann@sender.example>", "RCPT TO:<bob@example.org>", "DATA"] {
        assert!(talk.say(line).await?.starts_with(['2', '3']), "{line}");
    }
    let signature = "DKIM-Signature: v=1; a=rsa-sha256; d=sender.example; s=key1; h=from; bh=AAAA; b=AAAA\r\n";
    talk.send(format!("{signature}From: ann@sender.example\r\n\r\nThe body has only begun\r\n").as_bytes()).await?;
    let mut wanted = vec![b"\x06_dmarc".as_slice(), b"\x04key1\x0a_domainkey"];
    let asked = async {
        let mut question = [0; 512];
        while !wanted.is_empty() {
            let (octets, _) = resolver.recv_from(&mut question).await?;
            let question = question.get(..octets).unwrap_or_default();
            wanted.retain(|name| !question.windows(name.len()).any(|part| part == *name));
        }
        Ok::<_, std::io::Error>(())
    };
    Ok(tokio::time::timeout(std::time::Duration::from_secs(15), asked).await??)
}

#[tokio::test]
async fn strangers_are_refused_what_is_not_theirs() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut talk = mta.connect(Protocol::Smtp).await?;
    talk.reply().await?;
    talk.say("EHLO out.sender.example").await?;
    for (from, to, message, refusal) in [
        ("ann@sender.example", "nobody@example.org", LETTER, "550 5.1.1"),
        ("ann@sender.example", "x@elsewhere.example", LETTER, "550 5.7.1"),
        ("ann@sender.example", "full@example.org", LETTER, "452 4.2.2"),
        ("ann@sender.example", "bob@example.org", "Subject: no From\r\n\r\nx", "550 5.7.1"),
        ("ann@sender.example", "bob@example.org", "From: a@b.example\r\nFrom: c@d.example\r\n\r\nx", "550 5.7.1"),
    ] {
        let reply = talk.mail(from, to, message).await?;
        assert!(reply.starts_with(refusal), "{from} {to}: {reply}");
    }
    let looping = format!("{}{LETTER}", "Received: from a by b; x\r\n".repeat(101));
    let reply = talk.mail("ann@sender.example", "bob@example.org", &looping).await?;
    assert!(reply.starts_with("554 5.4.6"), "{reply}");
    assert_eq!(mta.server()?.store().queue_depth().await?.0, 0, "nothing of it is queued");
    Ok(())
}

#[tokio::test]
async fn users_send_as_themselves_only() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut talk = mta.submit_as("bob@example.org").await?;
    let by = |from: &str| format!("From: {from}\r\nBcc: hidden@example.org\r\nSubject: x\r\n\r\nhello");
    for (from, header_from, reply) in [
        ("bob@example.org", "carol@example.org", "550 5.7.1"),
        ("carol@example.org", "bob@example.org", "550 5.7.1"),
        ("bob@elsewhere.example", "bob@example.org", "550 5.7.1"),
        ("bob+tag@example.org", "info@example.org", "250 2.0.0"),
    ] {
        let said = talk.mail(from, "carol@example.org", &by(header_from)).await?;
        assert!(said.starts_with(reply), "{from} {header_from}: {said}");
    }
    let stored = mta.stored(3, "INBOX").await?;
    assert_eq!(stored.len(), 1);
    let stored = stored.concat();
    for part in ["Message-ID: <", "Date: ", "with ESMTPSA", "(TLSv1.3 TLS_", "From: info@example.org"] {
        assert!(stored.contains(part), "{part}: {stored}");
    }
    assert!(!stored.contains("hidden@") && !stored.contains("127.0.0.1"), "{stored}");
    Ok(())
}

#[tokio::test]
async fn nobody_submits_without_a_login_or_logs_in_without_tls() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut talk = mta.connect(Protocol::Submission).await?;
    talk.reply().await?;
    let offered = talk.say("EHLO client.example").await?;
    assert!(offered.contains("STARTTLS") && !offered.contains("AUTH"), "{offered}");
    assert!(talk.say("MAIL FROM:<bob@example.org>").await?.starts_with("530"));
    assert!(talk.say("STARTTLS").await?.starts_with("220"));
    let mut talk = mta.secure(talk).await?;
    let offered = talk.say("EHLO client.example").await?;
    assert!(offered.contains("AUTH") && !offered.contains("STARTTLS"), "{offered}");
    assert!(talk.say("MAIL FROM:<bob@example.org>").await?.starts_with("530"));
    Ok(())
}

/// `250` is said only when the store has it: with the store's files on a full or broken disk nothing is taken.
#[tokio::test]
async fn a_body_that_cannot_be_kept_is_a_4xx_and_leaves_nothing() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    // The place of large bodies becomes a file: nothing can be written below it.
    let blobs = mta.folder.path().join("store").join("blobs");
    std::fs::rename(&blobs, mta.folder.path().join("gone"))?;
    std::fs::write(&blobs, "no folder")?;
    let mut talk = mta.submit_as("bob@example.org").await?;
    let large = format!("From: bob@example.org\r\n\r\n{}", format!("{}\r\n", "x".repeat(70)).repeat(4000));
    let reply = talk.mail("bob@example.org", "carol@example.org", &large).await?;
    assert!(reply.starts_with("45"), "{reply}");
    assert_eq!(mta.server()?.store().queue_depth().await?.0, 0);
    // The session and small messages go on.
    let reply = talk.mail("bob@example.org", "carol@example.org", "From: bob@example.org\r\n\r\nsmall").await?;
    assert!(reply.starts_with("250 "), "{reply}");
    Ok(())
}
