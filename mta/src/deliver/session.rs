//! The owner of one client machine: carries its questions to the lane, and the message to the wire.

use std::{io, ops::Range};

use bytes::{Bytes, BytesMut};
use paquebot_proto::smtp::{
    client::ClientMachine,
    client_ask::{Answer, Ask, Capabilities},
};

use crate::{message::Message, net::owner::Owner, queue::lane::Lane, store::Store};

/// How far a session came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Neither ready nor failed by the machine's own judgement: the transport failed, in the TLS handshake.
    None,
    /// Ready at least once.
    Ready,
    /// The machine said that it failed.
    Failed,
}

/// One session.
pub struct Session<'a> {
    lane: &'a mut Lane,
    progress: Progress,
    capabilities: Capabilities,
}

impl<'a> Session<'a> {
    /// For jobs of this lane.
    pub fn new(lane: &'a mut Lane) -> Self {
        Self { lane, progress: Progress::None, capabilities: Capabilities::default() }
    }

    /// How far it came.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    async fn next(&mut self) -> Answer {
        self.lane.next(&self.capabilities).await.map_or(Answer::Quit, Answer::Send)
    }
}

impl Owner<ClientMachine> for Session<'_> {
    async fn ask(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Ready(capabilities) => {
                self.progress = Progress::Ready;
                self.capabilities = capabilities;
                self.next().await
            }
            Ask::Done(outcomes) => {
                self.lane.done(&outcomes).await;
                self.next().await
            }
            Ask::Failed { reason, reply, outcomes } => {
                if self.progress == Progress::None {
                    self.progress = Progress::Failed;
                }
                self.lane.failed(&reason, reply.as_ref(), &outcomes).await;
                Answer::Quit
            }
        }
    }

    async fn data(&mut self, _: &[u8]) {}

    async fn bulk(&mut self, _: u64, range: Range<u64>) -> io::Result<Bytes> {
        let message = self.lane.message().cloned().ok_or_else(|| io::Error::other("no transaction is under way"))?;
        let read = octets(self.lane.store(), &message, range).await;
        if let Err(error) = &read {
            self.lane.unreadable(error).await;
        }
        read
    }
}

/// Octets of a message as they stand on the wire: prefix, header, body, one after the other. Few octets
/// come in one piece, so that a small message leaves in one write.
pub async fn octets(store: &Store, message: &Message, range: Range<u64>) -> io::Result<Bytes> {
    let wanted = usize::try_from(range.end.min(message.size_bytes()).saturating_sub(range.start)).unwrap_or(0);
    let mut whole = BytesMut::with_capacity(wanted);
    let mut at = 0;
    for part in [&message.prefix, &message.header] {
        let length = part.len() as u64;
        let start = range.start.saturating_sub(at).min(length);
        let end = range.end.saturating_sub(at).min(length);
        whole.extend_from_slice(slice(part, start, end));
        at += length;
    }
    if range.end > at {
        let start = range.start.saturating_sub(at);
        let end = (range.end - at).min(message.body.size_bytes());
        if start < end {
            let body = store.read_body(message, start..end).await.map_err(io::Error::other)?;
            if body.len() as u64 != end - start {
                // Half a message must not look like a whole one.
                return Err(io::Error::other("the stored body is shorter than it says"));
            }
            if whole.is_empty() {
                return Ok(body);
            }
            whole.extend_from_slice(&body);
        }
    }
    Ok(whole.freeze())
}

fn slice(part: &Bytes, start: u64, end: u64) -> &[u8] {
    let range = usize::try_from(start).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
    part.get(range).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        message::{Body, MessageId},
        store::Memory,
    };

    #[tokio::test]
    async fn any_range_of_a_message() {
        let memory = Arc::new(Memory::new());
        let store = Store::new(memory.clone(), memory.blobs());
        let message = Message {
            id: MessageId::new(),
            prefix: Bytes::from_static(b"P: 1\r\n"),
            header: Bytes::from_static(b"H: 2\r\n\r\n"),
            body: Body::Inline(Bytes::from_static(b"body\r\n")),
            message_id: String::new(),
            eight_bit: false,
            utf8_header: false,
        };
        let whole = b"P: 1\r\nH: 2\r\n\r\nbody\r\n";
        for start in 0..=whole.len() + 2 {
            for end in start..=whole.len() + 2 {
                let wanted = &whole[start.min(whole.len())..end.min(whole.len())];
                let got = octets(&store, &message, start as u64..end as u64).await.unwrap();
                assert_eq!(&got[..], wanted, "{start}..{end}");
            }
        }
        assert_eq!(&octets(&store, &message, 3..u64::MAX).await.unwrap()[..], &whole[3..]);
    }
}
