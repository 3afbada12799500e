//! One question to one server: UDP, again when nothing came, TCP where the answer was cut (RFC 7766 §5).
//!
//! Each datagram has a socket and a number of its own, and what does not fit is left lying until the time is up, so
//! that nobody beside the path can answer for the server (RFC 5452).

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::message;

/// Times that a question is sent by UDP.
const TRIES: u32 = 2;
/// Datagrams that are looked at for one question: a flood of forged ones ends it.
const DATAGRAMS_MAX: u32 = 32;
/// Octets of a datagram that are read: above what we ask for, since some servers do not care.
const DATAGRAM_OCTETS_MAX: usize = 4096;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This machine has no way to such an address.
    NoRoute,
    /// Nothing came, or nothing that fits; in words.
    Silent(String),
}

/// What is asked, and how.
pub struct Ask<'a> {
    /// The server.
    pub server: SocketAddr,
    /// The name.
    pub name: &'a Name,
    /// The type.
    pub kind: RecordType,
    /// Whether the server shall ask others.
    pub recursive: bool,
    /// How long one try waits.
    pub wait: Duration,
}

impl Ask<'_> {
    /// Asks.
    pub async fn send(&self) -> Result<Message, Fault> {
        let answer = self.by_udp(true).await?;
        let answer = match answer.metadata.response_code {
            // Old servers do not know EDNS (RFC 6891 §6.2.2).
            ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS => self.by_udp(false).await?,
            _ => answer,
        };
        if !answer.metadata.truncation {
            return Ok(answer);
        }
        match timeout(self.wait, self.by_tcp()).await {
            Ok(answered) => answered,
            Err(_) => {
                Err(Fault::Silent(format!("its answer is long, and by TCP none came within {}", seconds(self.wait))))
            }
        }
    }

    fn question(&self, edns: bool) -> Result<(u16, Vec<u8>), Fault> {
        let id = rand::random();
        message::question(id, self.name, self.kind, self.recursive, edns)
            .map(|octets| (id, octets))
            .ok_or_else(|| Fault::Silent("the name cannot be asked for".to_owned()))
    }

    async fn by_udp(&self, edns: bool) -> Result<Message, Fault> {
        let mut last = Fault::Silent(format!("no answer within {}", seconds(self.wait)));
        for _ in 0..TRIES {
            let mut unfit = None;
            match timeout(self.wait, self.one_datagram(edns, &mut unfit)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(fault @ Fault::NoRoute)) => return Err(fault),
                Ok(Err(fault)) => last = fault,
                Err(_) => {
                    if let Some(why) = unfit {
                        last = Fault::Silent(format!("only {why} came within {}", seconds(self.wait)));
                    }
                }
            }
        }
        Err(last)
    }

    async fn one_datagram(&self, edns: bool, unfit: &mut Option<&'static str>) -> Result<Message, Fault> {
        let any: IpAddr =
            if self.server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await.map_err(|error| fault(&error))?;
        socket.connect(self.server).await.map_err(|error| fault(&error))?;
        let (id, question) = self.question(edns)?;
        socket.send(&question).await.map_err(|error| fault(&error))?;
        let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
        for _ in 0..DATAGRAMS_MAX {
            let count = socket.recv(&mut buffer).await.map_err(|error| fault(&error))?;
            match message::answer(buffer.get(..count).unwrap_or_default(), id, self.name, self.kind) {
                Ok(answer) => return Ok(answer),
                Err(why) => *unfit = Some(why),
            }
        }
        Err(Fault::Silent(format!("{DATAGRAMS_MAX} times {}", unfit.unwrap_or_default())))
    }

    async fn by_tcp(&self) -> Result<Message, Fault> {
        let (id, question) = self.question(true)?;
        let read = async {
            let mut stream = TcpStream::connect(self.server).await?;
            let length = u16::try_from(question.len()).map_err(|_| std::io::Error::from(ErrorKind::InvalidInput))?;
            let mut framed = length.to_be_bytes().to_vec();
            framed.extend(question);
            stream.write_all(&framed).await?;
            // Two octets say how long it is: 64 KiB at most (RFC 1035 §4.2.2).
            let mut answer = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let by_tcp = |why: &str| Fault::Silent(format!("its answer is long, and by TCP there was {why}"));
        let octets = read.await.map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => by_tcp("no connection (refused)"),
            _ => by_tcp("none that was whole"),
        })?;
        let answer = message::answer(&octets, id, self.name, self.kind).map_err(by_tcp)?;
        if answer.metadata.truncation { Err(by_tcp("one that was cut, too")) } else { Ok(answer) }
    }
}

fn fault(error: &std::io::Error) -> Fault {
    match error.kind() {
        // Not HostUnreachable: that is what a dead server of the same network looks like.
        ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable | ErrorKind::Unsupported => Fault::NoRoute,
        ErrorKind::ConnectionRefused => Fault::Silent("nothing listens there".to_owned()),
        _ => Fault::Silent(format!("it cannot be reached: {error}")),
    }
}

fn seconds(wait: Duration) -> String {
    format!("{} s", wait.as_secs_f32())
}
