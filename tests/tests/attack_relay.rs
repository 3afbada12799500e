//! Strangers on port 25: relaying, smuggled messages, injected commands, forged fields. Real sockets, real store.

use paquebot_mta_api::config::Protocol;
use paquebot_tests::{
    mta::{Mta, Talk},
    zones::Fault,
};
use tokio::net::TcpStream;

const FROM: &str = "ann@sender.example";
const LETTER: &str =
    "From: Ann <ann@sender.example>\r\nMessage-ID: <one@sender.example>\r\nSubject: hello\r\n\r\nDear Bob";

async fn stranger(mta: &Mta) -> Result<Talk<TcpStream>, Fault> {
    let mut talk = mta.connect(Protocol::Smtp).await?;
    talk.reply().await?;
    talk.say("EHLO out.sender.example").await?;
    Ok(talk)
}

#[tokio::test]
async fn nobody_relays() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    for recipient in [
        "<x@elsewhere.example>",
        // RFC 5321 appendix C: source routes are cut, what is left decides.
        "<@mail.example.org:x@elsewhere.example>",
        "<@example.org,@mail.example.org:x@elsewhere.example>",
        // The percent hack, UUCP paths, routes in quoted local parts.
        "<x%elsewhere.example@example.org>",
        "<x%elsewhere.example@mail.example.org>",
        "<elsewhere.example!x@example.org>",
        "<\"x@elsewhere.example\"@example.org>",
        "<\"x@elsewhere.example\">",
        "<\"bob@example.org\"@elsewhere.example>",
        "<x@elsewhere.example@example.org>",
        "<bob@example.org@elsewhere.example>",
        "<\"bob\\@example.org\"@elsewhere.example>",
        "<bob@example.org\\@elsewhere.example>",
        // Several addresses in one.
        "<bob@example.org,x@elsewhere.example>",
        "<bob@example.org> <x@elsewhere.example>",
        "<bob@example.org>,<x@elsewhere.example>",
        "<bob@example.org x@elsewhere.example>",
        // Address literals, of ours too.
        "<x@[198.51.100.1]>",
        "<x@[127.0.0.1]>",
        "<x@[IPv6:::1]>",
        "<x@127.0.0.1>",
        "<x@localhost>",
        // Near names.
        "<bob@example.org.elsewhere.example>",
        "<bob@elsewhere.example.org>",
        "<bob@xexample.org>",
        "<bob@mail.example.org>",
        "<bob@example.org..>",
        "<bob@.example.org>",
        "<bob@example.org\0.elsewhere.example>",
        "<bob@example.org%0d%0a.elsewhere.example>",
        "<@elsewhere.example>",
        "<>",
        "<postmaster@elsewhere.example>",
        "<MAILER-DAEMON@elsewhere.example>",
        "<bob>",
        "x@elsewhere.example",
        "<|/bin/sh@elsewhere.example>",
        "</etc/passwd>",
    ] {
        let mut talk = stranger(&mta).await?;
        for reverse_path in ["<>", "<bob@example.org>", "<ann@sender.example>"] {
            talk.say(&format!("MAIL FROM:{reverse_path}")).await?;
            let reply = talk.say(&format!("RCPT TO:{recipient}")).await?;
            assert!(reply.starts_with('5'), "{recipient} from {reverse_path}: {reply}");
            let reply = talk.say("DATA").await?;
            assert!(reply.starts_with("554"), "{recipient}: {reply}");
            talk.say("RSET").await?;
        }
    }
    assert_eq!(mta.server()?.store().queue_depth().await?.0, 0);
    Ok(())
}

#[tokio::test]
async fn letters_that_look_like_ours_are_not_ours() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut talk = stranger(&mta).await?;
    talk.say("MAIL FROM:<ann@sender.example> SMTPUTF8").await?;
    for recipient in ["bob@ехample.org", "bоb@example.org", "bob@exam\u{200b}ple.órg", "b\u{202e}ob@example.org"] {
        let reply = talk.say(&format!("RCPT TO:<{recipient}>")).await?;
        assert!(reply.starts_with("55") || reply.starts_with("501"), "{recipient}: {reply}");
    }
    // Full-width letters are the same domain (UTS 46), so its own mailbox, and no relay.
    assert!(talk.say("RCPT TO:<bob@ｅxample.org>").await?.starts_with("250"));
    assert!(talk.say("RCPT TO:<bob@ｅlsewhere.example>").await?.starts_with("550 5.7.1"));
    Ok(())
}

#[tokio::test]
async fn port_25_lets_nobody_log_in() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut talk = stranger(&mta).await?;
    assert!(talk.say("STARTTLS").await?.starts_with("220"));
    let mut talk = mta.secure(talk).await?;
    assert!(!talk.say("EHLO x.example").await?.contains("AUTH"));
    assert!(talk.say("AUTH PLAIN AGJvYkBleGFtcGxlLm9yZwBzZWNyZXQ=").await?.starts_with("502"));
    assert!(talk.say("MAIL FROM:<bob@example.org> AUTH=bob@example.org").await?.starts_with("555"));
    talk.say("MAIL FROM:<bob@example.org>").await?;
    assert!(talk.say("RCPT TO:<x@elsewhere.example>").await?.starts_with("550 5.7.1"));
    Ok(())
}

