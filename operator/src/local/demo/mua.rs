//! The users' programs of the demo, by our own hands: sends by SMTP submission, reads by POP3, both over TLS.
//!
//! Line by line and bounded; trusts exactly one certificate. The forger of case 5 speaks plain SMTP with it.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpSocket,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// One command and its reply.
const REPLY_SECONDS: u64 = 10;
/// Octets of a reply's line at most.
const LINE_OCTETS_MAX: u64 = 4096;
/// Lines of a reply at most.
const REPLY_LINES_MAX: usize = 100;
/// Octets of a message at most.
const MESSAGE_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// What went wrong between a user's program and the server.
#[derive(Debug, thiserror::Error)]
pub enum MuaError {
    /// The connection.
    #[error("{server}: {source}")]
    Io {
        /// Who was asked.
        server: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// No reply in time.
    #[error("{0} did not answer within {REPLY_SECONDS} s")]
    Late(SocketAddr),
    /// A reply that was not wanted.
    #[error("{server} answered \"{reply}\" to {command}")]
    Refused {
        /// Who was asked.
        server: SocketAddr,
        /// What was said; never a password.
        command: String,
        /// The whole reply.
        reply: String,
    },
    /// The certificate of the other side cannot be read.
    #[error("the certificate {0} cannot be used")]
    Certificate(String),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection that is spoken line by line.
pub struct Line {
    server: SocketAddr,
    stream: BufReader<Box<dyn Stream>>,
}

impl Line {
    /// Connects without TLS, from this address.
    pub async fn plain(server: SocketAddr, source: IpAddr) -> Result<Self, MuaError> {
        let stream = within(server, async {
            let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind(SocketAddr::new(source, 0))?;
            socket.connect(server).await
        })
        .await?;
        Ok(Self { server, stream: BufReader::new(Box::new(stream)) })
    }

    /// Connects with TLS from the first octet; trusts only the certificate in this file.
    pub async fn tls(server: SocketAddr, certificate: &Path) -> Result<Self, MuaError> {
        let wrong = || MuaError::Certificate(certificate.display().to_string());
        let pem = tokio::fs::read(certificate).await.map_err(|_| wrong())?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).map_err(|_| wrong())?).map_err(|_| wrong())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| wrong())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = within(server, async {
            let stream = tokio::net::TcpStream::connect(server).await?;
            TlsConnector::from(Arc::new(config)).connect(ServerName::from(server.ip()), stream).await
        })
        .await?;
        Ok(Self { server, stream: BufReader::new(Box::new(stream)) })
    }

    /// Says a line.
    pub async fn say(&mut self, line: &str) -> Result<(), MuaError> {
        self.send(format!("{line}\r\n").as_bytes()).await
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), MuaError> {
        let stream = &mut self.stream;
        within(self.server, async {
            stream.write_all(octets).await?;
            stream.flush().await
        })
        .await
    }

    /// Hears a line, without its end.
    async fn hear(&mut self) -> Result<Vec<u8>, MuaError> {
        let stream = &mut self.stream;
        within(self.server, async {
            let mut line = Vec::new();
            stream.take(LINE_OCTETS_MAX).read_until(b'\n', &mut line).await?;
            match line.strip_suffix(b"\r\n") {
                Some(text) => Ok(text.to_vec()),
                None => Err(std::io::Error::other("the connection ended within a line")),
            }
        })
        .await
    }

    /// Hears an SMTP reply (RFC 5321 §4.2): its code and its lines.
    pub async fn reply(&mut self) -> Result<(u16, String), MuaError> {
        let mut text = String::new();
        for _ in 0..REPLY_LINES_MAX {
            let line = String::from_utf8_lossy(&self.hear().await?).into_owned();
            let last = line.as_bytes().get(3) != Some(&b'-');
            text.push_str(&line);
            if last {
                let code = line.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
                return Ok((code, text));
            }
            text.push('\n');
        }
        Err(self.refused("a command", "a reply without end"))
    }

    /// Says a command and wants this code.
    async fn want(&mut self, command: &str, shown: &str, code: u16) -> Result<String, MuaError> {
        self.say(command).await?;
        match self.reply().await? {
            (got, text) if got == code => Ok(text),
            (_, text) => Err(self.refused(shown, &text)),
        }
    }

    fn refused(&self, command: &str, reply: &str) -> MuaError {
        MuaError::Refused { server: self.server, command: command.to_owned(), reply: reply.to_owned() }
    }
}

