//! A pod that ends: it is not ready from the first moment on, while open sessions still finish.

use paquebot_mta_api::config::Protocol;
use paquebot_tests::{mta::Mta, zones::Fault};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn ready(address: std::net::SocketAddr) -> Result<String, Fault> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_draining_server_is_not_ready_and_finishes_what_is_under_way() -> Result<(), Fault> {
    let mut mta = Mta::start(|_| {}).await?;
    let address = mta.server()?.metrics_address().ok_or("no metrics")?;
    assert!(ready(address).await?.starts_with("HTTP/1.1 200"));
    let mut smtp = mta.connect(Protocol::Smtp).await?;
    smtp.reply().await?;
    for line in ["EHLO client.example", "MAIL FROM:<a@sender.example>", "RCPT TO:<bob@example.org>", "DATA"] {
        smtp.say(line).await?;
    }
    let draining = tokio::spawn(mta.server.take().ok_or("no server")?.drain());
    loop {
        let answer = ready(address).await?;
        if answer.starts_with("HTTP/1.1 503") && answer.contains("draining") {
            break;
        }
    }
    // The listener's own end is seen by who connects; the transaction goes on.
    let reply = smtp.say("From: a@sender.example\r\nSubject: x\r\n\r\nHello\r\n.").await?;
    assert!(reply.starts_with("250 "), "{reply}");
    smtp.rest().await?;
    draining.await?;
    assert!(ready(address).await.is_err(), "all has ended");
    Ok(())
}
