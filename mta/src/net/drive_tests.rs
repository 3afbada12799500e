//! The driver with a small machine over real sockets: half-close, slow readers, bulk, upgrades, deadlines.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use paquebot_proto::{Fed, OutputQueue};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::net::tls::Certificates;

/// `bulk` sends bulk output, `tls` upgrades, `ask` asks, `bye` closes; all else is echoed. Reads no clock.
#[derive(Default)]
struct Toy {
    output: OutputQueue,
    ended: bool,
    over: Option<&'static str>,
    deadline: Option<Instant>,
}

impl Machine for Toy {
    type Ask = String;
    type Answer = String;

    fn feed<'a>(&mut self, _now: Instant, input: &'a [u8]) -> Fed<'a, String> {
        if let Some(last) = self.over.take() {
            self.output.push(last.as_bytes());
            return Fed { consumed: 0, step: Step::Close };
        }
        let Some(end) = input.iter().position(|octet| *octet == b'\n') else {
            return Fed { consumed: 0, step: if self.ended { Step::Close } else { Step::Read } };
        };
        let line = &input[..end];
        let step = match line {
            b"bye" => Step::Close,
            b"tls" => {
                self.output.push(b"go\n");
                Step::Upgrade(Upgrade::Tls)
            }
            b"bulk" => {
                let framing = Framing::Dot { body_lines_max: None };
                self.output.push_bulk(Bulk { handle: 7, range: 0..u64::MAX, framing });
                Step::Data(b"")
            }
            b"ask" => Step::Ask("why".into()),
            _ => Step::Data(line),
        };
        Fed { consumed: end + 1, step }
    }

    fn answer(&mut self, _now: Instant, answer: String) {
        self.output.push(answer.as_bytes());
    }
    fn upgraded(&mut self, _now: Instant) {
        self.output.push(b"secure\n");
    }
    fn end_of_input(&mut self, _now: Instant) {
        self.ended = true;
    }
    fn shutdown(&mut self, _now: Instant) {
        self.over = Some("draining\n");
    }
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    fn timeout(&mut self, _now: Instant) {
        self.over = Some("late\n");
    }
    fn output(&mut self) -> &mut OutputQueue {
        &mut self.output
    }
}

/// Answers with what data came before; bulk output is a number of lines that begin with dots.
#[derive(Default)]
struct Keeper {
    seen: Vec<u8>,
    secured: bool,
    bulk_bytes: u64,
    broken: bool,
}

impl Owner<Toy> for Keeper {
    async fn ask(&mut self, _ask: String) -> String {
        format!("{}\n", String::from_utf8_lossy(&self.seen))
    }
    async fn data(&mut self, octets: &[u8]) {
        self.seen.extend_from_slice(octets);
    }
    async fn bulk(&mut self, handle: u64, range: Range<u64>) -> io::Result<Bytes> {
        assert_eq!(handle, 7);
        if self.broken && range.start > 0 {
            return Err(io::Error::other("gone"));
        }
        let end = range.end.min(self.bulk_bytes);
        let octet = |at: u64| b".x\r\n"[usize::try_from(at % 4).unwrap()];
        Ok((range.start.min(end)..end).map(octet).collect())
    }
    fn secured(&mut self, tls: String) {
        self.secured = tls.starts_with("TLSv1.3 TLS_");
    }
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    let (client, server) = (client.unwrap(), server.unwrap().0);
    // As the listener does it: with Nagle's delay the last part of each write would wait for the reader's delayed ACK.
    server.set_nodelay(true).unwrap();
    (client, server)
}

/// Sends, half-closes, reads all: what came back, and how the drive ended.
async fn exchange(toy: Toy, keeper: &mut Keeper, sent: &[u8]) -> (Vec<u8>, io::Result<()>) {
    let (mut client, server) = connected().await;
    let driving = drive(toy, keeper, Transport::Plain(server), TlsSide::None, CancellationToken::new());
    let talking = async {
        client.write_all(sent).await.unwrap();
        client.shutdown().await.unwrap();
        let mut all = Vec::new();
        let _ = client.read_to_end(&mut all).await;
        all
    };
    let (ended, all) = tokio::join!(driving, talking);
    (all, ended)
}

#[tokio::test]
async fn what_was_sent_before_a_half_close_is_answered() {
    let mut keeper = Keeper::default();
    let (all, ended) = exchange(Toy::default(), &mut keeper, b"one\ntwo\nask\nask\n").await;
    assert_eq!(all, b"onetwo\nonetwo\n");
    ended.unwrap();
}

