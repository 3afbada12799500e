//! What a client may try that has the right certificate, and one that has none.

use std::time::Instant;

use paquebot_tests::zones::Fault;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::bench::*;

#[tokio::test]
async fn odd_requests_change_nothing() -> Result<(), Fault> {
    let bench = Bench::start().await?;
    let operator = bench.operator();
    for (method, path, status) in [
        ("GET", "/v1/directory/buckets/256", 404),
        ("GET", "/v1/directory/buckets/-1", 404),
        ("GET", "/v1/directory/buckets/+1", 404),
        ("GET", "/v1/directory/buckets/1e2", 404),
        ("GET", "/v1/directory/buckets/99999999999999999999999999", 404),
        ("GET", "/v1/directory/buckets/..%2f..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v1/directory/buckets/%00", 404),
        ("GET", "/v1/directory/buckets/%ff", 400),
        ("GET", "/v1/directory/../directory", 404),
        ("GET", "//v1/directory", 404),
        ("GET", "/v1/directory/", 404),
        ("GET", "/metrics", 404),
        ("GET", "/v1/queue", 404),
        ("PUT", "/v1/directory", 405),
        ("DELETE", "/v1/directory", 405),
        ("POST", "/v1/directory/domains", 405),
        ("POST", "/v1/directory", 400),
    ] {
        assert_eq!(operator.request(method, path, b"").await?.0, status, "{method} {path}");
    }
    let deep = format!("{{\"epoch\":1,\"base\":0,\"put\":{}", "[".repeat(1_000_000));
    assert_eq!(operator.request("POST", "/v1/directory", deep.as_bytes()).await?.0, 400);
    assert_eq!(operator.state().await?.revision, 0);
    Ok(())
}

#[tokio::test]
async fn a_body_without_end_is_refused_early() -> Result<(), Fault> {
    let bench = Bench::start().await?;
    let operator = bench.operator();
    let head = "POST /v1/directory HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let enough = vec![b' '; paquebot_mta_api::admin::CHANGE_OCTETS_MAX + 1];
    let gigabyte = format!("{head}Content-Length: 1073741824\r\n\r\n");
    let (status, body) = operator.say(&[gigabyte.as_bytes(), &enough].concat()).await?;
    assert_eq!(status, 413, "{body}");
    let chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", 1 << 30);
    let (status, body) = operator.say(&[chunks.as_bytes(), &enough].concat()).await?;
    assert_eq!(status, 413, "{body}");
    assert_eq!(operator.state().await?.revision, 0);
    Ok(())
}

#[tokio::test]
async fn plain_http_gets_no_answer() -> Result<(), Fault> {
    let bench = Bench::start().await?;
    let mut stream = TcpStream::connect(bench.address()).await?;
    stream.write_all(b"GET /v1/directory HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    let _ = timeout(WAIT_MAX, stream.read_to_end(&mut answer)).await?;
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// More connections than there are places, which say nothing, or half a header after the handshake.
#[tokio::test]
async fn who_holds_back_holds_nobody_up_for_long() -> Result<(), Fault> {
    let bench = Bench::start().await?;
    let operator = bench.operator();
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(TcpStream::connect(bench.address()).await?);
    }
    let began = Instant::now();
    operator.state().await?;
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    let mut slow = operator.connect().await?;
    slow.write_all(b"GET /v1/directory HTTP/1.1\r\nHost: x\r\nX-Slow: ").await?;
    let mut answer = Vec::new();
    let _ = timeout(WAIT_MAX, slow.read_to_end(&mut answer)).await?;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}
