//! Servers that answer with any octets: what no library would send.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::JoinHandle,
};

use super::world::PORT;

/// A response, with authority.
pub const AUTHORITATIVE: u16 = 0x8400;
/// A response without.
pub const ANSWER: u16 = 0x8000;
/// The bit that says that the answer was cut.
pub const CUT: u16 = 0x0200;
pub const FORMERR: u16 = 1;
pub const SERVFAIL: u16 = 2;
pub const REFUSED: u16 = 5;

/// A server; ended when dropped.
pub struct Raw {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Raw {
    /// Answers each datagram with these.
    pub async fn udp(address: IpAddr, answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind((address, PORT)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok((count, client)) = socket.recv_from(&mut buffer).await {
                counted.fetch_add(1, Ordering::Relaxed);
                for datagram in answer(&buffer[..count]) {
                    // A client that has gone does not matter.
                    let _ = socket.send_to(&datagram, client).await;
                }
            }
        });
        Self { address, asked, tasks: vec![task] }
    }

    /// The same, and each question by TCP is answered with these octets, length and all; then it ends.
    pub async fn tcp(mut self, answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.tasks.push(tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Ok(count) = stream.read_u16().await else { continue };
                let mut query = vec![0; count.into()];
                if stream.read_exact(&mut query).await.is_ok() {
                    let _ = stream.write_all(&answer(&query)).await;
                }
            }
        }));
        self
    }

    /// Datagrams that came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// The question's octets.
fn question(query: &[u8]) -> &[u8] {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    &query[12..end + 5]
}

/// A message with the query's number and question.
pub fn message(query: &[u8], flags: u16, answers: u16, rest: &[u8]) -> Vec<u8> {
    let mut octets = query[..2].to_vec();
    for number in [flags, 1, answers, 0, 0] {
        octets.extend(number.to_be_bytes());
    }
    octets.extend(question(query));
    octets.extend(rest);
    octets
}

/// An answer with these records.
pub fn answered(query: &[u8], flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
    message(query, flags, records.len().try_into().unwrap(), &records.concat())
}

/// An answer that is a code only.
pub fn coded(query: &[u8], code: u16) -> Vec<u8> {
    message(query, ANSWER | code, 0, &[])
}

/// A record of the name that was asked for (a pointer to it).
pub fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    record_of(&[0xc0, 12], kind, data)
}

/// A record of any name.
pub fn record_of(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut octets = name.to_vec();
    octets.extend(kind.to_be_bytes());
    octets.extend([0, 1, 0, 0, 0, 60]);
    octets.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    octets.extend(data);
    octets
}

/// A TXT record of the name that was asked for.
pub fn txt(text: &str) -> Vec<u8> {
    let data: Vec<u8> =
        text.as_bytes().chunks(255).flat_map(|it| [&[u8::try_from(it.len()).unwrap()], it].concat()).collect();
    record(16, &data)
}

/// With the length before it, as by TCP.
pub fn framed(octets: &[u8]) -> Vec<u8> {
    [&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat()
}
