//! A connection, with or without TLS, and the hand-over from one to the other.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use paquebot_proto::Tls;
use rustls::{ClientConfig, CommonState, ServerConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A TLS handshake takes that long at most.
pub const HANDSHAKE_SECONDS_MAX: Duration = Duration::from_secs(30);

/// Which side of TLS we are, if any.
#[derive(Clone)]
pub enum TlsSide {
    /// No TLS on this connection.
    None,
    /// The server, with the certificate of this moment.
    Server(Arc<ServerConfig>),
    /// The client of a server of this name.
    Client(Arc<ClientConfig>, ServerName<'static>),
}

/// A client's connection at its first octet, as the server side takes it: where `at_once` (RFC 8314 §3), the
/// handshake is done. Says what the machine has to know of TLS.
pub async fn accept(
    stream: TcpStream,
    config: Option<Arc<ServerConfig>>,
    at_once: bool,
) -> io::Result<(Transport, TlsSide, Tls)> {
    let plain = Transport::Plain(stream);
    match (config, at_once) {
        (None, true) => Err(io::Error::other("there is no certificate for a listener that begins with TLS")),
        (None, false) => Ok((plain, TlsSide::None, Tls::Unavailable)),
        (Some(config), false) => Ok((plain, TlsSide::Server(config), Tls::Available)),
        (Some(config), true) => {
            let side = TlsSide::Server(config);
            Ok((plain.secure(&side).await?, side, Tls::Active))
        }
    }
}

/// A connection.
pub enum Transport {
    /// As it came.
    Plain(TcpStream),
    /// Over TLS, we being the server.
    Server(Box<server::TlsStream<TcpStream>>),
    /// Over TLS, we being the client.
    Client(Box<client::TlsStream<TcpStream>>),
}

impl Transport {
    /// Does the handshake.
    pub async fn secure(self, side: &TlsSide) -> io::Result<Self> {
        let Self::Plain(stream) = self else {
            return Err(io::Error::other("the connection runs over TLS already"));
        };
        let handshake = async {
            match side {
                TlsSide::None => Err(io::Error::other("no TLS is set up")),
                TlsSide::Server(config) => {
                    Ok(Self::Server(Box::new(TlsAcceptor::from(config.clone()).accept(stream).await?)))
                }
                TlsSide::Client(config, name) => {
                    let connector = TlsConnector::from(config.clone());
                    Ok(Self::Client(Box::new(connector.connect(name.clone(), stream).await?)))
                }
            }
        };
        timeout(HANDSHAKE_SECONDS_MAX, handshake).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

impl Transport {
    /// Version and cipher as the registries name them; `None` in clear.
    pub fn tls(&self) -> Option<String> {
        let state: &CommonState = match self {
            Self::Plain(_) => return None,
            Self::Server(stream) => stream.get_ref().1,
            Self::Client(stream) => stream.get_ref().1,
        };
        let version = state.protocol_version()?.as_str()?.replace('_', ".");
        let cipher = state.negotiated_cipher_suite()?.suite().as_str()?.replace("TLS13_", "TLS_");
        Some(format!("{version} {cipher}"))
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Server(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Client(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Server(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Client(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Server(stream) => Pin::new(stream).poll_flush(cx),
            Self::Client(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Server(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Client(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
