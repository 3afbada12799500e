//! One comparison with one pod, and the changes that follow.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use paquebot_mta_api::{
    address::Domain,
    admin::{Change, Listed, RefusalReason},
    directory::{Digest, Entry, MailboxEntry, Value},
};
use tokio::time::Instant;
use uuid::Uuid;

use super::Shared;
use crate::directory::{
    chunks::{Chunk, chunks},
    client::{Client, ClientError, Connection},
    compare::{self, Conflict, Held, Known, Plan, Put, There},
    desired::{Desired, listed},
    passwords,
    target::Target,
};

/// Comparisons in a row while somebody else changes the directory.
const COMPARISONS_MAX: usize = 5;
/// A connection is used that long: pods end those that are older than a minute.
const CONNECTION_USED_MAX: Duration = Duration::from_secs(30);
/// Passwords that are read and derived at once.
const DERIVED_AT_ONCE: usize = 8;

/// The directory as it was left.
#[derive(Debug)]
pub(super) struct Synced {
    pub root: Digest,
    pub revision: u64,
    pub complete: bool,
    pub as_wanted: HashMap<Uuid, Digest>,
    pub holders: BTreeMap<Domain, Uuid>,
    pub sealed: BTreeMap<String, Uuid>,
    pub held: Vec<Held>,
    pub to_confirm: usize,
    pub conflicts: Vec<Conflict>,
    pub failed: HashMap<Uuid, String>,
    /// Whether anything was changed.
    pub wrote: bool,
}

/// Why the directory is not as wanted.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    /// The pod.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Another leader has written.
    #[error("another operator writes with epoch {theirs}, ours is {ours}: this one stops writing until it leads again")]
    Fenced { ours: u64, theirs: u64 },
    /// We lead no more.
    #[error("this operator does not lead now: the one that leads writes")]
    NotLeading,
    /// The directory never holds still.
    #[error("somebody else changes the directory all the time: see whether two operators run for one cluster")]
    Moving,
    /// The store moved while it was read; inside only.
    #[error("the directory changed while it was compared")]
    Moved,
}

impl SyncError {
    /// For conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Client(ClientError::Trust { .. }) => "PodNotTrusted",
            Self::Client(ClientError::Refused { refusal, .. }) if refusal.reason == RefusalReason::Unavailable => {
                "StoreUnavailable"
            }
            Self::Client(ClientError::Refused { .. }) => "ChangeRefused",
            Self::Client(ClientError::Unexpected { .. }) => "UnexpectedAnswer",
            Self::Client(_) => "PodUnreachable",
            Self::Fenced { .. } => "Fenced",
            Self::NotLeading => "NotLeading",
            Self::Moving | Self::Moved => "DirectoryMoves",
        }
    }

    fn refusal(&self) -> Option<RefusalReason> {
        match self {
            Self::Client(ClientError::Refused { refusal, .. }) => Some(refusal.reason),
            _ => None,
        }
    }
}

/// Compares and changes until the directory is as wanted.
pub(super) async fn sync(
    shared: &Shared,
    client: &Client,
    address: SocketAddr,
    target: &Target,
) -> Result<Synced, SyncError> {
    for _ in 0..COMPARISONS_MAX {
        match once(shared, client, address, target).await {
            Err(SyncError::Moved) => {}
            Err(error) if matches!(error.refusal(), Some(RefusalReason::Moved | RefusalReason::Owned)) => {}
            other => return other,
        }
    }
    Err(SyncError::Moving)
}

async fn once(shared: &Shared, client: &Client, address: SocketAddr, target: &Target) -> Result<Synced, SyncError> {
    let ours = shared.leadership.epoch().ok_or(SyncError::NotLeading)?;
    let mut connection = client.open(address).await?;
    let state = connection.state().await?;
    if state.epoch > ours {
        return Err(SyncError::Fenced { ours, theirs: state.epoch });
    }
    let there = read(client, address, connection, &target.desired).await?;
    let known = Known { watches_synced: target.watches_synced, gone: &target.gone, confirmed: target.confirmed };
    let mut plan = compare::compare(&target.desired, &there, &known);
    let work = chunks(std::mem::take(&mut plan.put), std::mem::take(&mut plan.delete));
    let mut writer = Writer {
        shared,
        client,
        address,
        epoch: ours,
        base: there.revision,
        claimed: state.epoch == ours,
        complete: state.complete,
        may_complete: target.watches_synced && target.all_known,
        wrote: false,
        failed: HashMap::new(),
    };
    writer.write(work, &mut plan).await?;
    Ok(Synced {
        root: plan.root(),
        revision: writer.base,
        complete: writer.complete,
        as_wanted: plan.as_wanted(&target.desired),
        holders: plan.holders(&target.desired),
        sealed: plan.sealed(),
        held: plan.held,
        to_confirm: plan.to_confirm,
        conflicts: plan.conflicts,
        failed: writer.failed,
        wrote: writer.wrote,
    })
}

