//! The server as a whole: limits on sessions, certificates, reload, drain, the admin listeners, bounded memory.

use std::time::Duration;

use paquebot_mta_api::config::Protocol;
use paquebot_tests::{
    mta::{Mta, certify},
    zones::Fault,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

#[tokio::test]
async fn one_address_gets_so_many_sessions() -> Result<(), Fault> {
    let mta = Mta::start(|config| config.limits.sessions_per_address = 2).await?;
    let mut first = mta.connect(Protocol::Smtp).await?;
    let mut second = mta.connect(Protocol::Pop3).await?;
    first.reply().await?;
    second.reply().await?;
    assert!(mta.connect(Protocol::Smtp).await?.rest().await?.starts_with("421 4.7.0 "));
    assert!(mta.connect(Protocol::Pop3).await?.rest().await?.starts_with("-ERR [SYS/TEMP] "));
    assert_eq!(mta.connect(Protocol::Submissions).await?.rest().await?, "");
    first.say("QUIT").await?;
    first.rest().await?;
    drop(first);
    // The place is free as soon as the session's task has ended.
    loop {
        let greeting = mta.connect(Protocol::Smtp).await?.reply().await?;
        if greeting.starts_with("220 ") {
            return Ok(());
        }
        assert!(greeting.starts_with("421 "), "{greeting}");
    }
}

#[tokio::test]
async fn a_reload_is_taken_whole_or_not_at_all() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let server = mta.server()?;
    let before = server.listeners().await;

    let mut taken = mta.config.clone();
    let occupied = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    if let Some(listener) = taken.listeners.first_mut() {
        listener.address = occupied.local_addr()?;
    }
    taken.hostname = "other.example.org".parse()?;
    let said = server.reload(taken).await.err().ok_or("a port in use was taken")?.to_string();
    assert!(said.contains("another program listens there"), "{said}");
    assert_eq!(server.listeners().await, before);
    assert!(mta.connect(Protocol::Smtp).await?.reply().await?.starts_with("220 mail.example.org"));

    let mut restart = mta.config.clone();
    restart.delivery.port = 2525;
    assert!(server.reload(restart).await.err().ok_or("taken")?.to_string().starts_with("delivery cannot change"));

    let mut good = mta.config.clone();
    good.hostname = "other.example.org".parse()?;
    good.listeners.retain(|listener| listener.protocol == Protocol::Smtp);
    server.reload(good).await?;
    assert!(mta.connect(Protocol::Smtp).await?.reply().await?.starts_with("220 other.example.org"));
    assert!(mta.connect(Protocol::Pop3).await.is_err(), "its listener is gone");
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_is_served_without_a_restart() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    mta.secure(mta.connect(Protocol::Submissions).await?).await?;
    certify(mta.folder.path())?;
    // The client trusts the new one only; the server looks at its files every few seconds.
    let secured = async {
        while mta.secure(mta.connect(Protocol::Submissions).await?).await.is_err() {}
        Ok::<_, Fault>(())
    };
    tokio::time::timeout(Duration::from_secs(15), secured).await?
}

#[tokio::test]
async fn draining_says_goodbye_and_keeps_what_was_accepted() -> Result<(), Fault> {
    let mut mta = Mta::start(|_| {}).await?;
    let mut idle = mta.connect(Protocol::Smtp).await?;
    idle.reply().await?;
    let listeners = mta.server()?.listeners().await;
    let server = mta.server.take().ok_or("gone")?;
    let (goodbye, ()) = tokio::join!(idle.rest(), server.drain());
    assert!(goodbye?.starts_with("421 "), "an idle session is told");
    for (_, address) in listeners {
        assert!(TcpStream::connect(address).await.is_err(), "{address} is closed");
    }
    assert!(!mta.folder.path().join("admin.sock").exists());
    Ok(())
}

async fn get(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, path: &str) -> Result<String, Fault> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut all = String::new();
    stream.read_to_string(&mut all).await?;
    Ok(all)
}