#[tokio::test]
async fn bulk_output_is_fetched_in_parts_and_reaches_a_slow_reader_whole() {
    let (mut client, server) = connected().await;
    let bulk_bytes = 2 * 1024 * 1024;
    let mut keeper = Keeper { bulk_bytes, ..Keeper::default() };
    let driving = drive(Toy::default(), &mut keeper, Transport::Plain(server), TlsSide::None, CancellationToken::new());
    let talking = async {
        client.write_all(b"bulk\nask\nbye\n").await.unwrap();
        let (mut all, mut part) = (0, vec![0; 32 * 1024]);
        let mut tail = Vec::new();
        loop {
            // One read a turn: the writer meets a full socket again and again. Not in small pieces: over loopback,
            // with segments of 64 KiB, TCP itself would then wait for its persist timer each time.
            tokio::task::yield_now().await;
            match client.read(&mut part).await.unwrap() {
                0 => break,
                octets => {
                    all += octets;
                    tail.extend_from_slice(&part[..octets]);
                    let kept = tail.len().saturating_sub(8);
                    tail.drain(..kept);
                }
            }
        }
        (all, tail)
    };
    let (ended, (all, tail)) = tokio::join!(driving, talking);
    ended.unwrap();
    // A dot more on each line, then CRLF "." CRLF without another CRLF, then the answer.
    assert_eq!(all as u64, bulk_bytes + bulk_bytes / 4 + 3 + 1);
    assert!(tail.ends_with(b"\r\n.\r\n\n"), "{tail:?}");
}

#[tokio::test]
async fn half_a_message_never_looks_whole() {
    let mut keeper = Keeper { bulk_bytes: 1024 * 1024, broken: true, ..Keeper::default() };
    let (all, ended) = exchange(Toy::default(), &mut keeper, b"bulk\n").await;
    assert!(ended.is_err());
    assert!(!all.ends_with(b"\r\n.\r\n"));
}

#[tokio::test]
async fn nothing_sent_in_clear_survives_the_handshake() {
    let directory = tempfile::tempdir().unwrap();
    let files =
        paquebot_mta_api::config::Tls { certificate: directory.path().join("crt"), key: directory.path().join("key") };
    let made = rcgen::generate_simple_self_signed(vec!["mail.example.com".to_owned()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let server_side = TlsSide::Server(Certificates::load(&files).unwrap().current());
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client_config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client_side = TlsSide::Client(Arc::new(client_config), ServerName::try_from("mail.example.com").unwrap());

    let (mut client, server) = connected().await;
    let mut keeper = Keeper::default();
    let driving = drive(Toy::default(), &mut keeper, Transport::Plain(server), server_side, CancellationToken::new());
    let talking = async {
        client.write_all(b"tls\nevil\nask\n").await.unwrap();
        let mut go = [0; 3];
        client.read_exact(&mut go).await.unwrap();
        let mut secure = Transport::Plain(client).secure(&client_side).await.unwrap();
        secure.write_all(b"good\nask\nbye\n").await.unwrap();
        let mut all = Vec::new();
        let _ = secure.read_to_end(&mut all).await;
        all
    };
    let (ended, all) = tokio::join!(driving, talking);
    ended.unwrap();
    assert_eq!(String::from_utf8_lossy(&all), "secure\ngood\n");
    assert!(keeper.secured);
}

#[tokio::test]
async fn a_silent_peer_meets_the_deadline() {
    let (mut client, server) = connected().await;
    let toy = Toy { deadline: Some(Instant::now()), ..Toy::default() };
    let mut keeper = Keeper::default();
    let driving = drive(toy, &mut keeper, Transport::Plain(server), TlsSide::None, CancellationToken::new());
    let talking = async {
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        drop(client);
        all
    };
    let (ended, all) = tokio::join!(driving, talking);
    ended.unwrap();
    assert_eq!(all, "late\n");
}

#[tokio::test]
async fn draining_is_told_once() {
    let (mut client, server) = connected().await;
    let draining = CancellationToken::new();
    draining.cancel();
    let mut keeper = Keeper::default();
    let driving = drive(Toy::default(), &mut keeper, Transport::Plain(server), TlsSide::None, draining);
    let talking = async {
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        drop(client);
        all
    };
    let (ended, all) = tokio::join!(driving, talking);
    ended.unwrap();
    assert_eq!(all, "draining\n");
}

#[tokio::test]
async fn a_line_that_never_ends_breaks_the_connection_at_the_buffers_limit() {
    let mut keeper = Keeper::default();
    let (_, ended) = exchange(Toy::default(), &mut keeper, &vec![b'x'; 2 * INPUT_BYTES]).await;
    // The machine is told of the end; a real one would have refused the line long before.
    ended.unwrap();
    assert!(keeper.seen.is_empty());
}
