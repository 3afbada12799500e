//! Listening sockets: all are bound before the first is served; each connection becomes a session of its own.
//!
//! Counts and refuses; never reads a protocol. A panic in a session ends that session only.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use paquebot_mta_api::config::{Listener, Protocol};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::gate::{Crowded, Gate, Pass};
use crate::admin::metrics::{SharedMetrics, refusal};

/// The first pause after an accept that failed (no file descriptor left); doubled up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
/// The longest pause after accepts that failed.
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// EAFNOSUPPORT, for which the standard library has no kind.
const NO_ADDRESS_FAMILY: i32 = 97;

/// A listener cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({protocol}): {error}: {advice}")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// What would be spoken there.
    pub protocol: &'static str,
    /// Why not.
    pub error: io::Error,
    /// What to do.
    pub advice: &'static str,
}

/// Whether TLS begins with the first octet (RFC 8314 §3).
pub fn implicit_tls(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Submissions | Protocol::Pop3s)
}

/// A bound listener.
#[derive(Debug)]
pub struct Bound {
    /// As configured.
    pub listener: Listener,
    /// Where it really listens: port 0 has become one.
    pub address: SocketAddr,
    socket: TcpListener,
}

/// Listens; `[::]` is for IPv4 too. Where the kernel has no IPv6, `[::]` becomes `0.0.0.0`.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let error = match TcpListener::bind(address).await {
        Ok(socket) => return Ok(socket),
        Err(error) => error,
    };
    let Some(instead) = without_ipv6(address, &error) else { return Err(error) };
    tracing::warn!(%address, %instead, %error, "this system has no IPv6: listening for IPv4 only");
    TcpListener::bind(instead).await
}

/// The address for IPv4 alone, where the error says that there is no IPv6.
fn without_ipv6(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let none = error.raw_os_error() == Some(NO_ADDRESS_FAMILY) || error.kind() == io::ErrorKind::AddrNotAvailable;
    (none && address.ip() == Ipv6Addr::UNSPECIFIED).then(|| (Ipv4Addr::UNSPECIFIED, address.port()).into())
}

/// Binds one listener.
pub async fn bind(listener: &Listener) -> Result<Bound, BindError> {
    let failed = |error: io::Error| BindError {
        address: listener.address,
        protocol: listener.protocol.name(),
        advice: advice(error.kind()),
        error,
    };
    let socket = listen(listener.address).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok(Bound { listener: listener.clone(), address, socket })
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => "another program listens there: stop it, or choose another port",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose one from 1024 on",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: choose one that it has",
        _ => "choose another address or port",
    }
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub stream: TcpStream,
    /// Whose.
    pub peer: SocketAddr,
    /// What is spoken.
    pub protocol: Protocol,
}

/// Serves one connection to its end.
pub type Serve = Arc<dyn Fn(Connection) -> BoxFuture<'static, ()> + Send + Sync>;

/// What all listeners share.
#[derive(Clone)]
pub struct Door {
    /// Counts.
    pub gate: Gate,
    /// Metrics.
    pub metrics: SharedMetrics,
    /// All sessions.
    pub sessions: TaskTracker,
    /// When it is cancelled, open sessions end at once.
    pub ending: CancellationToken,
    /// Serves a connection.
    pub serve: Serve,
}

/// Accepts until `closing` is cancelled.
pub async fn accept(bound: Bound, door: Door, closing: CancellationToken) {
    let mut pause = PAUSE_FIRST;
    loop {
        let accepted = tokio::select! {
            accepted = bound.socket.accept() => accepted,
            () = closing.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSE_FIRST;
                admit(&door, bound.listener.protocol, stream, peer);
            }
            // No descriptor left (EMFILE), or the peer was gone already: a loop without a pause would eat a core.
            Err(error) => {
                tracing::warn!(address = %bound.address, %error, "cannot accept a connection");
                tokio::select! {
                    () = sleep(pause) => {}
                    () = closing.cancelled() => return,
                }
                pause = PAUSE_LONGEST.min(pause * 2);
            }
        }
    }
}

fn admit(door: &Door, protocol: Protocol, stream: TcpStream, peer: SocketAddr) {
    let pass = match door.gate.enter(peer.ip(), protocol) {
        Ok(pass) => pass,
        Err(crowded) => {
            door.metrics.refused.with_label_values(&[refusal::LIMIT]).inc();
            tracing::info!(%peer, ?crowded, protocol = protocol.name(), "session refused: too many");
            if let Some(text) = refusal_text(protocol, crowded) {
                // One small write into an empty socket buffer; a client that cannot take it gets nothing.
                let _ = stream.try_write(text.as_bytes());
            }
            return;
        }
    };
    // Replies are small and answered one by one: Nagle's delay would stand between each.
    let _ = stream.set_nodelay(true);
    let session = (door.serve)(Connection { stream, peer, protocol });
    door.sessions.spawn(run(session, pass, protocol, door.metrics.clone(), door.ending.clone()));
}

