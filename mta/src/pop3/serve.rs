//! One POP3 connection from its first octet to its last: TLS where it begins with it, then the machine.

use std::{io, sync::Arc, time::Instant};

use paquebot_proto::pop3::{ServerMachine, Settings};
use rand::Rng;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::Session;
use crate::{
    net::{
        drive::drive,
        listener::{Connection, implicit_tls},
        transport::accept,
    },
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
    let (transport, side, state) = accept(stream, tls, implicit_tls(protocol)).await?;
    let hostname = shared.settings().hostname.to_string();
    let settings = Settings { hostname, tls: state, nonce_seed: rand::rng().random() };
    let machine = ServerMachine::new(Instant::now(), settings);
    let mut owner = Session::new(shared.store.clone(), shared.logins.clone(), peer.ip().to_canonical());
    drive(machine, &mut owner, transport, side, draining).await
}
