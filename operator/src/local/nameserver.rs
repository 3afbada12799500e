//! An authoritative DNS server on a loopback address: zones from text, replaced at run time, and an empty root.
//!
//! It serves what it is given and nothing else: no recursion, no transfer, no update. Never meant for a public address.

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hickory_server::{
    Server,
    net::runtime::Time,
    proto::{
        rr::{LowerName, Name, RecordType, RrKey},
        serialize::txt::Parser,
    },
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneType},
};
use tokio::net::{TcpListener, UdpSocket};

/// How long a TCP client may stay silent.
const TCP_IDLE_SECONDS: u64 = 5;
/// Answers that may wait for one TCP client.
const TCP_ANSWERS_MAX: usize = 16;
/// Tries to find one port that is free for UDP and for TCP.
const PORT_TRIES_MAX: usize = 20;
/// Seconds that an answer may be kept, also a negative one: zones change while the demo runs.
const TTL_SECONDS: u32 = 1;

/// What is wrong with a zone or with the address.
#[derive(Debug, thiserror::Error)]
pub enum NameServerError {
    /// The address cannot be had.
    #[error("the name server cannot listen on {address}: {source}; give another address or stop what listens there")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The zone text cannot be read.
    #[error("zone {origin} cannot be served: {reason}; look at what `paquebot dns` prints for it")]
    Zone {
        /// The zone's name.
        origin: String,
        /// Why not.
        reason: String,
    },
    /// Only a server on a loopback address may be made up.
    #[error("the name server is for 127.0.0.0/8 and ::1 only, not for {0}")]
    NotLoopback(IpAddr),
}

/// A zone: its name and its records in the form of RFC 1035 §5. An SOA and an NS are added where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// The zone's name, with or without the last dot.
    pub origin: String,
    /// Its records.
    pub text: String,
}

/// A running server; it ends when this is dropped.
pub struct NameServer {
    address: SocketAddr,
    current: Arc<RwLock<Arc<Catalog>>>,
    server: Server<Current>,
}

