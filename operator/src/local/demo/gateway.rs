//! A next host that is not well: refuses once with 451, or accepts the connection and stays silent; then passes
//! everything on to the real one. It stands for greylisting and for a host that hangs.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};

/// Octets of a command at most.
const LINE_OCTETS_MAX: u64 = 4096;
/// Commands that are answered before it hangs up.
const COMMANDS_MAX: usize = 20;
/// Connections at a time at most.
const CONNECTIONS_MAX: usize = 20;

/// What it does to those who connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// The first recipient gets 451 and the connection ends; from the next one on all is passed on.
    Busy,
    /// Nobody gets an answer until [`Gateway::recover`].
    Silent,
}

/// A listening gateway; it ends when this is dropped.
pub struct Gateway {
    well: Arc<AtomicBool>,
    met: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Gateway {
    /// Listens; passes on to `next`, from `source`, so that the receiver sees who really sends.
    pub async fn start(at: SocketAddr, next: SocketAddr, source: IpAddr, mood: Mood) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let (well, met) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        let (seen, state) = (met.clone(), well.clone());
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                seen.fetch_add(1, Ordering::SeqCst);
                while sessions.len() >= CONNECTIONS_MAX {
                    sessions.join_next().await;
                }
                let state = state.clone();
                sessions.spawn(async move {
                    // A session that breaks is the other side's to notice.
                    let _ = match (state.load(Ordering::SeqCst), mood) {
                        (true, _) => pass(client, next, source).await,
                        (false, Mood::Busy) => refuse(client, &state).await,
                        (false, Mood::Silent) => hang(client).await,
                    };
                });
            }
        });
        Ok(Self { well, met, _tasks: tasks })
    }

    /// Passes on from now on.
    pub fn recover(&self) {
        self.well.store(true, Ordering::SeqCst);
    }

    /// How many connections there were.
    pub fn met(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: TcpStream, next: SocketAddr, source: IpAddr) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(source, 0))?;
    let mut server = socket.connect(next).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Until the client goes away.
async fn hang(mut client: TcpStream) -> std::io::Result<()> {
    let mut nothing = [0; 512];
    while client.read(&mut nothing).await? > 0 {}
    Ok(())
}

/// Greylisting's answer (RFC 6647 §2): 451 to the recipient; then it ends the connection, as RFC 5321 §3.8 has it,
/// with 421: a client that keeps the connection must not be refused twice.
async fn refuse(client: TcpStream, well: &AtomicBool) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    client.write_all(b"220 gate.example.org ESMTP\r\n").await?;
    for _ in 0..COMMANDS_MAX {
        let mut line = String::new();
        (&mut client).take(LINE_OCTETS_MAX).read_line(&mut line).await?;
        let verb = line.get(..4).unwrap_or("").to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "" => break,
            "QUIT" => {
                client.write_all(b"221 2.0.0 Bye\r\n").await?;
                break;
            }
            _ if well.load(Ordering::SeqCst) => {
                client.write_all(b"421 4.3.2 Closing, connect again\r\n").await?;
                break;
            }
            "EHLO" | "HELO" => b"250 gate.example.org\r\n",
            "RCPT" => {
                well.store(true, Ordering::SeqCst);
                b"451 4.7.1 Greylisted, try again in a moment\r\n"
            }
            "DATA" => b"503 5.5.1 No recipient\r\n",
            _ => b"250 2.0.0 OK\r\n",
        };
        client.write_all(answer).await?;
    }
    client.shutdown().await
}
