//! One SMTP connection from its first octet to its last: TLS where it begins with it, then the machine.

use std::{io, sync::Arc, time::Instant};

use paquebot_mta_api::config::Protocol;
use paquebot_proto::smtp::server::{Role, ServerMachine, Settings, Tls};
use rand::Rng;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::{context::Shared, session::Session};
use crate::net::{
    drive::drive,
    listener::{Connection, implicit_tls},
    owner::Owner,
    transport::{TlsSide, Transport},
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
        (None, false) => Tls::Unavailable,
        (Some(_), false) => Tls::Available,
        (Some(config), true) => {
            transport = transport.secure(&TlsSide::Server(config.clone())).await?;
            Tls::Active
        }
    };
    let side = tls.map_or(TlsSide::None, TlsSide::Server);
    let machine = ServerMachine::new(settings(&shared, protocol, state), Instant::now());
    let mut owner = Session::new(shared, peer, protocol);
    if let Some(tls) = transport.tls() {
        Owner::<ServerMachine>::secured(&mut owner, tls);
    }
    drive(machine, &mut owner, transport, side, draining).await
}

fn settings(shared: &Shared, protocol: Protocol, tls: Tls) -> Settings {
    let settings = shared.settings();
    Settings {
        hostname: settings.hostname.to_string(),
        role: if protocol == Protocol::Smtp { Role::Relay } else { Role::Submission },
        tls,
        message_bytes_max: settings.limits.message_bytes,
        recipients_max: usize::try_from(settings.limits.recipients).unwrap_or(usize::MAX),
        nonce: rand::rng().random(),
        refusal: None,
    }
}
