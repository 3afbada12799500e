//! Where people and programs other than mail's connect: TCP, TCP with TLS, a Unix socket. One loop accepts for all.
//!
//! Bounded: connections, the handshake, a request's header, a connection's life.

use std::{
    io,
    net::SocketAddr,
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::Path,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{metrics::SharedMetrics, tls::AdminTls};
use crate::net::listener::listen;

/// Connections of one listener at once; more wait in the socket's backlog.
const CONNECTIONS_MAX: usize = 32;
/// A TLS handshake must be done by then.
const HANDSHAKE_SECONDS_MAX: Duration = Duration::from_secs(5);
/// A request's header must have come by then.
const HEADER_SECONDS_MAX: Duration = Duration::from_secs(5);
/// A connection lasts that long at most, then it takes no other request: clients open another.
const CONNECTION_SECONDS_MAX: Duration = Duration::from_secs(60);
/// The request that is under way then gets that long to end.
const LAST_REQUEST_SECONDS_MAX: Duration = Duration::from_secs(15);
/// Before another try where none could be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The Unix socket's file: its owner's only.
const SOCKET_MODE: u32 = 0o600;
/// Connections to the Unix socket that wait to be accepted.
const SOCKET_BACKLOG: u32 = 64;

/// An admin listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address of the metrics or of the admin API.
    #[error("cannot listen on {address} for {purpose}: {error}: choose another address or port")]
    Address {
        /// Where.
        address: SocketAddr,
        /// What for.
        purpose: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// The socket's path.
    #[error("cannot make the admin socket {path}: {error}: name a path in a directory that this process may write")]
    Socket {
        /// Where.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// Another process has it.
    #[error("another process answers on the admin socket {0}: stop it, or choose another adminSocket")]
    Taken(String),
}

/// Binds the address of the metrics or of the admin API.
pub async fn bind_address(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, AdminError> {
    listen(address).await.map_err(|error| AdminError::Address { address, purpose, error })
}

/// Binds the Unix socket, mode 0600. A file left over by a process that is gone is replaced; a living one is not.
pub async fn bind_socket(path: &Path) -> Result<UnixListener, AdminError> {
    use std::os::unix::fs::FileTypeExt;
    let failed = |error: io::Error| AdminError::Socket { path: path.display().to_string(), error };
    if let Ok(metadata) = tokio::fs::symlink_metadata(path).await {
        if !metadata.file_type().is_socket() {
            return Err(failed(io::Error::other("there is a file that is no socket")));
        }
        if UnixStream::connect(path).await.is_ok() {
            return Err(AdminError::Taken(path.display().to_string()));
        }
        tokio::fs::remove_file(path).await.map_err(failed)?;
    }
    listen_private(path).map_err(failed)
}

/// Others never get in: Linux makes the file with the socket's own mode, and nobody can connect before `listen`.
fn listen_private(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    make_private(&socket)?;
    socket.bind(path)?;
    std::fs::set_permissions(path, only_owner())?;
    socket.listen(SOCKET_BACKLOG)
}

/// Where the system does not know modes of sockets, the file gets its mode after it was made.
fn make_private(socket: &UnixSocket) -> io::Result<()> {
    let file = std::fs::File::from(socket.as_fd().try_clone_to_owned()?);
    file.set_permissions(only_owner()).or_else(|error| if cfg!(target_os = "linux") { Err(error) } else { Ok(()) })
}

fn only_owner() -> std::fs::Permissions {
    std::fs::Permissions::from_mode(SOCKET_MODE)
}

/// What all listeners share.
#[derive(Clone)]
pub struct Serving {
    /// Their connections.
    pub tasks: TaskTracker,
    /// When it is cancelled, all ends.
    pub closing: CancellationToken,
}

impl Serving {
    /// Serves plain HTTP at an address.
    pub async fn address(self, listener: TcpListener, routes: Router) {
        self.accept(&listener, ready, routes).await;
    }

    /// Serves the Unix socket, then removes it.
    pub async fn socket(self, listener: UnixListener, routes: Router) {
        self.accept(&listener, ready, routes).await;
        if let Some(path) = listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned)) {
            let _ = tokio::fs::remove_file(path).await;
        }
    }

    /// Serves HTTPS for clients with a certificate of the operator's.
    pub async fn mutual_tls(self, listener: TcpListener, routes: Router, tls: Arc<AdminTls>, metrics: SharedMetrics) {
        let begin = move |stream: TcpStream| {
            let (config, metrics) = (tls.current(), metrics.clone());
            async move {
                let peer = stream.peer_addr();
                let secured = timeout(HANDSHAKE_SECONDS_MAX, TlsAcceptor::from(config).accept(stream)).await;
                let secured = secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                secured.inspect_err(|error| {
                    metrics.admin_requests.with_label_values(&["handshake"]).inc();
                    tracing::warn!(?peer, %error, "a client of the admin API was refused");
                })
            }
        };
        self.accept(&listener, begin, routes).await;
    }

    async fn accept<L, B, S>(&self, listener: &L, begin: impl Fn(L::Stream) -> B, routes: Router)
    where
        L: Incoming,
        B: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Some(place) = self.place(&places).await {
            tokio::select! {
                accepted = listener.next() => match accepted {
                    Ok(stream) => {
                        let connection = connection(begin(stream), routes.clone(), place, self.closing.clone());
                        drop(self.tasks.spawn(connection));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept an admin connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = self.closing.cancelled() => return,
            }
        }
    }

    async fn place(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            place = places.clone().acquire_owned() => place.ok(),
            () = self.closing.cancelled() => None,
        }
    }
}

async fn ready<S>(stream: S) -> io::Result<S> {
    Ok(stream)
}

/// What gives connections.
trait Incoming: Sync {
    type Stream;
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Incoming for TcpListener {
    type Stream = TcpStream;
    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Incoming for UnixListener {
    type Stream = UnixStream;
    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// One connection to its end; `begin` is what comes before HTTP.
async fn connection<S>(
    begin: impl Future<Output = io::Result<S>>,
    routes: Router,
    place: OwnedSemaphorePermit,
    closing: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _place = place;
    let whole = async {
        let Ok(stream) = begin.await else { return };
        let http = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_SECONDS_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
        let mut http = pin!(http);
        if timeout(CONNECTION_SECONDS_MAX, http.as_mut()).await.is_err() {
            http.as_mut().graceful_shutdown();
            let _ = timeout(LAST_REQUEST_SECONDS_MAX, http).await;
        }
    };
    tokio::select! {
        () = whole => {}
        () = closing.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_socket_is_private_from_its_first_moment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let socket = UnixSocket::new_stream().unwrap();
        make_private(&socket).unwrap();
        socket.bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, SOCKET_MODE);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let first = bind_socket(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(bind_socket(&path).await, Err(AdminError::Taken(_))));
        drop(first);
        bind_socket(&path).await.unwrap();
        let file = directory.path().join("mail.txt");
        std::fs::write(&file, "dear").unwrap();
        assert!(matches!(bind_socket(&file).await, Err(AdminError::Socket { .. })), "never removes a file");
        assert!(file.exists());
    }
}