/// The attacks of 2023: an end of data that only one of two servers sees.
#[tokio::test]
async fn no_message_is_smuggled_in() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\r",
        "\n.\r",
        "\r.\n",
        "\r\r\n.\r\n",
        "\r\n\r.\r\n",
        "\r\n.\r\r\n",
        "\n\n.\r\n",
        "\r\n\0.\r\n",
        "\r\n.\0\r\n",
    ] {
        let mut talk = stranger(&mta).await?;
        for line in ["MAIL FROM:<ann@sender.example>", "RCPT TO:<bob@example.org>", "DATA"] {
            talk.say(line).await?;
        }
        let inner = "MAIL FROM:<ann@sender.example>\r\nRCPT TO:<carol@example.org>\r\nDATA\r\nFrom: ann@sender.example\r\n\r\nsmuggled\r\n.\r\n";
        talk.send(format!("{LETTER}{end}{inner}QUIT\r\n").as_bytes()).await?;
        let said = talk.rest().await?;
        let queued = said.matches("queued as").count();
        let has_line_fault = !end.contains('\0');
        assert_eq!(queued, usize::from(!has_line_fault), "{end:?}: {said}");
        assert!(!said.contains("250 2.1.0 Sender ok"), "{end:?} was read as an end: {said}");
    }
    let store = mta.server()?.store();
    let carol = paquebot_mta::store::AccountId(uuid::Uuid::from_u128(3));
    assert!(store.mailbox(carol, "INBOX").await?.is_none(), "carol got nothing");
    Ok(())
}

#[tokio::test]
async fn bare_line_ends_in_commands_end_the_session() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    for line in [
        "NOOP\nMAIL FROM:<ann@sender.example>\r\n",
        "NOOP\rMAIL FROM:<ann@sender.example>\r\n",
        "MAIL FROM:<ann@sender.example>\nRCPT TO:<bob@example.org>\r\n",
        "EHLO x\r\r\nMAIL FROM:<ann@sender.example>\r\n",
    ] {
        let mut talk = stranger(&mta).await?;
        talk.send(line.as_bytes()).await?;
        let said = talk.rest().await?;
        assert!(said.starts_with("500") && !said.contains("250"), "{line:?}: {said}");
    }
    Ok(())
}

/// CVE-2011-0411 and its kind: what came in clear before TLS is not read after it.
#[tokio::test]
async fn nothing_injected_before_tls_survives_it() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    for (protocol, upgrade, injected) in [
        (Protocol::Smtp, "STARTTLS", "EHLO evil.example\r\nMAIL FROM:<ann@sender.example>\r\n"),
        (Protocol::Submission, "STARTTLS", "EHLO evil.example\r\nAUTH PLAIN AGEAYg==\r\n"),
        (Protocol::Pop3, "STLS", "USER bob@example.org\r\nPASS secret\r\n"),
    ] {
        let mut talk = mta.connect(protocol).await?;
        talk.reply().await?;
        if protocol != Protocol::Pop3 {
            talk.say("EHLO client.example").await?;
        }
        talk.send(format!("{upgrade}\r\n{injected}").as_bytes()).await?;
        let reply = talk.reply().await?;
        assert!(reply.starts_with("220") || reply.starts_with("+OK"), "{reply}");
        let mut talk = mta.secure(talk).await?;
        // The first reply is to what came over TLS; the greeting name given in clear is forgotten too (RFC 3207 §4.2).
        let (line, answer) = match protocol {
            Protocol::Pop3 => ("STAT", "-ERR"),
            _ => ("MAIL FROM:<ann@sender.example>", "5"),
        };
        let reply = talk.say(line).await?;
        assert!(reply.starts_with(answer), "{protocol:?}: {reply}");
        assert!(!reply.contains("250"), "{protocol:?}: {reply}");
    }
    Ok(())
}

#[tokio::test]
async fn names_inject_nothing() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut talk = mta.connect(Protocol::Smtp).await?;
    talk.reply().await?;
    for name in ["x) by evil (", "\x1b[2Jx", "x; y", "x<y>", "x\0y", "x\ty z", "[127.0.0.1](x)", "é", &"x".repeat(400)]
    {
        for verb in ["EHLO", "HELO"] {
            let reply = talk.say(&format!("{verb} {name}")).await?;
            assert!(reply.starts_with('5') && !reply.contains('\x1b'), "{name:?}: {reply}");
        }
        if talk.say("NOOP").await?.is_empty() {
            break;
        }
    }
    let mut talk = stranger(&mta).await?;
    for line in
        ["MAIL FROM:<\"\x1b[2J\"@sender.example>", "MAIL FROM:<a\tb@sender.example>", "MAIL FROM:<(x)@sender.example>"]
    {
        let reply = talk.say(line).await?;
        assert!(reply.starts_with("50") || reply.starts_with("553"), "{line:?}: {reply}");
        assert!(!reply.contains('\x1b'));
    }
    Ok(())
}

