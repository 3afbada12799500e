//! One POP3 connection from its first octet to its last: TLS where it begins with it, then the machine.

use std::{io, sync::Arc, time::Instant};

use paquebot_proto::pop3::{ServerMachine, Settings, Tls};
use rand::Rng;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::{
    net::{
        drive::drive,
        listener::{Connection, implicit_tls},
        transport::{TlsSide, Transport},
    },
    pop3::Session,
    smtp::context::Shared,
};

/// Serves the connection.
pub async fn serve(
    shared: Shared,
    connection: Connection,
    tls: Option<Arc<ServerConfig>>,
    draining: CancellationToken,
) -> io::Result<()> {
    let Connection { stream, peer, protocol } = connection;
    let mut transport = Transport::Plain(stream);
    let state = match (&tls, implicit_tls(protocol)) {
        (None, true) => return Err(io::Error::other("there is no certificate for a listener that begins with TLS")),
        (None, false) => Tls::Missing,
        (Some(_), false) => Tls::Offered,
        (Some(config), true) => {
            transport = transport.secure(&TlsSide::Server(config.clone())).await?;
            Tls::Active
        }
    };
    let side = tls.map_or(TlsSide::None, TlsSide::Server);
    let hostname = shared.settings().hostname.to_string();
    let settings = Settings { hostname, tls: state, nonce_seed: rand::rng().random() };
    let machine = ServerMachine::new(Instant::now(), settings);
    let mut owner = Session::new(shared.store.clone(), shared.logins.clone(), peer.ip().to_canonical());
    drive(machine, &mut owner, transport, side, draining).await
}
