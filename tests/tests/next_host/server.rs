//! A scripted next host: strict about what it is told, and it remembers everything.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What a transaction brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub connection: usize,
    pub hello: String,
    pub mail: String,
    pub recipients: Vec<String>,
    pub data: Vec<u8>,
}

/// What the server says where it differs from taking everything.
#[derive(Debug, Default)]
pub struct Script {
    /// After EHLO.
    pub capabilities: Vec<&'static str>,
    /// Greetings of the first connections, in place of 220.
    pub greetings: VecDeque<&'static str>,
    /// Replies to the first messages, in place of 250; empty: hang up.
    pub finals: VecDeque<&'static str>,
    /// Replies to RCPT whose command contains the word.
    pub recipients: Vec<(&'static str, &'static str)>,
    /// Recipients that a transaction takes; more get 452.
    pub recipients_max: Option<usize>,
    /// Closes after so many messages of one connection.
    pub messages_max: Option<usize>,
    /// Says 220 to STARTTLS and then speaks no TLS.
    pub broken_tls: bool,
}

#[derive(Debug, Default)]
pub struct Seen {
    pub connections: usize,
    pub taken: Vec<Taken>,
}

pub struct Server {
    pub seen: Arc<Mutex<Seen>>,
    pub address: SocketAddr,
}

impl Server {
    pub async fn start(listener: TcpListener, script: Script) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let script = Arc::new(Mutex::new(script));
        let address = listener.local_addr().unwrap();
        let all = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = {
                    let mut seen = all.lock().unwrap();
                    seen.connections += 1;
                    seen.connections
                };
                tokio::spawn(session(stream, number, script.clone(), all.clone()));
            }
        });
        Self { seen, address }
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.seen.lock().unwrap().taken.clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

async fn session(stream: TcpStream, number: usize, script: Arc<Mutex<Script>>, seen: Arc<Mutex<Seen>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    let greeting = script.lock().unwrap().greetings.pop_front().unwrap_or("220 next.example ESMTP");
    say(&mut stream, greeting).await?;
    let (mut hello, mut mail, mut recipients, mut messages) = (String::new(), String::new(), Vec::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let command = line.trim_end().to_owned();
        match command.to_ascii_uppercase() {
            it if it.starts_with("EHLO ") => {
                hello = command;
                let mut lines: Vec<String> = vec!["next.example".into()];
                lines.extend(script.lock().unwrap().capabilities.iter().map(|it| (*it).to_owned()));
                let last = lines.pop().unwrap();
                let reply: String = lines.iter().map(|it| format!("250-{it}\r\n")).collect();
                say(&mut stream, &format!("{reply}250 {last}")).await?;
            }
            it if it.starts_with("STARTTLS") => {
                say(&mut stream, "220 go").await?;
                if script.lock().unwrap().broken_tls {
                    let mut hello = [0; 16];
                    let _ = stream.read(&mut hello).await;
                    return say(&mut stream, "500 what is this?").await;
                }
            }
            it if it.starts_with("MAIL FROM:") => {
                mail = command;
                recipients.clear();
                say(&mut stream, "250 2.1.0 ok").await?;
            }
            it if it.starts_with("RCPT TO:") => {
                let (answers, most) = {
                    let script = script.lock().unwrap();
                    (script.recipients.clone(), script.recipients_max)
                };
                let refusal = answers.iter().find(|(word, _)| command.contains(word)).map(|(_, reply)| *reply);
                let full = most.filter(|most| recipients.len() >= *most).map(|_| "452 4.5.3 too many recipients");
                let refusal = refusal.or(full);
                if refusal.is_none() {
                    recipients.push(command);
                }
                say(&mut stream, refusal.unwrap_or("250 2.1.5 ok")).await?;
            }
            it if it == "DATA" && recipients.is_empty() => say(&mut stream, "554 5.5.1 no recipients").await?,
            it if it == "DATA" => {
                say(&mut stream, "354 go").await?;
                let data = data(&mut stream).await?;
                let reply = script.lock().unwrap().finals.pop_front().unwrap_or("250 2.0.0 taken");
                if reply.is_empty() {
                    return None;
                }
                if reply.starts_with('2') {
                    let taken = Taken {
                        connection: number,
                        hello: hello.clone(),
                        mail: mail.clone(),
                        recipients: recipients.clone(),
                        data,
                    };
                    seen.lock().unwrap().taken.push(taken);
                }
                say(&mut stream, reply).await?;
                messages += 1;
                if script.lock().unwrap().messages_max.is_some_and(|most| messages >= most) {
                    return None;
                }
            }
            it if it == "QUIT" => return say(&mut stream, "221 2.0.0 bye").await,
            it if it == "RSET" || it == "NOOP" => say(&mut stream, "250 2.0.0 ok").await?,
            other => panic!("what is {other:?}?"),
        }
    }
}

/// Up to the line with the dot, transparency removed.
async fn data(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        match line.as_slice() {
            b".\r\n" => return Some(data),
            [b'.', rest @ ..] => data.extend_from_slice(rest),
            whole => data.extend_from_slice(whole),
        }
    }
}

async fn say(stream: &mut BufReader<TcpStream>, reply: &str) -> Option<()> {
    stream.get_mut().write_all(format!("{reply}\r\n").as_bytes()).await.ok()
}
