//! The way out: a connection to a next host, made from the configured address.
//!
//! Knows no DNS and no protocol: who is called, and what is said, is [`crate::deliver`]'s.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// A host that does not answer a connection within that time is down; RFC 5321 names no figure.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects to `target`, from `source` where one is set.
///
/// # Errors
/// The system's; [`io::ErrorKind::TimedOut`] for a host that is silent.
pub async fn connect(target: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = timeout(CONNECT_TIMEOUT, socket.connect(target)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    // Commands are small and wait for replies.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_host_sees_the_source_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let source: IpAddr = "127.0.0.9".parse().unwrap();
        let ours = connect(listener.local_addr().unwrap(), Some(source)).await.unwrap();
        let (_theirs, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip(), source);
        assert!(ours.nodelay().unwrap());
    }

    #[tokio::test]
    async fn nobody_there_and_a_source_that_is_not_ours_are_errors() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(connect(target, None).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let foreign = Some("192.0.2.1".parse().unwrap());
        assert_eq!(connect(target, foreign).await.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