impl NameServer {
    /// Serves the zones over UDP and TCP. Port 0: any port that is free for both.
    pub async fn start(address: SocketAddr, zones: &[Zone]) -> Result<Self, NameServerError> {
        if !address.ip().is_loopback() {
            return Err(NameServerError::NotLoopback(address.ip()));
        }
        let current = Arc::new(RwLock::new(Arc::new(catalog(zones)?)));
        let (udp, tcp, address) = bind(address).await?;
        let mut server = Server::new(Current(current.clone()));
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(TCP_IDLE_SECONDS), TCP_ANSWERS_MAX);
        Ok(Self { address, current, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves these zones instead, all at once; where one is wrong, the old ones stay.
    pub fn replace(&self, zones: &[Zone]) -> Result<(), NameServerError> {
        let next = Arc::new(catalog(zones)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.server.shutdown_token().cancel();
    }
}

/// One port for both transports: the system gives a UDP port, TCP may find it taken.
async fn bind(wanted: SocketAddr) -> Result<(UdpSocket, TcpListener, SocketAddr), NameServerError> {
    let fault = |source| NameServerError::Bind { address: wanted, source };
    let mut tries = 0;
    loop {
        let udp = UdpSocket::bind(wanted).await.map_err(fault)?;
        let address = udp.local_addr().map_err(fault)?;
        match TcpListener::bind(address).await {
            Ok(tcp) => return Ok((udp, tcp, address)),
            Err(error) if wanted.port() != 0 || tries >= PORT_TRIES_MAX => return Err(fault(error)),
            Err(_) => tries += 1,
        }
    }
}

/// All zones, and the root: without it a name outside of them would be REFUSED, which a resolver takes for a fault,
/// not for an answer.
fn catalog(zones: &[Zone]) -> Result<Catalog, NameServerError> {
    let mut catalog = Catalog::new();
    let root = Zone { origin: ".".to_owned(), text: String::new() };
    for zone in std::iter::once(&root).chain(zones) {
        let handler = handler(zone).map_err(|reason| NameServerError::Zone { origin: zone.origin.clone(), reason })?;
        catalog.upsert(handler.0, vec![Arc::new(handler.1)]);
    }
    Ok(catalog)
}

fn handler(zone: &Zone) -> Result<(LowerName, InMemoryZoneHandler), String> {
    let mut origin = Name::from_ascii(&zone.origin).map_err(|error| error.to_string())?;
    origin.set_fqdn(true);
    let head = format!("@ IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 {TTL_SECONDS}\n@ IN NS ns.invalid.\n");
    let read = |text: &str| {
        let text = format!("$TTL {TTL_SECONDS}\n{text}");
        Parser::new(text, None, Some(origin.clone())).parse().map_err(|error| error.to_string())
    };
    let (_, mut records) = read(&zone.text)?;
    let soa = RrKey::new(origin.clone().into(), RecordType::SOA);
    if !records.contains_key(&soa) {
        let (_, added) = read(&head)?;
        for (key, set) in added {
            records.entry(key).or_insert(set);
        }
    }
    let handler = InMemoryZoneHandler::new(origin.clone(), records, ZoneType::Primary, AxfrPolicy::Deny)?;
    Ok((origin.into(), handler))
}

/// Answers from whatever catalog is current when a question arrives.
struct Current(Arc<RwLock<Arc<Catalog>>>);

impl RequestHandler for Current {
    // The trait is declared with boxed futures; this is their form by hand.
    fn handle_request<'a, 'b, 'f, R, T>(
        &'a self,
        request: &'b Request,
        answer: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'f>>
    where
        R: ResponseHandler + 'f,
        T: Time + 'f,
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        let catalog = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move { catalog.handle_request::<R, T>(request, answer).await })
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::{
        TokioResolver,
        config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
        net::runtime::TokioRuntimeProvider,
        proto::rr::RecordType,
    };

    use super::*;

    fn resolver(server: &NameServer) -> TokioResolver {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
            .map(|mut it| {
                it.port = server.address().port();
                it
            })
            .to_vec();
        let config =
            ResolverConfig::from_name_servers(vec![NameServerConfig::new(server.address().ip(), true, connections)]);
        let mut options = ResolverOpts::default();
        options.cache_size = 0;
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .unwrap()
    }

    async fn ask(server: &NameServer, name: &str, kind: RecordType) -> String {
        match resolver(server).lookup(name, kind).await {
            Ok(found) => {
                let mut all: Vec<_> = found.answers().iter().map(|it| it.data.to_string()).collect();
                all.sort();
                all.join(", ")
            }
            Err(error) if error.is_no_records_found() => {
                if error.is_nx_domain() {
                    "NXDOMAIN".into()
                } else {
                    "no data".into()
                }
            }
            Err(error) => format!("fault: {error}"),
        }
    }

    fn zone(origin: &str, text: &str) -> Zone {
        Zone { origin: origin.into(), text: text.into() }
    }

    #[tokio::test]
    async fn serves_zones_and_an_empty_root() {
        let long = "x".repeat(255);
        let text = format!(
            "$TTL 60\n@ IN MX 10 mail\n@ IN TXT \"v=spf1 -all\"\nmail IN A 127.0.0.2\nk._domainkey IN TXT \"{long}\" \"{long}\"\n"
        );
        let server = NameServer::start("127.0.0.1:0".parse().unwrap(), &[zone("example.com", &text)]).await.unwrap();
        for (name, kind, answer) in [
            ("example.com.", RecordType::MX, "10 mail.example.com.".to_owned()),
            ("mail.example.com.", RecordType::A, "127.0.0.2".to_owned()),
            ("example.com.", RecordType::TXT, "v=spf1 -all".to_owned()),
            // Above 512 octets: over TCP or EDNS.
            ("k._domainkey.example.com.", RecordType::TXT, format!("{long}{long}")),
            ("mail.example.com.", RecordType::AAAA, "no data".to_owned()),
            ("none.example.com.", RecordType::A, "NXDOMAIN".to_owned()),
            // The root answers: not REFUSED.
            ("_dmarc.com.", RecordType::TXT, "NXDOMAIN".to_owned()),
            ("example.net.", RecordType::MX, "NXDOMAIN".to_owned()),
        ] {
            assert_eq!(ask(&server, name, kind).await, answer, "{name} {kind}");
        }
    }

    #[tokio::test]
    async fn replaces_zones_all_at_once_or_not_at_all() {
        let server = NameServer::start("127.0.0.1:0".parse().unwrap(), &[zone("a.example", "@ IN A 127.0.0.2\n")])
            .await
            .unwrap();
        assert_eq!(ask(&server, "a.example.", RecordType::A).await, "127.0.0.2");
        let bad = server.replace(&[zone("a.example", "@ IN A 127.0.0.3\n"), zone("b.example", "@ IN A nonsense\n")]);
        assert!(bad.is_err());
        assert_eq!(ask(&server, "a.example.", RecordType::A).await, "127.0.0.2");
        server.replace(&[zone("a.example", "@ IN A 127.0.0.3\n")]).unwrap();
        assert_eq!(ask(&server, "a.example.", RecordType::A).await, "127.0.0.3");
    }

    #[tokio::test]
    async fn refuses_a_public_address() {
        let fault = NameServer::start("0.0.0.0:0".parse().unwrap(), &[]).await.err().unwrap();
        assert!(fault.to_string().contains("127.0.0.0/8"), "{fault}");
    }
}
