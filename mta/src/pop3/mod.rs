//! POP3 sessions over the mail store: what the machine of `proto` asks is answered here.
//!
//! A session sees a snapshot of INBOX under a lease in the store; nothing is deleted but by one write
//! that names the lease. Messages are read in ranges and never held whole.
//!
//! - [`serve`]: one connection from its first octet to its last;
//! - this page: [`Session`], the owner of one machine;
//! - [`lease`]: the maildrop's lock, renewed while the session lives;
//! - [`maildrop`]: the snapshot, and octets of its messages;
//! - `events`: what a journey learns of it.

use std::{io, net::IpAddr, ops::Range, sync::Arc};

use bytes::Bytes;
use paquebot_proto::pop3::{Answer, Ask, Refusal, ServerMachine};

mod events;
pub mod lease;
pub mod maildrop;
pub mod serve;

use events::Events;
use lease::Lease;
use maildrop::Maildrop;

use crate::{
    login::{Authenticated, LoginSession, Logins},
    net::owner::Owner,
    store::{Store, StoreError},
    time::Micros,
};

/// The label of POP3 in metrics and logs.
pub const PROTOCOL: &str = "pop3";

/// The owner of one POP3 session.
pub struct Session {
    store: Store,
    logins: Arc<Logins>,
    client: IpAddr,
    login: LoginSession,
    open: Option<Open>,
}

/// A maildrop that is open. Dropped, it gives the lock back and deletes nothing.
struct Open {
    lease: Lease,
    maildrop: Maildrop,
    events: Events,
}

impl Session {
    /// A session with the client at this address.
    pub fn new(store: Store, logins: Arc<Logins>, client: IpAddr) -> Self {
        Self { store, logins, client, login: LoginSession::new(PROTOCOL), open: None }
    }

    async fn open(&mut self) -> Answer {
        let Some(user) = self.login.authenticated().cloned() else { return Answer::Refused(Refusal::Temporary) };
        self.open = None;
        match self.open_as(user).await {
            Ok(open) => {
                let listed = open.maildrop.listed();
                self.open = Some(open);
                Answer::Opened(listed)
            }
            Err(error) => self.refused("open", &error),
        }
    }

    async fn open_as(&self, user: Authenticated) -> Result<Open, StoreError> {
        let lease = Lease::take(self.store.clone(), user.account()).await?;
        let maildrop = Maildrop::read(&self.store, user.account()).await?;
        Ok(Open { lease, maildrop, events: Events::new(self.store.clone(), user, self.client) })
    }

    async fn fetch(&mut self, index: usize) -> Answer {
        let Some(open) = &mut self.open else { return Answer::Refused(Refusal::Temporary) };
        match open.maildrop.select(&self.store, index).await {
            Ok(message) => {
                open.events.selected(index, &message);
                Answer::Done
            }
            // The snapshot had it, so it was not the client's mistake.
            Err(StoreError::Conflict(text)) => self.refused("fetch", &StoreError::Corrupt(text)),
            Err(error) => self.refused("fetch", &error),
        }
    }

    /// RFC 1939 §6: all that is marked, or nothing. The lock is free when this returns.
    async fn commit(&mut self, indices: Vec<usize>) -> Answer {
        let Some(mut open) = self.open.take() else { return Answer::Refused(Refusal::Temporary) };
        let committed = open.maildrop.commit(&self.store, &open.lease, &open.events, &indices).await;
        open.events.settle().await;
        open.lease.release().await;
        match committed {
            Ok(()) => Answer::Done,
            Err(error) => self.refused("commit", &error),
        }
    }

    fn refused(&self, step: &str, error: &StoreError) -> Answer {
        let refusal = refusal(error);
        tracing::warn!(protocol = PROTOCOL, client = %self.client, step, %error, ?refusal, "refused");
        Answer::Refused(refusal)
    }
}

/// What a fault of the store means to a POP3 client.
fn refusal(error: &StoreError) -> Refusal {
    match error {
        StoreError::Unavailable(_) | StoreError::Full(_) => Refusal::Temporary,
        StoreError::Fenced | StoreError::Conflict(_) => Refusal::InUse,
        StoreError::Corrupt(_) => Refusal::Permanent,
    }
}

impl Owner<ServerMachine> for Session {
    async fn ask(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Login(ask) => Answer::Login(self.logins.answer(ask, self.client, &mut self.login).await),
            Ask::Open => self.open().await,
            Ask::Fetch(index) => self.fetch(index).await,
            Ask::Commit(indices) => self.commit(indices).await,
        }
    }

    /// Nothing comes: POP3 receives no messages.
    async fn data(&mut self, _octets: &[u8]) {}

    async fn bulk(&mut self, handle: u64, range: Range<u64>) -> io::Result<Bytes> {
        let open = self.open.as_mut().ok_or_else(|| io::Error::other("no maildrop is open"))?;
        let octets = open.maildrop.octets(&self.store, handle, range).await?;
        // The driver asks beyond the end only when all before it has been written.
        if octets.is_empty() {
            open.events.fetched(handle, Micros::now());
        }
        Ok(octets)
    }
}

#[cfg(test)]
mod tests;
