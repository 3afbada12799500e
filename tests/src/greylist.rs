//! A policy service of Postfix that greylists: it defers each sender and recipient the first time.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

/// Sender and recipient.
type Seen = Arc<Mutex<BTreeSet<(String, String)>>>;

/// Serves on a free port of this address until the test's process ends; gives where.
pub fn start(address: IpAddr) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let seen = Seen::default();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let seen = seen.clone();
            std::thread::spawn(move || serve(&connection, &seen));
        }
    });
    at
}

/// Requests are `name=value` lines and an empty line, answers `action=…` and an empty line.
fn serve(mut connection: &TcpStream, seen: &Seen) {
    let mut triple = <(String, String)>::default();
    for line in BufReader::new(connection).lines() {
        let Ok(line) = line else { return };
        match line.split_once('=') {
            Some(("sender", sender)) => triple.0 = sender.to_owned(),
            Some(("recipient", recipient)) => triple.1 = recipient.to_owned(),
            Some(_) => {}
            None => {
                let first = seen.lock().unwrap_or_else(PoisonError::into_inner).insert(std::mem::take(&mut triple));
                let action = if first { "451 4.7.1 Greylisted, come back later" } else { "DUNNO" };
                if write!(connection, "action={action}\n\n").is_err() {
                    return;
                }
            }
        }
    }
}
