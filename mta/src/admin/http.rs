//! HTTP for Prometheus, for probes, and for `queue` and `trace` over a Unix socket.
//!
//! Reads only. Bounded: connections, the time of a request, the size of an answer. Shows no body of a message.

use std::{
    io,
    net::SocketAddr,
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use paquebot_mta_api::journey::Queued;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixSocket, UnixStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::health::Health;
use crate::{
    message::MessageId,
    store::{JourneyOf, RecipientIndex, Store, StoreError},
};

/// Connections at once; more wait in the socket's backlog.
const CONNECTIONS_MAX: usize = 32;
/// A request's header must have come by then.
const HEADER_SECONDS_MAX: Duration = Duration::from_secs(5);
/// A connection lasts that long at most: scrapers open another.
const CONNECTION_SECONDS_MAX: Duration = Duration::from_secs(60);
/// The Unix socket's file: its owner's only.
const SOCKET_MODE: u32 = 0o600;
/// Connections to the Unix socket that wait to be accepted.
const SOCKET_BACKLOG: u32 = 64;
/// Steps of a journey in one answer.
const EVENTS_MAX: usize = 1000;
/// Rows of the queue in one answer.
const QUEUE_ROWS_MAX: usize = 1000;
/// Rows of the queue where the question names no limit.
const QUEUE_ROWS_DEFAULT: usize = 100;

/// `/metrics`, `/healthz`, `/readyz`.
pub fn metrics_routes(health: Health) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(health)
}

/// `/v1/journey`, `/v1/queue`.
pub fn people_routes(store: Store) -> Router {
    Router::new().route("/v1/journey", get(journey)).route("/v1/queue", get(queue)).with_state(store)
}

async fn metrics(State(health): State<Health>) -> Response {
    health.refresh().await;
    match health.metrics().text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn healthz(State(health): State<Health>) -> Response {
    said(health.alive().await)
}

async fn readyz(State(health): State<Health>) -> Response {
    said(health.ready().await)
}

fn said(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct JourneyQuestion {
    message_id: Option<String>,
    id: Option<Uuid>,
}

async fn journey(State(store): State<Store>, Query(question): Query<JourneyQuestion>) -> Response {
    let of = match (question.message_id, question.id) {
        (Some(field), None) => JourneyOf::MessageIdField(field.trim().trim_matches(['<', '>']).to_owned()),
        (None, Some(id)) => JourneyOf::Message(MessageId(id)),
        _ => return wrong("ask for either message-id= or id="),
    };
    match store.journey(of, EVENTS_MAX).await {
        Ok(events) => Json(events).into_response(),
        Err(error) => unavailable(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueQuestion {
    limit: Option<usize>,
    after: Option<String>,
}

/// A page of the queue.
#[derive(Debug, Serialize)]
pub struct QueuePage {
    /// Oldest first.
    pub items: Vec<Queued>,
    /// For `after=`, where there may be more.
    pub next: Option<String>,
}

async fn queue(State(store): State<Store>, Query(question): Query<QueueQuestion>) -> Response {
    let limit = question.limit.unwrap_or(QUEUE_ROWS_DEFAULT).clamp(1, QUEUE_ROWS_MAX);
    let after = match question.after.as_deref().map(read_mark) {
        Some(None) => return wrong("after= takes what `next` of the page before says"),
        Some(mark) => mark,
        None => None,
    };
    match store.queue(after, limit).await {
        Ok(rows) => {
            let next = (rows.len() == limit).then(|| rows.last().map(|(index, row)| mark(row.message, *index)));
            Json(QueuePage { next: next.flatten(), items: rows.into_iter().map(|(_, row)| row).collect() })
                .into_response()
        }
        Err(error) => unavailable(&error),
    }
}

/// A place in the queue: message and recipient.
fn mark(message: Uuid, index: RecipientIndex) -> String {
    format!("{}.{}", message.simple(), index.0)
}

fn read_mark(text: &str) -> Option<(MessageId, RecipientIndex)> {
    let (message, index) = text.split_once('.')?;
    Some((MessageId(message.parse().ok()?), RecipientIndex(index.parse().ok()?)))
}

fn wrong(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
}

fn unavailable(error: &StoreError) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
}

/// An admin listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The metrics address.
    #[error("cannot listen on {address} for metrics: {error}: choose another address or port")]
    Metrics {
        /// Where.
        address: SocketAddr,
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

/// Binds the metrics address.
pub async fn bind_metrics(address: SocketAddr) -> Result<TcpListener, AdminError> {
    TcpListener::bind(address).await.map_err(|error| AdminError::Metrics { address, error })
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

/// Serves the metrics address until `closing`.
pub async fn serve_metrics(listener: TcpListener, routes: Router, tasks: TaskTracker, closing: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Some(place) = place(&places, &closing).await {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tasks.spawn(serve(stream, routes.clone(), place, closing.clone()))),
                Err(error) => pause(&error).await,
            },
            () = closing.cancelled() => return,
        }
    }
}

/// Serves the Unix socket until `closing`, then removes it.
pub async fn serve_socket(listener: UnixListener, routes: Router, tasks: TaskTracker, closing: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Some(place) = place(&places, &closing).await {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tasks.spawn(serve(stream, routes.clone(), place, closing.clone()))),
                Err(error) => pause(&error).await,
            },
            () = closing.cancelled() => break,
        }
    }
    if let Some(path) = listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned)) {
        let _ = tokio::fs::remove_file(path).await;
    }
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn place(places: &Arc<Semaphore>, closing: &CancellationToken) -> Option<Place> {
    tokio::select! {
        place = places.clone().acquire_owned() => place.ok(),
        () = closing.cancelled() => None,
    }
}

async fn pause(error: &io::Error) {
    tracing::warn!(%error, "cannot accept an admin connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn serve<S>(stream: S, routes: Router, place: Place, closing: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _place = place;
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_SECONDS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::select! {
        _ = timeout(CONNECTION_SECONDS_MAX, connection) => {}
        () = closing.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_nonsense_does_not() {
        let id = Uuid::now_v7();
        assert_eq!(read_mark(&mark(id, RecipientIndex(7))), Some((MessageId(id), RecipientIndex(7))));
        for text in ["", ".", "x.1", "1", "00000000000000000000000000000000.", "00000000000000000000000000000000.-1"] {
            assert_eq!(read_mark(text), None, "{text}");
        }
    }

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
