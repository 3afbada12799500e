//! Serves zones from a file on a loopback address until it is ended: the benchmark's DNS.
//! `nameserver 127.0.0.42:5353 FILE`; records with absolute names, all in the root zone.

use std::{net::SocketAddr, process::ExitCode};

use paquebot::local::nameserver::{NameServer, Zone};

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("nameserver: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("give an address with a port, and a zone file".into());
    };
    let address: SocketAddr = address.parse()?;
    let zone = Zone { origin: ".".to_owned(), text: std::fs::read_to_string(file)? };
    let _server = NameServer::start(address, &[zone]).await?;
    std::future::pending().await
}
