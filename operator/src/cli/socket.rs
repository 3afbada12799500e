//! Asks a running MTA over its Unix socket: HTTP, JSON, bounded in size and in time.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// Octets of an answer at most.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long an answer may take.
const ANSWER_SECONDS: u64 = 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Nobody listens there.
    #[error(
        "no MTA answers at {path} ({source}): start one with `paquebot up`, or name its data directory with --data"
    )]
    Absent {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It did not answer in time.
    #[error("the MTA at {0} did not answer within {ANSWER_SECONDS} s: it may be stopping, try again")]
    Late(PathBuf),
    /// It said no.
    #[error("the MTA at {path} answered {status}: {text}")]
    Refused {
        /// The socket.
        path: PathBuf,
        /// The status.
        status: StatusCode,
        /// What it said.
        text: String,
    },
    /// What came is not an answer.
    #[error("what answers at {path} is not this version's MTA: {reason}; look at who listens there")]
    Strange {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Gets a path with this query; `None` where the MTA says that there is no such thing.
pub async fn get<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Option<T>, SocketError> {
    let answer = tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS), exchange(socket, path, query));
    let (status, body) = answer.await.map_err(|_| SocketError::Late(socket.to_owned()))??;
    match status {
        StatusCode::OK => serde_json::from_slice(&body).map(Some).map_err(|error| strange(socket, error)),
        StatusCode::NOT_FOUND => Ok(None),
        _ => {
            let text: String = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(200).collect();
            Err(SocketError::Refused { path: socket.to_owned(), status, text })
        }
    }
}

fn strange(socket: &Path, reason: impl ToString) -> SocketError {
    SocketError::Strange { path: socket.to_owned(), reason: reason.to_string() }
}

async fn exchange(socket: &Path, path: &str, query: &[(&str, &str)]) -> Result<(StatusCode, Bytes), SocketError> {
    let stream =
        UnixStream::connect(socket).await.map_err(|source| SocketError::Absent { path: socket.to_owned(), source })?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| strange(socket, error))?;
    let request = Request::get(target(path, query))
        .header("host", "mta")
        .body(Empty::<Bytes>::new())
        .map_err(|error| strange(socket, error))?;
    let ask = async {
        let response = sender.send_request(request).await.map_err(|error| strange(socket, error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|error| strange(socket, error))?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(ask);
    tokio::select! {
        answer = &mut ask => answer,
        // The connection ends with the answer or before it; the answer says which.
        _ = connection => ask.await,
    }
}

/// The path with its query, each value percent-encoded (RFC 3986 §2.1).
fn target(path: &str, query: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for octet in value.bytes() {
            match octet {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(octet)),
                _ => text.push_str(&format!("%{octet:02X}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_people_type() {
        assert_eq!(
            target("/v1/journey", &[("message-id", "a+b@x&id=1 \r\nü"), ("limit", "5")]),
            "/v1/journey?message-id=a%2Bb%40x%26id%3D1%20%0D%0A%C3%BC&limit=5"
        );
    }

    #[tokio::test]
    async fn nobody_there() {
        let base = tempfile::tempdir().unwrap();
        let fault = get::<u32>(&base.path().join("mta.sock"), "/v1/queue", &[]).await.unwrap_err();
        assert!(fault.to_string().contains("paquebot up"), "{fault}");
    }

    #[tokio::test]
    async fn each_answer() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        for (answer, outcome) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n42", "Ok(Some(42))"),
            ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n42", "Ok(Some(42))"),
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "Ok(None)"),
            ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 6\r\n\r\nno\x1b[2J", "503"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "not this version"),
            ("220 mail ESMTP\r\n", "not this version"),
            ("", "not this version"),
        ] {
            let base = tempfile::tempdir().unwrap();
            let path = base.path().join("mta.sock");
            let listener = tokio::net::UnixListener::bind(&path).unwrap();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
            let shown = match get::<u32>(&path, "/v1/x", &[]).await {
                Ok(value) => format!("Ok({value:?})"),
                Err(error) => error.to_string(),
            };
            assert!(shown.contains(outcome) && !shown.contains('\x1b'), "{answer:?}: {shown}");
            server.await.unwrap();
        }
    }
}
