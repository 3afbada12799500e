//! A session's snapshot of INBOX, and octets of its messages.
//!
//! One message is selected at a time: its header is held, its body is read in ranges.

use std::{io, ops::Range};

use bytes::Bytes;
use paquebot_proto::pop3::Listed;

use super::{events::Events, lease::Lease};
use crate::{
    message::MessageId,
    store::{AccountId, Mail, MailContent, MailboxId, Store, StoreError, Uid},
    time::Micros,
};

/// Messages of a snapshot at most: the oldest; the rest comes when these are gone.
pub const MESSAGES_MAX: usize = 100_000;
/// Octets read at once at most.
pub const READ_BYTES_MAX: u64 = 256 * 1024;

/// A snapshot. Mail that comes later is not in it (RFC 1939 §5).
#[derive(Debug, Default)]
pub struct Maildrop {
    mailbox: Option<MailboxId>,
    uid_validity: u32,
    messages: Vec<Row>,
    selected: Option<(usize, MailContent)>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    uid: Uid,
    message: MessageId,
    size_bytes: u64,
}

impl From<Mail> for Row {
    fn from(mail: Mail) -> Self {
        Self { uid: mail.uid, message: mail.message, size_bytes: mail.size_bytes }
    }
}

impl Maildrop {
    /// What is in INBOX now; empty where nothing was ever put there.
    pub async fn read(store: &Store, account: AccountId) -> Result<Self, StoreError> {
        let Some(state) = store.mailbox(account, "INBOX").await? else { return Ok(Self::default()) };
        let mails = store.mails(state.id, MESSAGES_MAX).await?;
        let messages = mails.into_iter().map(Row::from).collect();
        Ok(Self { mailbox: Some(state.id), uid_validity: state.uid_validity, messages, selected: None })
    }

    /// As the machine lists it.
    pub fn listed(&self) -> Vec<Listed> {
        let listed = |row: &Row| Listed {
            size_bytes: row.size_bytes,
            unique_id: format!("{}.{}", self.uid_validity, row.uid.0),
        };
        self.messages.iter().map(listed).collect()
    }

    /// Makes a message the one whose octets are read.
    pub async fn select(&mut self, store: &Store, index: usize) -> Result<Selected, StoreError> {
        self.selected = None;
        let (row, content) = self.content(store, index).await?;
        // Its last octet, before "+OK" promises all of them: a client must get past a message that is broken.
        let size_bytes = content.message.body.size_bytes();
        let last = store.read_body(&content.message, size_bytes.saturating_sub(1)..size_bytes).await?;
        if last.is_empty() && size_bytes > 0 {
            return Err(StoreError::Corrupt(format!("the body of {} is shorter than it was", row.message)));
        }
        let selected = Selected { message: row.message, message_id: content.message.message_id.clone() };
        self.selected = Some((index, content));
        Ok(selected)
    }

    async fn content(&self, store: &Store, index: usize) -> Result<(Row, MailContent), StoreError> {
        let row = self.messages.get(index).copied().zip(self.mailbox);
        let (row, mailbox) = row.ok_or_else(|| StoreError::Conflict("there is no such message".into()))?;
        Ok((row, store.mail(mailbox, row.uid).await?))
    }

    /// Octets of the selected message, perhaps fewer than asked for; none: its end.
    pub async fn octets(&self, store: &Store, handle: u64, range: Range<u64>) -> io::Result<Bytes> {
        let (index, content) = self.selected.as_ref().ok_or_else(|| io::Error::other("no message is selected"))?;
        if u64::try_from(*index) != Ok(handle) {
            return Err(io::Error::other("another message is selected"));
        }
        let mut start = range.start;
        let wanted = range.end.saturating_sub(range.start).min(READ_BYTES_MAX);
        for part in [&content.copy_fields, &content.message.prefix, &content.message.header] {
            match part.get(usize::try_from(start).unwrap_or(usize::MAX)..) {
                Some(rest) if !rest.is_empty() => {
                    let length = usize::try_from(wanted).unwrap_or(usize::MAX).min(rest.len());
                    return Ok(part.slice_ref(rest.get(..length).unwrap_or_default()));
                }
                _ => start = start.saturating_sub(part.len() as u64),
            }
        }
        let left = content.message.body.size_bytes().saturating_sub(start).min(wanted);
        if left == 0 {
            return Ok(Bytes::new());
        }
        let octets = store.read_body(&content.message, start..start + left).await.map_err(io::Error::other)?;
        // Half a message must not look like a whole one.
        if octets.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the stored body is shorter than it was"));
        }
        Ok(octets)
    }

    /// Deletes all of these in one write that holds only under the lease, and notes the journeys' steps.
    pub async fn commit(
        &self,
        store: &Store,
        lease: &Lease,
        events: &Events,
        indices: &[usize],
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = indices.iter().filter_map(|index| Some((*index, *self.messages.get(*index)?))).collect();
        let (Some(mailbox), false) = (self.mailbox, rows.is_empty()) else { return Ok(()) };
        let mut steps = Vec::with_capacity(rows.len());
        for (index, row) in &rows {
            let message_id = match events.message_id(*index) {
                Some(known) => known,
                None => self
                    .content(store, *index)
                    .await
                    .map_or_else(|_| String::new(), |it| it.1.message.message_id.clone()),
            };
            steps.push(events.deleted(row.message, message_id, Micros::now()));
        }
        let uids = rows.iter().map(|(_, row)| row.uid).collect();
        store.expunge(lease.account(), mailbox, uids, Some(lease.session()), steps).await
    }
}

/// A message that was selected.
#[derive(Debug, Clone)]
pub struct Selected {
    /// Its id.
    pub message: MessageId,
    /// Its Message-ID field.
    pub message_id: String,
}
