//! An MTA in the test's own process: real SQLite, real sockets on 127.0.0.1, a DNS server with the zones given.

use std::{path::Path, sync::Arc, time::Duration};

use paquebot_mta::{serve::Server, store::DirectoryChange};
use paquebot_mta_api::{
    config::{self, Config, Listener, Protocol},
    directory::{AliasEntry, DomainEntry, Entry, LoginKeys, MailboxEntry, Value},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use uuid::Uuid;

use crate::zones::{Fault, Zones};

/// The host's name, also the certificate's.
pub const HOSTNAME: &str = "mail.example.org";
/// Everybody's password.
pub const PASSWORD: &str = "secret";
/// Nothing in a test takes longer.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// A running MTA.
pub struct Mta {
    /// The server; `None` once it was drained.
    pub server: Option<Server>,
    /// What it was started with.
    pub config: Config,
    /// Its data.
    pub folder: TempDir,
    _zones: Zones,
}

fn protocols() -> [Protocol; 5] {
    [Protocol::Smtp, Protocol::Submission, Protocol::Submissions, Protocol::Pop3, Protocol::Pop3s]
}

/// Makes a certificate for [`HOSTNAME`] in this folder.
pub fn certify(folder: &Path) -> Result<config::Tls, Fault> {
    let made = rcgen::generate_simple_self_signed(vec![HOSTNAME.to_owned()])?;
    let files = config::Tls { certificate: folder.join("tls.crt"), key: folder.join("tls.key") };
    std::fs::write(&files.certificate, made.cert.pem())?;
    std::fs::write(&files.key, made.signing_key.serialize_pem())?;
    Ok(files)
}

/// The domain example.org with its users.
pub fn entries() -> Result<Vec<Entry>, Fault> {
    let keys = LoginKeys::derive(PASSWORD, b"0123456789abcdef", 4096, b"");
    let mailbox = |address: &str, account, quota_bytes| -> Result<Value, Fault> {
        let account = Uuid::from_u128(account);
        Ok(Value::Mailbox(MailboxEntry { address: address.parse()?, account, quota_bytes, login: Some(keys.clone()) }))
    };
    let domain = "example.org".parse()?;
    let values = [
        Value::Domain(DomainEntry { domain, id: Uuid::from_u128(1), catch_all: None }),
        mailbox("bob@example.org", 2, None)?,
        mailbox("carol@example.org", 3, None)?,
        mailbox("full@example.org", 4, Some(0))?,
        Value::Alias(AliasEntry { address: "info@example.org".parse()?, to: vec!["bob@example.org".parse()?] }),
    ];
    Ok(values.into_iter().map(|value| Entry::new(Uuid::from_u128(9), value)).collect())
}

/// The sender's zone.
async fn zones() -> Result<Zones, Fault> {
    Zones::serve(&[("sender.example.", "@ 60 IN TXT \"v=spf1 ip4:127.0.0.1 -all\"\n")]).await
}

impl Mta {
    /// Starts one whose configuration `change` may change, with its users.
    pub async fn start(change: impl FnOnce(&mut Config)) -> Result<Self, Fault> {
        let mta = Self::start_empty(change).await?;
        let change = DirectoryChange { epoch: 1, put: entries()?, complete: true, ..DirectoryChange::default() };
        mta.server()?.store().change_directory(change).await?;
        mta.server()?.directory_changed().await?;
        Ok(mta)
    }

    /// Starts one that has no directory yet.
    pub async fn start_empty(change: impl FnOnce(&mut Config)) -> Result<Self, Fault> {
        let zones = zones().await?;
        let folder = tempfile::tempdir()?;
        let listener =
            |protocol| -> Result<Listener, Fault> { Ok(Listener { protocol, address: "127.0.0.1:0".parse()? }) };
        let mut config = Config {
            version: config::CONFIG_VERSION,
            hostname: HOSTNAME.parse()?,
            listeners: protocols().into_iter().map(listener).collect::<Result<_, _>>()?,
            tls: Some(certify(folder.path())?),
            store: config::Store::Sqlite {
                directory: folder.path().join("store"),
                seal_key: folder.path().join("seal.key"),
            },
            metrics: Some("127.0.0.1:0".parse()?),
            admin_socket: Some(folder.path().join("admin.sock")),
            admin: None,
            resolvers: vec![zones.address],
            delivery: config::Delivery::default(),
            limits: config::Limits::default(),
        };
        change(&mut config);
        let server = Server::start(config.clone()).await?;
        Ok(Self { server: Some(server), config, folder, _zones: zones })
    }

    /// The running server.
    pub fn server(&self) -> Result<&Server, Fault> {
        self.server.as_ref().ok_or_else(|| "it was drained".into())
    }

    /// A connection in clear.
    pub async fn connect(&self, protocol: Protocol) -> Result<Talk<TcpStream>, Fault> {
        let listeners = self.server()?.listeners().await;
        let (_, address) = listeners.iter().find(|(it, _)| it.protocol == protocol).ok_or("no such listener")?;
        Ok(Talk::new(TcpStream::connect(address).await?))
    }

    /// TLS over this connection, trusting the certificate's file as it is now.
    pub async fn secure(
        &self,
        talk: Talk<TcpStream>,
    ) -> Result<Talk<tokio_rustls::client::TlsStream<TcpStream>>, Fault> {
        let files = self.config.tls.as_ref().ok_or("no TLS")?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&files.certificate)?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect(ServerName::try_from(HOSTNAME)?, talk.stream.into_inner()).await?;
        Ok(Talk::new(stream))
    }

    /// Logged in at the submission port with TLS from the first octet.
    pub async fn submit_as(&self, user: &str) -> Result<Talk<tokio_rustls::client::TlsStream<TcpStream>>, Fault> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let mut talk = self.secure(self.connect(Protocol::Submissions).await?).await?;
        talk.reply().await?;
        talk.say("EHLO client.example").await?;
        let proof = STANDARD.encode(format!("\0{user}\0{PASSWORD}"));
        let reply = talk.say(&format!("AUTH PLAIN {proof}")).await?;
        if reply.starts_with("235") { Ok(talk) } else { Err(reply.into()) }
    }

    /// The messages in an account's mailbox, once there is one: whole, as POP3 would give them.
    pub async fn stored(&self, account: u128, mailbox: &str) -> Result<Vec<String>, Fault> {
        let store = self.server()?.store();
        let account = paquebot_mta::store::AccountId(Uuid::from_u128(account));
        let wait = async {
            loop {
                if let Some(state) = store.mailbox(account, mailbox).await?
                    && let mails = store.mails(state.id, 100).await?
                    && !mails.is_empty()
                {
                    let mut all = Vec::new();
                    for mail in mails {
                        let content = store.mail(state.id, mail.uid).await?;
                        let body = store.read_body(&content.message, 0..1024 * 1024).await?;
                        let message = &content.message;
                        let octets = [&content.copy_fields[..], &message.prefix, &message.header, &body].concat();
                        all.push(String::from_utf8_lossy(&octets).into_owned());
                    }
                    return Ok::<_, Fault>(all);
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(WAIT_MAX, wait).await?
    }
}

/// A conversation line by line.
pub struct Talk<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// The next reply, all its lines; empty where the connection ended.
    pub async fn reply(&mut self) -> Result<String, Fault> {
        let mut all = String::new();
        loop {
            let start = all.len();
            let octets = timeout(WAIT_MAX, self.stream.read_line(&mut all)).await??;
            if octets == 0 || all.get(start + 3..start + 4) != Some("-") {
                return Ok(all);
            }
        }
    }

    /// Says a line; gives the reply.
    pub async fn say(&mut self, line: &str) -> Result<String, Fault> {
        self.send(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    /// Sends octets.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), Fault> {
        timeout(WAIT_MAX, self.stream.write_all(octets)).await??;
        timeout(WAIT_MAX, self.stream.flush()).await??;
        Ok(())
    }

    /// All until the peer closes.
    pub async fn rest(&mut self) -> Result<String, Fault> {
        let mut all = Vec::new();
        let _ = timeout(WAIT_MAX, self.stream.read_to_end(&mut all)).await?;
        Ok(String::from_utf8_lossy(&all).into_owned())
    }

    /// MAIL and RCPT, DATA, the message: the first reply that refuses, or the last one.
    pub async fn mail(&mut self, from: &str, to: &str, message: &str) -> Result<String, Fault> {
        for line in [format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"), "DATA".to_owned()] {
            let reply = self.say(&line).await?;
            if !reply.starts_with(['2', '3']) {
                self.say("RSET").await?;
                return Ok(reply);
            }
        }
        self.say(&format!("{message}\r\n.")).await
    }
}