/// The buckets that are not as wanted, all of one revision.
async fn read(
    client: &Client,
    address: SocketAddr,
    mut connection: Connection,
    desired: &Desired,
) -> Result<There, SyncError> {
    let buckets = connection.buckets().await?;
    let differing: HashSet<usize> = compare::differing(desired, &buckets.digests);
    let mut entries = BTreeMap::new();
    let mut opened = Instant::now();
    for index in &differing {
        if opened.elapsed() >= CONNECTION_USED_MAX {
            (connection, opened) = (client.open(address).await?, Instant::now());
        }
        let bucket = connection.bucket(*index).await?;
        if bucket.revision != buckets.revision {
            return Err(SyncError::Moved);
        }
        entries.extend(bucket.entries.into_iter().map(|it| (it.key.clone(), it)));
    }
    Ok(There { revision: buckets.revision, differing, entries })
}

struct Writer<'a> {
    shared: &'a Shared,
    client: &'a Client,
    address: SocketAddr,
    epoch: u64,
    base: u64,
    /// The store knows our epoch: it refuses older leaders.
    claimed: bool,
    complete: bool,
    may_complete: bool,
    wrote: bool,
    failed: HashMap<Uuid, String>,
}

impl Writer<'_> {
    /// Writes all of it; what cannot be written is left out, said, and taken out of the plan's outcome.
    async fn write(&mut self, mut work: VecDeque<Chunk>, plan: &mut Plan) -> Result<(), SyncError> {
        while let Some(chunk) = work.pop_front() {
            let put = self.derive(&chunk.put, plan).await;
            if put.is_empty() && chunk.delete.is_empty() {
                continue;
            }
            let taken = chunk.put.iter().filter(|it| it.takes_over() && put.iter().any(|(key, _)| *key == it.key));
            let delete = chunk.delete.iter().chain(taken.map(|it| &it.key)).cloned().collect();
            let last = work.is_empty();
            let put = put.into_iter().map(|(_, entry)| entry).collect();
            match self.post(put, delete, last).await {
                Err(error) if error.refusal() == Some(RefusalReason::Invalid) => match chunk.clone().halves() {
                    Some((first, second)) => {
                        work.push_front(second);
                        work.push_front(first);
                    }
                    None => self.give_up(&chunk, &error, plan),
                },
                other => other?,
            }
        }
        // A new leader says so even where it has nothing to write: the one before it must write no more.
        if !self.claimed || (self.may_complete && !self.complete) {
            self.post(Vec::new(), Vec::new(), true).await?;
        }
        Ok(())
    }

    async fn post(&mut self, put: Vec<Entry>, delete: Vec<String>, last: bool) -> Result<(), SyncError> {
        // Asked before each change: a leader that was cut off must not write.
        if self.shared.leadership.epoch() != Some(self.epoch) {
            return Err(SyncError::NotLeading);
        }
        let complete = last && self.may_complete;
        let change = Change { epoch: self.epoch, base: self.base, put, delete, complete };
        let sent = match self.client.open(self.address).await {
            Ok(mut connection) => connection.change(&change).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(changed) => {
                self.wrote |= self.base != changed.revision;
                self.base = changed.revision;
                self.complete |= complete;
                self.claimed = true;
                Ok(())
            }
            Err(ClientError::Refused { refusal, .. }) if refusal.reason == RefusalReason::Fenced => {
                Err(SyncError::Fenced { ours: self.epoch, theirs: self.epoch.saturating_add(1) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The entries as they are written, with their keys.
    async fn derive(&mut self, puts: &[Put], plan: &mut Plan) -> Vec<(String, Entry)> {
        use futures::StreamExt;
        let (passwords, slots) = (&*self.shared.passwords, &self.shared.deriving);
        let one = |put: Put| async move {
            let entry = passwords::derived(&put.wanted.entry, passwords, slots).await;
            (put, entry)
        };
        let mut results = futures::stream::iter(puts.to_vec()).map(one).buffered(DERIVED_AT_ONCE);
        let mut entries = Vec::new();
        while let Some((put, entry)) = results.next().await {
            match entry {
                Ok(entry) => entries.push((put.key, entry)),
                Err(error) => {
                    let owner = put.wanted.entry.owner;
                    self.failed.insert(owner, error.to_string());
                    plan.blocked.insert(owner);
                    entries.extend(instead(put, plan));
                }
            }
        }
        entries
    }

    fn give_up(&mut self, chunk: &Chunk, error: &SyncError, plan: &mut Plan) {
        for put in &chunk.put {
            let owner = put.wanted.entry.owner;
            self.failed.insert(owner, error.to_string());
            plan.blocked.insert(owner);
            restore(&put.key, put.there.clone(), plan);
        }
    }
}

/// A mailbox without a password to derive from: what is there stays; where nothing is, its mail is taken but nobody
/// logs in, for 550 would be wrong.
fn instead(put: Put, plan: &mut Plan) -> Option<(String, Entry)> {
    let own = put.there.as_ref().filter(|it| it.owner == put.wanted.entry.owner);
    let readable = own.filter(|it| it.digest != Digest::default());
    let Value::Mailbox(mailbox) = &put.wanted.entry.value else { return None };
    if let Some(there) = readable {
        restore(&put.key, Some(there.clone()), plan);
        return None;
    }
    let closed = MailboxEntry { login: None, ..mailbox.clone() };
    let entry = Entry::new(put.wanted.entry.owner, Value::Mailbox(closed));
    plan.after.insert(put.key.clone(), listed(&put.key, &entry));
    Some((put.key, entry))
}

fn restore(key: &str, there: Option<Listed>, plan: &mut Plan) {
    match there {
        Some(there) => drop(plan.after.insert(key.to_owned(), there)),
        None => drop(plan.after.remove(key)),
    }
}