async fn within<T>(server: SocketAddr, work: impl Future<Output = std::io::Result<T>>) -> Result<T, MuaError> {
    match timeout(Duration::from_secs(REPLY_SECONDS), work).await {
        Ok(done) => done.map_err(|source| MuaError::Io { server, source }),
        Err(_) => Err(MuaError::Late(server)),
    }
}

/// A user who logs in.
#[derive(Clone)]
pub struct User {
    /// The login name.
    pub address: String,
    /// Never shown.
    pub password: String,
}

/// Submits a message with a login (RFC 6409, RFC 8314 §3.3); gives the reply to it.
pub async fn submit(line: &mut Line, user: &User, to: &str, message: &[u8]) -> Result<String, MuaError> {
    greet(line).await?;
    let login = STANDARD.encode(format!("\0{}\0{}", user.address, user.password));
    line.want(&format!("AUTH PLAIN {login}"), "AUTH PLAIN", 235).await?;
    match transact(line, &user.address, to, message).await? {
        (250, reply) => Ok(reply),
        (_, reply) => Err(line.refused("the message", &reply)),
    }
}

/// Hands a message in without a login, as other servers do; gives the first reply that is a refusal, or the last.
pub async fn relay(line: &mut Line, from: &str, to: &str, message: &[u8]) -> Result<(u16, String), MuaError> {
    greet(line).await?;
    transact(line, from, to, message).await
}

async fn greet(line: &mut Line) -> Result<(), MuaError> {
    match line.reply().await? {
        (220, _) => {}
        (_, text) => return Err(line.refused("the connection", &text)),
    }
    line.want("EHLO mua.example", "EHLO", 250).await.map(drop)
}

async fn transact(line: &mut Line, from: &str, to: &str, message: &[u8]) -> Result<(u16, String), MuaError> {
    for (command, wanted) in
        [(format!("MAIL FROM:<{from}>"), 250), (format!("RCPT TO:<{to}>"), 250), ("DATA".to_owned(), 354)]
    {
        line.say(&command).await?;
        let (code, text) = line.reply().await?;
        if code != wanted {
            return Ok((code, text));
        }
    }
    line.send(&stuffed(message)).await?;
    let end = line.reply().await?;
    line.say("QUIT").await?;
    Ok(end)
}

/// With a dot before each line that starts with one, and the end (RFC 5321 §4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(message.len() + 8);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.first() == Some(&b'.') {
            octets.push(b'.');
        }
        octets.extend_from_slice(line);
    }
    if !octets.ends_with(b"\r\n") && !octets.is_empty() {
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(b".\r\n");
    octets
}

/// All messages of a user's mailbox by POP3 (RFC 1939); they stay there.
pub async fn fetch(line: &mut Line, user: &User) -> Result<Vec<Vec<u8>>, MuaError> {
    positive(line, "the connection").await?;
    line.say(&format!("USER {}", user.address)).await?;
    positive(line, "USER").await?;
    line.say(&format!("PASS {}", user.password)).await?;
    positive(line, "PASS").await?;
    line.say("STAT").await?;
    let stat = positive(line, "STAT").await?;
    let count: usize = stat.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or(0);
    let mut messages = Vec::new();
    for number in 1..=count {
        line.say(&format!("RETR {number}")).await?;
        positive(line, "RETR").await?;
        messages.push(body(line).await?);
    }
    line.say("QUIT").await?;
    positive(line, "QUIT").await?;
    Ok(messages)
}

async fn positive(line: &mut Line, command: &str) -> Result<String, MuaError> {
    let reply = String::from_utf8_lossy(&line.hear().await?).into_owned();
    if reply.starts_with("+OK") { Ok(reply) } else { Err(line.refused(command, &reply)) }
}

/// A multi-line answer, its dots removed.
async fn body(line: &mut Line) -> Result<Vec<u8>, MuaError> {
    let mut octets = Vec::new();
    loop {
        let text = line.hear().await?;
        if text == b"." {
            return Ok(octets);
        }
        if octets.len() > MESSAGE_OCTETS_MAX {
            return Err(line.refused("RETR", "a message that is too long"));
        }
        octets.extend_from_slice(text.strip_prefix(b".").unwrap_or(&text));
        octets.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots() {
        for (message, wire) in [
            ("a\r\n", "a\r\n.\r\n"),
            ("", ".\r\n"),
            (".\r\n..\r\na", "..\r\n...\r\na\r\n.\r\n"),
            ("a.\r\n", "a.\r\n.\r\n"),
        ] {
            assert_eq!(stuffed(message.as_bytes()), wire.as_bytes(), "{message:?}");
        }
    }
}
