//! The one loop that drives any protocol machine, server or client, over any transport.
//!
//! Nothing else reads or writes a mail socket. It decides nothing: bytes in, bytes out, questions to the owner.

use std::{
    io,
    time::{Duration, Instant},
};

use paquebot_proto::{Bulk, Framing, Machine, Output, Step, Upgrade, dot::DotEncoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    owner::Owner,
    transport::{TlsSide, Transport},
};

/// Octets read at once; also the most that waits unconsumed.
const INPUT_BYTES: usize = 64 * 1024;
/// Octets of bulk output fetched at once.
const BULK_BYTES: u64 = 64 * 1024;
/// A peer that takes nothing for that long is gone (RFC 5321 §4.5.3.2.5: data block, 3 minutes).
const WRITE_SECONDS_MAX: Duration = Duration::from_secs(180);
/// A machine that names no deadline gets this one: no wait is without end.
const SILENCE_SECONDS_MAX: Duration = Duration::from_secs(600);
/// A polite end of the connection takes that long at most.
const CLOSE_SECONDS_MAX: Duration = Duration::from_secs(3);
/// Octets that are read and dropped at the end, so that a reset does not overtake the last reply.
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// Drives a machine to its end. `draining` tells it to finish; dropping the future ends the session at once.
pub async fn drive<M: Machine, O: Owner<M>>(
    mut machine: M,
    owner: &mut O,
    transport: Transport,
    tls: TlsSide,
    draining: CancellationToken,
) -> io::Result<()> {
    let mut wire = Wire { transport: Some(transport), tls, input: Vec::with_capacity(4096), start: 0, ended: false };
    let mut told_of_draining = false;
    loop {
        let fed = machine.feed(Instant::now(), wire.unconsumed());
        let consumed = fed.consumed;
        match fed.step {
            Step::Data(octets) => owner.data(octets).await,
            Step::Ask(ask) => {
                let answer = owner.ask(ask).await;
                machine.answer(Instant::now(), answer);
            }
            Step::Upgrade(Upgrade::Tls) => {
                wire.write_all_of(&mut machine, owner).await?;
                wire.secure().await?;
                owner.secured(wire.transport()?.tls().unwrap_or_default());
                machine.upgraded(Instant::now());
                continue;
            }
            Step::Close => {
                wire.write_all_of(&mut machine, owner).await?;
                return wire.close().await;
            }
            Step::Read => {
                wire.consume(consumed);
                wire.write_all_of(&mut machine, owner).await?;
                wire.wait(&mut machine, &draining, &mut told_of_draining).await?;
                continue;
            }
        }
        wire.consume(consumed);
        if machine.output().is_full() {
            wire.write_all_of(&mut machine, owner).await?;
        }
    }
}

/// The transport and the input not yet consumed.
struct Wire {
    transport: Option<Transport>,
    tls: TlsSide,
    input: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Wire {
    fn unconsumed(&self) -> &[u8] {
        self.input.get(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, octets: usize) {
        self.start += octets;
        if self.start >= self.input.len() {
            self.input.clear();
            self.start = 0;
        }
    }

    fn transport(&mut self) -> io::Result<&mut Transport> {
        self.transport.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
    }

    /// Whatever comes first: input, the machine's deadline, the order to drain.
    async fn wait<M: Machine>(
        &mut self,
        machine: &mut M,
        draining: &CancellationToken,
        told: &mut bool,
    ) -> io::Result<()> {
        let deadline = machine.deadline();
        let wake = deadline.unwrap_or_else(|| Instant::now() + SILENCE_SECONDS_MAX);
        tokio::select! {
            read = self.read(), if !self.ended => {
                // A broken connection is an end of input: the machine must be able to give up its transaction.
                if !matches!(read, Ok(octets) if octets > 0) {
                    self.ended = true;
                    machine.end_of_input(Instant::now());
                }
            }
            () = draining.cancelled(), if !*told => {
                *told = true;
                machine.shutdown(Instant::now());
            }
            () = sleep_until(wake.into()) => match deadline {
                Some(_) => machine.timeout(Instant::now()),
                None => return Err(io::ErrorKind::TimedOut.into()),
            },
        }
        Ok(())
    }

    async fn read(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.input.drain(..self.start);
            self.start = 0;
        }
        let room = INPUT_BYTES.saturating_sub(self.input.len());
        if room == 0 {
            return Err(io::Error::other("the machine leaves a full buffer unconsumed"));
        }
        let Self { transport, input, .. } = self;
        let transport = transport.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        input.reserve(room.min(16 * 1024));
        transport.take(room as u64).read_buf(input).await
    }

    async fn secure(&mut self) -> io::Result<()> {
        // RFC 3207 §4.2: nothing that came before the handshake survives it.
        self.input.clear();
        self.start = 0;
        let plain = self.transport.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        self.transport = Some(plain.secure(&self.tls).await?);
        Ok(())
    }

    async fn write_all_of<M: Machine, O: Owner<M>>(&mut self, machine: &mut M, owner: &mut O) -> io::Result<()> {
        if machine.output().is_empty() {
            return Ok(());
        }
        while let Some(output) = machine.output().pop() {
            match output {
                Output::Bytes(octets) => self.write(&octets).await?,
                Output::Bulk(bulk) => self.write_bulk::<M, O>(bulk, owner).await?,
            }
        }
        let transport = self.transport()?;
        in_time(transport.flush()).await
    }

    async fn write_bulk<M: Machine, O: Owner<M>>(&mut self, bulk: Bulk, owner: &mut O) -> io::Result<()> {
        let mut encoder = match bulk.framing {
            Framing::Raw => None,
            Framing::Dot { body_lines_max } => Some(DotEncoder::new(body_lines_max)),
        };
        let mut at = bulk.range.start;
        let mut encoded = Vec::new();
        while at < bulk.range.end && !encoder.as_ref().is_some_and(DotEncoder::is_satisfied) {
            let octets = owner.bulk(bulk.handle, at..bulk.range.end.min(at + BULK_BYTES)).await?;
            if octets.is_empty() {
                break;
            }
            at += octets.len() as u64;
            match &mut encoder {
                None => self.write(&octets).await?,
                Some(encoder) => {
                    encoded.clear();
                    encoder.encode(&octets, &mut encoded);
                    self.write(&encoded).await?;
                }
            }
        }
        if let Some(encoder) = encoder {
            encoded.clear();
            encoder.finish(&mut encoded);
            self.write(&encoded).await?;
        }
        Ok(())
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let transport = self.transport()?;
        in_time(transport.write_all(octets)).await
    }

    /// Says the end, then drops what the peer still sends: closing over unread input would reset the connection, and
    /// the peer might never see the last reply.
    async fn close(&mut self) -> io::Result<()> {
        let ended = self.ended;
        let transport = self.transport()?;
        let goodbye = async {
            transport.shutdown().await?;
            let mut dropped = 0;
            let mut scratch = [0; 4096];
            while !ended && dropped < LINGER_BYTES_MAX {
                match transport.read(&mut scratch).await? {
                    0 => break,
                    octets => dropped += octets,
                }
            }
            Ok::<(), io::Error>(())
        };
        let _ = timeout(CLOSE_SECONDS_MAX, goodbye).await;
        Ok(())
    }
}

async fn in_time<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(WRITE_SECONDS_MAX, step).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
#[path = "drive_tests.rs"]
mod tests;
