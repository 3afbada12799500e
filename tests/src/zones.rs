//! A DNS server for tests: real zones on a free port of 127.0.0.1, an empty root, and names that fail.
//!
//! Any name with the label `servfail` answers SERVFAIL, any with `silent` never answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hickory_server::{
    Server,
    net::runtime::Time,
    proto::{op::ResponseCode, rr::Name, serialize::txt::Parser},
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, MessageResponseBuilder, ZoneType},
};
use tokio::net::{TcpListener, UdpSocket};

/// Tries to find one port that is free for UDP and for TCP.
const PORT_TRIES_MAX: usize = 20;

const SOA: &str = "@ 60 IN SOA ns.example. hostmaster.example. 1 60 60 60 60\n";

/// What kept the server from starting.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A running server; ends when dropped.
pub struct Zones {
    /// Where it answers, by UDP and TCP.
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _server: Server<Faulty>,
}

impl Zones {
    /// Questions that came so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Serves these zones, each an origin and its records as zone text without SOA.
    pub async fn serve(zones: &[(&str, &str)]) -> Result<Self, Fault> {
        let mut catalog = Catalog::new();
        for (origin, text) in zones.iter().chain([&(".", "")]) {
            let origin = Name::from_ascii(origin)?;
            let (origin, records) = Parser::new(format!("{SOA}{text}"), None, Some(origin)).parse()?;
            let handler = <InMemoryZoneHandler>::new(origin.clone(), records, ZoneType::Primary, AxfrPolicy::Deny)?;
            catalog.upsert(origin.into(), vec![Arc::new(handler)]);
        }
        let asked = Arc::new(AtomicUsize::new(0));
        let mut server = Server::new(Faulty { catalog, asked: asked.clone() });
        let (udp, tcp) = one_port().await?;
        let address = udp.local_addr()?;
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 16);
        Ok(Self { address, asked, _server: server })
    }
}

/// A port that is free for UDP and for TCP: another test may have taken the one of the two.
async fn one_port() -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut tries = 0;
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if tries >= PORT_TRIES_MAX => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

struct Faulty {
    catalog: Catalog,
    asked: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl RequestHandler for Faulty {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut handle: R) -> ResponseInfo {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let name = request.request_info().map_or_else(|_| String::new(), |info| info.query.name().to_string());
        if name.split('.').any(|label| label == "silent") {
            std::future::pending::<()>().await;
        }
        if name.split('.').any(|label| label == "servfail") {
            let answer = MessageResponseBuilder::from_message_request(request)
                .error_msg(&request.metadata, ResponseCode::ServFail);
            if let Ok(info) = handle.send_response(answer).await {
                return info;
            }
        }
        self.catalog.handle_request::<R, T>(request, handle).await
    }
}
