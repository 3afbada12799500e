//! One SMTP connection from its first octet to its last: TLS where it begins with it, then the machine.

use std::{io, sync::Arc, time::Instant};

use paquebot_mta_api::config::Protocol;
use paquebot_proto::{
    Tls,
    smtp::server::{Role, ServerMachine, Settings},
};
use rand::Rng;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::{context::Shared, session::Session};
use crate::net::{
    drive::drive,
    listener::{Connection, implicit_tls},
    owner::Owner,
    transport::accept,
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
