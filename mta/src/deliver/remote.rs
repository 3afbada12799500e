//! To the next host: DNS, a connection, and the SMTP client machine over it.
//!
//! Decides nothing: the route is [`route`], what a reply means is [`crate::queue::outcome`]; opens no socket:
//! that is [`crate::net::connect`]. Here alone mail leaves: one connection a session.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use futures::future::{BoxFuture, FutureExt, join_all};
use paquebot_mta_api::{address::Domain, config::Delivery};
use paquebot_proto::smtp::client::{ClientMachine, Settings, StartTls};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use super::{
    Remote, Routed, opportunistic,
    session::{Progress, Session},
};
use crate::{
    dns::{Answer, Resolver},
    identity::Identity,
    net::{
        connect::connect,
        drive::drive,
        transport::{TlsSide, Transport},
    },
    queue::{
        lane::Lane,
        route::{self, EXCHANGERS_MAX, Exchanger, Target},
    },
};

/// Mail by SMTP.
pub struct Smtp {
    resolver: Resolver,
    delivery: Delivery,
    identity: Identity,
    tls: std::sync::Arc<rustls::ClientConfig>,
}

impl Smtp {
    /// Sends as this server.
    pub fn new(delivery: Delivery, identity: Identity, resolver: Resolver) -> Result<Self, rustls::Error> {
        Ok(Self { resolver, delivery, identity, tls: opportunistic::client_config()? })
    }

    async fn look_up(&self, domain: &Domain) -> Routed {
        let mx = self.resolver.mx(domain).await;
        let mut words = format!("{domain}: {mx}");
        let dice: Vec<u32> = mx.records().iter().map(|_| rand::random()).collect();
        let exchangers = match route::exchangers(domain, &mx, &dice) {
            Ok(exchangers) => exchangers,
            Err(unroutable) => return Routed { words, targets: Err(unroutable) },
        };
        debug_assert!(exchangers.len() <= EXCHANGERS_MAX);
        let found: Vec<(Exchanger, Answer<IpAddr>)> = join_all(exchangers.into_iter().map(async |exchanger| {
            let addresses = self.resolver.addresses(&exchanger.host).await;
            (exchanger, self.reachable(addresses))
        }))
        .await;
        for (exchanger, addresses) in &found {
            words.push_str(&format!("; {}: {addresses}", exchanger.host));
        }
        let targets = route::targets(domain, &found, &self.identity.current(), &self.delivery.allowed_targets);
        Routed { words, targets }
    }

    /// With a source address only targets of its family can be reached.
    fn reachable(&self, answer: Answer<IpAddr>) -> Answer<IpAddr> {
        let (Some(source), Answer::Records(addresses)) = (self.delivery.source_address, &answer) else { return answer };
        let same: Vec<IpAddr> =
            addresses.iter().copied().filter(|it| it.to_canonical().is_ipv4() == source.is_ipv4()).collect();
        if same.is_empty() { Answer::NoRecords } else { Answer::Records(same) }
    }

    async fn converse(&self, target: &Target, lane: &mut Lane) {
        // RFC 7435 §3: encryption where it can be had; a failed handshake must not make mail impossible.
        for tls in [StartTls::Opportunistic, StartTls::Off] {
            let address = SocketAddr::new(target.address, self.delivery.port);
            let stream = match connect(address, self.delivery.source_address).await {
                Ok(stream) => stream,
                Err(error) => {
                    let reason = format!("cannot connect to {}: {error}", target.address);
                    return lane.failed(&reason, None, &[]).await;
                }
            };
            match self.speak(stream, target, tls, lane).await {
                Progress::Ready | Progress::Failed => return,
                Progress::None if tls == StartTls::Off => return,
                Progress::None => {
                    tracing::info!(host = %target.host, "the TLS handshake failed; once more without TLS");
                }
            }
        }
    }

    async fn speak(&self, stream: TcpStream, target: &Target, tls: StartTls, lane: &mut Lane) -> Progress {
        let hello_name = self.identity.current().hostname.as_str().to_owned();
        let machine = ClientMachine::new(Settings { hello_name, tls }, Instant::now());
        let name = ServerName::try_from(target.host.clone()).unwrap_or_else(|_| ServerName::from(target.address));
        let side = TlsSide::Client(self.tls.clone(), name);
        let draining = lane.draining();
        let mut session = Session::new(lane);
        let result = drive(machine, &mut session, Transport::Plain(stream), side, draining).await;
        if let Err(error) = result {
            tracing::debug!(host = %target.host, %error, "a session broke");
        }
        session.progress()
    }
}

impl Remote for Smtp {
    fn route<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, Routed> {
        self.look_up(domain).boxed()
    }

    fn session<'a>(&'a self, target: &'a Target, lane: &'a mut Lane) -> BoxFuture<'a, ()> {
        self.converse(target, lane).boxed()
    }
}