#[tokio::test]
async fn metrics_probes_and_journeys() -> Result<(), Fault> {
    let mta = Mta::start(|_| {}).await?;
    let reply = mta.submit_as("bob@example.org").await?;
    let mut talk = reply;
    let letter = "From: bob@example.org\r\nMessage-ID: <j@x>\r\n\r\nhello";
    assert!(talk.mail("bob@example.org", "carol@example.org", letter).await?.starts_with("250"));
    mta.stored(3, "INBOX").await?;
    let address = mta.server()?.metrics_address().ok_or("no metrics")?;
    for path in ["/healthz", "/readyz"] {
        assert!(get(TcpStream::connect(address).await?, path).await?.starts_with("HTTP/1.1 200"), "{path}");
    }
    let metrics = get(TcpStream::connect(address).await?, "/metrics").await?;
    for line in [
        "paquebot_messages_accepted_total{protocol=\"submissions\"} 1",
        "paquebot_logins_total{protocol=\"submissions\",result=\"granted\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let socket = mta.folder.path().join("admin.sock");
    let journey = get(UnixStream::connect(&socket).await?, "/v1/journey?message-id=j@x").await?;
    for step in ["submitted", "queued", "stored", "logged in as bob@example.org"] {
        assert!(journey.contains(step), "{step}: {journey}");
    }
    let queue = get(UnixStream::connect(&socket).await?, "/v1/queue?limit=5").await?;
    assert!(queue.contains("\"items\":[]"), "{queue}");
    assert!(get(UnixStream::connect(&socket).await?, "/v1/queue?after=x").await?.starts_with("HTTP/1.1 400"));
    Ok(())
}

#[tokio::test]
async fn what_is_refused_is_counted_by_reason() -> Result<(), Fault> {
    let mta = Mta::start(|config| config.limits.message_bytes = 65_536).await?;
    let address = mta.server()?.metrics_address().ok_or("no metrics")?;
    let long = "x".repeat(70) + "\r\n";
    for (reason, last, code) in [
        ("size", "MAIL FROM:<> SIZE=65537\r\n".to_owned(), "552"),
        ("size", format!("DATA\r\n{}.\r\n", long.repeat(1000)), "552"),
        ("malformed", "DATA\r\nFrom: a@b.example\r\n\r\nbare\nline\r\n.\r\n".to_owned(), "550"),
        ("unknown_recipient", "RCPT TO:<nobody@example.org>\r\n".to_owned(), "550"),
        ("relay", "RCPT TO:<bob@elsewhere.example>\r\n".to_owned(), "550"),
    ] {
        let count = async || -> Result<u64, Fault> {
            let metrics = get(TcpStream::connect(address).await?, "/metrics").await?;
            let line = format!("paquebot_refused_total{{reason=\"{reason}\"}} ");
            Ok(metrics.lines().find_map(|it| it.strip_prefix(&line)).map_or(Ok(0), str::parse)?)
        };
        let before = count().await?;
        let mut talk = mta.connect(Protocol::Smtp).await?;
        talk.reply().await?;
        talk.say("EHLO client.example").await?;
        if !last.starts_with("MAIL") {
            talk.say("MAIL FROM:<>").await?;
            assert!(talk.say("RCPT TO:<bob@example.org>").await?.starts_with("250"));
        }
        talk.send(last.as_bytes()).await?;
        let mut reply = talk.reply().await?;
        if reply.starts_with("354") {
            reply = talk.reply().await?;
        }
        assert!(reply.starts_with(code), "{last}: {reply}");
        assert_eq!(count().await?, before + 1, "{reason}: {last}");
    }
    Ok(())
}

/// Resident octets of this process.
fn resident_bytes() -> Result<u64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kib * 1024)
}

#[tokio::test]
async fn fifty_megabytes_are_never_held_in_memory() -> Result<(), Fault> {
    const PARTS: usize = 763;
    const PART: usize = 64 * 1024;
    let mta = Mta::start(|_| {}).await?;
    let mut talk = mta.submit_as("bob@example.org").await?;
    for line in ["MAIL FROM:<bob@example.org>", "RCPT TO:<carol@example.org>", "DATA"] {
        talk.say(line).await?;
    }
    talk.send(b"From: bob@example.org\r\n\r\n").await?;
    let part = format!("{}\r\n", "x".repeat(62)).repeat(PART / 64);
    let before = resident_bytes()?;
    let mut peak = before;
    for _ in 0..PARTS {
        talk.send(part.as_bytes()).await?;
        peak = peak.max(resident_bytes()?);
    }
    let reply = talk.say(".").await?;
    peak = peak.max(resident_bytes()?);
    assert!(reply.starts_with("250 "), "{reply}");
    // The other tests of this process take memory beside it.
    assert!(peak - before < 20 * 1024 * 1024, "{} octets more", peak - before);
    let blobs = mta.folder.path().join("store").join("blobs");
    assert!(blobs.exists());
    Ok(())
}