async fn run(
    session: BoxFuture<'static, ()>,
    pass: Pass,
    protocol: Protocol,
    metrics: SharedMetrics,
    ending: CancellationToken,
) {
    let _pass = pass;
    let label = [protocol.name()];
    metrics.sessions.with_label_values(&label).inc();
    let open = metrics.sessions_open.with_label_values(&label);
    open.inc();
    tokio::select! {
        ended = AssertUnwindSafe(session).catch_unwind() => {
            if ended.is_err() {
                tracing::error!(protocol = protocol.name(), "a session ended by a panic; the others go on");
            }
        }
        () = ending.cancelled() => {}
    }
    open.dec();
}

/// What a refused client is told; nothing where it would have to be said over TLS.
fn refusal_text(protocol: Protocol, crowded: Crowded) -> Option<&'static str> {
    match (protocol, crowded) {
        // RFC 5321 §3.8: 421 at the greeting; RFC 3463: X.7.0, X.3.2.
        (Protocol::Smtp | Protocol::Submission, Crowded::Client) => {
            Some("421 4.7.0 Too many sessions from your address, try again later\r\n")
        }
        (Protocol::Smtp | Protocol::Submission, Crowded::Server) => {
            Some("421 4.3.2 Too many sessions, try again later\r\n")
        }
        // RFC 3206 §4.
        (Protocol::Pop3, _) => Some("-ERR [SYS/TEMP] Too many sessions, try again later\r\n"),
        (Protocol::Submissions | Protocol::Pop3s, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::{admin::metrics::Metrics, net::gate::SessionLimits};

    fn loopback(protocol: Protocol) -> Listener {
        Listener { protocol, address: "127.0.0.1:0".parse().unwrap() }
    }

    /// Greets; panics at `!`.
    fn fragile() -> Door {
        let serve: Serve = Arc::new(|mut connection| {
            async move {
                connection.stream.write_all(b"hello\n").await.unwrap();
                let octet = connection.stream.read_u8().await.unwrap();
                assert!(octet != b'!', "a mistake in a session");
                connection.stream.write_all(b"bye\n").await.unwrap();
            }
            .boxed()
        });
        Door {
            gate: Gate::new(SessionLimits { sessions: 2, sessions_per_client: 2 }),
            metrics: Arc::new(Metrics::new().unwrap()),
            sessions: TaskTracker::new(),
            ending: CancellationToken::new(),
            serve,
        }
    }

    #[test]
    fn without_ipv6_only_any_address_becomes_another() {
        let none = || io::Error::from_raw_os_error(NO_ADDRESS_FAMILY);
        let any: SocketAddr = "[::]:25".parse().unwrap();
        assert_eq!(without_ipv6(any, &none()), Some("0.0.0.0:25".parse().unwrap()));
        assert_eq!(without_ipv6(any, &io::ErrorKind::AddrNotAvailable.into()), Some("0.0.0.0:25".parse().unwrap()));
        assert_eq!(without_ipv6(any, &io::ErrorKind::AddrInUse.into()), None);
        for other in ["[::1]:25", "0.0.0.0:25", "127.0.0.1:25"] {
            assert_eq!(without_ipv6(other.parse().unwrap(), &none()), None, "{other}");
        }
    }

    #[tokio::test]
    async fn any_address_is_for_ipv4_too() {
        let socket = listen("[::]:0".parse().unwrap()).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let connected = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (_, peer) = socket.accept().await.unwrap();
        assert_eq!(peer.ip().to_canonical(), connected.local_addr().unwrap().ip());
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_session_only() {
        let bound = bind(&loopback(Protocol::Smtp)).await.unwrap();
        let (address, door, closing) = (bound.address, fragile(), CancellationToken::new());
        let accepting = tokio::spawn(accept(bound, door.clone(), closing.clone()));
        let mut other = TcpStream::connect(address).await.unwrap();
        let mut greeting = [0; 6];
        other.read_exact(&mut greeting).await.unwrap();
        // More than the limit, one after the other: a panic gives its place back.
        for _ in 0..5 {
            let mut broken = TcpStream::connect(address).await.unwrap();
            broken.read_exact(&mut greeting).await.unwrap();
            assert_eq!(&greeting, b"hello\n");
            broken.write_all(b"!").await.unwrap();
            let _ = broken.read_to_end(&mut Vec::new()).await;
            while door.sessions.len() > 1 {
                tokio::task::yield_now().await;
            }
        }
        other.write_all(b".").await.unwrap();
        let mut rest = String::new();
        other.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "bye\n");
        assert_eq!(door.metrics.sessions_open.with_label_values(&["smtp"]).get(), 0);
        closing.cancel();
        accepting.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn an_occupied_port_says_what_to_do() {
        let first = bind(&loopback(Protocol::Smtp)).await.unwrap();
        let said = bind(&Listener { protocol: Protocol::Pop3, address: first.address }).await.unwrap_err().to_string();
        let port = first.address.port().to_string();
        for part in ["cannot listen on 127.0.0.1:", &port, "(pop3)", "stop it, or choose another port"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
