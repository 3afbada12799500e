//! An MTA with the admin API, authorities that make certificates, and a client that speaks HTTP by hand.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use paquebot_mta_api::{
    admin::{Bucket, Change, DirectoryState},
    config::Admin,
    directory::Entry,
};
use paquebot_tests::{mta::Mta, zones::Fault};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use uuid::Uuid;

pub const SERVER: Uuid = Uuid::from_u128(77);
pub const SERVER_NAME: &str = "server.example";
/// Nothing takes longer.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate to be made.
pub struct Wanted<'a> {
    pub uri: &'a str,
    pub uses: &'a [ExtendedKeyUsagePurpose],
    pub expired: bool,
}

/// What the operator has.
pub const OPERATOR: Wanted<'_> =
    Wanted { uri: Admin::OPERATOR_URI, uses: &[ExtendedKeyUsagePurpose::ClientAuth], expired: false };

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key in PEM.
    pub fn make(&self, wanted: &Wanted<'_>) -> (String, String) {
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
        if !wanted.uri.is_empty() {
            params.subject_alt_names.push(SanType::URI(wanted.uri.try_into().unwrap()));
        }
        params.extended_key_usages = wanted.uses.to_vec();
        if wanted.expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
        }
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// The server's own.
    pub fn make_server(&self) -> (String, String) {
        let uri = format!("urn:paquebot:mailserver:{SERVER}");
        self.make(&Wanted { uri: &uri, uses: &[ExtendedKeyUsagePurpose::ServerAuth], expired: false })
    }
}

/// A server with the API, and the authority of its certificate and its clients.
pub struct Bench {
    pub mta: Mta,
    pub authority: Authority,
    pub admin: Admin,
}

impl Bench {
    /// Without a directory.
    pub async fn start() -> Result<Self, Fault> {
        let authority = Authority::new();
        let mut made = None;
        let mta = Mta::start_empty(|config| {
            let folder = config.tls.as_ref().unwrap().certificate.parent().unwrap().to_owned();
            let (certificate, key) = authority.make_server();
            let write = |name: &str, text: &str| -> PathBuf {
                std::fs::write(folder.join(name), text).unwrap();
                folder.join(name)
            };
            let admin = Admin {
                address: "127.0.0.1:0".parse().unwrap(),
                certificate: write("admin.crt", &certificate),
                key: write("admin.key", &key),
                client_authority: write("clients.crt", &authority.pem()),
                server: SERVER,
            };
            made = Some(admin.clone());
            config.admin = Some(admin);
        })
        .await?;
        Ok(Self { mta, authority, admin: made.ok_or("no admin")? })
    }

    pub fn address(&self) -> SocketAddr {
        self.mta.server.as_ref().unwrap().admin_address().unwrap()
    }

    /// A client with a certificate of this authority.
    pub fn client_of(&self, authority: &Authority, wanted: &Wanted<'_>) -> Client {
        Client::new(self, Some(authority.make(wanted)), &rustls::version::TLS13)
    }

    pub fn operator(&self) -> Client {
        self.client_of(&self.authority, &OPERATOR)
    }
}

/// A client of the API: each request on a connection of its own.
pub struct Client {
    connector: TlsConnector,
    address: SocketAddr,
}

impl Client {
    pub fn new(bench: &Bench, own: Option<(String, String)>, version: &'static SupportedProtocolVersion) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(bench.authority.pem().as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        Self { connector: TlsConnector::from(Arc::new(config)), address: bench.address() }
    }

    pub async fn connect(&self) -> Result<TlsStream<TcpStream>, Fault> {
        let stream = TcpStream::connect(self.address).await?;
        Ok(timeout(WAIT_MAX, self.connector.connect(ServerName::try_from(SERVER_NAME)?, stream)).await??)
    }

    /// Says these octets; gives status and body.
    pub async fn say(&self, request: &[u8]) -> Result<(u16, String), Fault> {
        let (mut reader, mut writer) = tokio::io::split(self.connect().await?);
        let mut answer = Vec::new();
        let reading = async {
            let mut octets = vec![0; 64 * 1024];
            loop {
                match reader.read(&mut octets).await {
                    Ok(0) => return Ok(()),
                    Ok(count) => answer.extend_from_slice(&octets[..count]),
                    Err(error) if answer.is_empty() => return Err(error),
                    Err(_) => return Ok(()),
                }
                if is_whole(&answer) {
                    return Ok(());
                }
            }
        };
        // What is refused early is not read to its end: whoever writes without reading would wait for ever.
        let writing = async {
            let _ = writer.write_all(request).await;
            std::future::pending::<()>().await;
        };
        timeout(WAIT_MAX, async {
            tokio::select! {
                read = reading => read,
                () = writing => Ok(()),
            }
        })
        .await??;
        let answer = String::from_utf8(answer)?;
        let status = answer.get(9..12).ok_or("no answer")?.parse()?;
        Ok((status, answer.split_once("\r\n\r\n").ok_or("no body")?.1.to_owned()))
    }

    pub async fn request(&self, method: &str, path: &str, body: &[u8]) -> Result<(u16, Value), Fault> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
            Content-Length: {}\r\n\r\n",
            body.len()
        );
        let (status, body) = self.say(&[head.as_bytes(), body].concat()).await?;
        Ok((status, serde_json::from_str(&body).unwrap_or_default()))
    }

    pub async fn get(&self, path: &str) -> Result<Value, Fault> {
        let (status, body) = self.request("GET", path, b"").await?;
        assert_eq!(status, 200, "{path}: {body}");
        Ok(body)
    }

    pub async fn state(&self) -> Result<DirectoryState, Fault> {
        Ok(serde_json::from_value(self.get("/v1/directory").await?)?)
    }

    pub async fn bucket(&self, path: &str) -> Result<Bucket, Fault> {
        Ok(serde_json::from_value(self.get(path).await?)?)
    }

    /// The revision, or status and reason.
    pub async fn change(&self, change: &Change) -> Result<Result<u64, (u16, String)>, Fault> {
        let (status, body) = self.request("POST", "/v1/directory", &serde_json::to_vec(change)?).await?;
        Ok(match status {
            200 => Ok(body["revision"].as_u64().ok_or("no revision")?),
            _ => Err((status, body["reason"].as_str().unwrap_or_default().to_owned())),
        })
    }
}

pub fn put(epoch: u64, base: u64, put: Vec<Entry>) -> Change {
    Change { epoch, base, put, delete: vec![], complete: false }
}

/// Whether an answer has as many octets as its head says.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}