#[tokio::test]
async fn what_strangers_forge_is_taken_out_or_refused() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let mut talk = stranger(&mta).await?;
    for header in [
        "Authentication-Results: mail.example.org; dmarc=pass\r\nFrom: ann@sender.example",
        "Authentication-Results : (x) MAIL.example.org 1; forged=pass\r\nFrom: ann@sender.example",
        "authentication-results:\r\n\t\"mail.example.org\"; forged=pass\r\nFrom: ann@sender.example",
        "Return-Path: <forged@bank.example>\r\nFrom: ann@sender.example",
        "Bcc: forged@bank.example\r\nResent-Bcc: forged@bank.example\r\nFrom: ann@sender.example",
    ] {
        let reply = talk.mail(FROM, "bob@example.org", &format!("{header}\r\n\r\nx")).await?;
        assert!(reply.starts_with("250"), "{header}: {reply}");
    }
    for header in [
        // Would continue our own Received field.
        " forged by=mail.example.org\r\nFrom: ann@sender.example",
        "From: ann@sender.example\r\nFrom: boss@bank.example",
        "From: ann@sender.example, boss@bank.example",
        "From\u{b}: boss@bank.example\r\nFrom: ann@sender.example",
        "From: <ann@sender.example> <boss@bank.example>",
        "Sender: ann@sender.example",
    ] {
        let reply = talk.mail(FROM, "bob@example.org", &format!("{header}\r\n\r\nx")).await?;
        assert!(reply.starts_with("550 5.7.1"), "{header}: {reply}");
    }
    let mut stored = Vec::new();
    while stored.len() < 5 {
        stored = mta.stored(2, "INBOX").await?;
    }
    let stored = stored.concat();
    assert!(!stored.contains("forged"), "{stored}");
    Ok(())
}

#[tokio::test]
async fn limits_hold_for_a_stranger() -> Result<(), Fault> {
    let mta = Mta::start(|config| config.limits.message_bytes = 300_000).await?;
    // A header larger than any mail's, then one of too many fields: read to the end, kept nowhere.
    for (line, count, answer) in
        [("X-Long: y\r\n", 2500, "554 5.6.0"), ("X: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", 9000, "55")]
    {
        let mut talk = stranger(&mta).await?;
        let reply = talk.mail(FROM, "bob@example.org", &format!("{}{LETTER}", line.repeat(count))).await?;
        assert!(reply.starts_with(answer), "{reply}");
    }
    let mut talk = stranger(&mta).await?;
    assert!(talk.say("MAIL FROM:<ann@sender.example> SIZE=99999999999999999999").await?.starts_with('5'));
    assert!(talk.say("MAIL FROM:<ann@sender.example> SIZE=300001").await?.starts_with("552"));
    let body = "y".repeat(70) + "\r\n";
    let reply = talk.mail(FROM, "bob@example.org", &format!("{LETTER}{}", body.repeat(5000))).await?;
    assert!(reply.starts_with("552"), "{reply}");
    // A session without a message ends by itself.
    let mut talk = stranger(&mta).await?;
    talk.send("RSET\r\n".repeat(200).as_bytes()).await?;
    let said = talk.rest().await?;
    assert!(said.contains("421 4.7.0") && said.lines().count() < 120, "{said}");
    // An address book is not guessed in one session.
    let mut talk = stranger(&mta).await?;
    talk.say("MAIL FROM:<ann@sender.example>").await?;
    let guesses: String = (0..300).map(|n| format!("RCPT TO:<guess{n}@example.org>\r\n")).collect();
    talk.send(guesses.as_bytes()).await?;
    let said = talk.rest().await?;
    assert!(said.contains("421 4.7.0") && said.matches("550 5.1.1").count() <= 100, "{said}");
    Ok(())
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_no_file() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    for _ in 0..5 {
        let mut talk = stranger(&mta).await?;
        for line in ["MAIL FROM:<ann@sender.example>", "RCPT TO:<bob@example.org>", "DATA"] {
            talk.say(line).await?;
        }
        talk.send(format!("{LETTER}\r\n{}", ("z".repeat(70) + "\r\n").repeat(10_000)).as_bytes()).await?;
        // The server has read it all and waits for more: now the client is gone.
        drop(talk);
    }
    let blobs = mta.folder.path().join("store/blobs");
    assert!(blobs.is_dir());
    let wait = async {
        while files(&blobs) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), wait).await?;
    assert_eq!(mta.server()?.store().queue_depth().await?.0, 0);
    Ok(())
}

#[tokio::test]
async fn what_is_refused_leaves_no_file() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let body = ("z".repeat(70) + "\r\n").repeat(10_000);
    let two_authors = format!("From: ann@sender.example\r\nFrom: ceo@example.org\r\n\r\n{body}");
    let reply = stranger(&mta).await?.mail(FROM, "bob@example.org", &two_authors).await?;
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    let blobs = mta.folder.path().join("store/blobs");
    assert_eq!(files(&blobs), 0);
    // And what is taken stays.
    let reply = stranger(&mta).await?.mail(FROM, "bob@example.org", &format!("{LETTER}\r\n{body}")).await?;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(files(&blobs), 1);
    Ok(())
}

fn files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}
