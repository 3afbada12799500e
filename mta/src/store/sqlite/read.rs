//! Reads, each on a reader's connection.

use paquebot_mta_api::{
    directory::Entry,
    journey::{Event, Queued},
};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use uuid::Uuid;

use super::{
    codec,
    entry::EntryRow,
    error, sql,
    write::{integer, journey},
};
use crate::{
    message::MessageId,
    store::{rules, seal::SealKey, types::*},
    time::Micros,
};

/// Receptions of one Message-ID field that a journey follows.
const RECEPTIONS_MAX: i64 = 1000;
/// Rows of one reception's journey.
const JOURNEY_ROWS_MAX: i64 = 10_000;

fn one<T>(
    conn: &Connection,
    sql: &'static str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    conn.prepare_cached(sql).and_then(|mut it| it.query_row(params, read).optional()).map_err(error::of)
}

fn all<T>(
    conn: &Connection,
    sql: &'static str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    conn.prepare_cached(sql).and_then(|mut it| it.query_map(params, read)?.collect()).map_err(error::of)
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

pub(super) fn message(conn: &Connection, id: MessageId) -> Result<Stored, StoreError> {
    let row = one(conn, sql::MESSAGE_READ, [id.0.as_bytes()], |row| {
        Ok(codec::Row {
            id,
            domain: uuid(row, 0)?,
            accepted: Micros(row.get(1)?),
            reverse_path: row.get(2)?,
            message_id: row.get(3)?,
            flags: row.get(4)?,
            size_bytes: unsigned(row, 5)?,
            content: row.get(6)?,
        })
    })?;
    let (message, envelope) = row.ok_or_else(|| StoreError::Conflict(format!("message {id} is gone")))?.open()?;
    Ok(Stored { message: message.into(), envelope: envelope.into() })
}

pub(super) fn next_due(conn: &Connection, clock: Micros, me: Incarnation) -> Result<Option<Micros>, StoreError> {
    let alive = all(conn, sql::INCARNATION_ALIVE, [clock.0], |row| uuid(row, 0).map(Incarnation))?;
    let share = rules::share(&alive, me).cast_signed();
    if share == 0 {
        return Ok(None);
    }
    let mut next = one(conn, sql::RECIPIENT_NEXT_DUE, [share], |row| row.get::<_, i64>(0))?;
    for expired in all(conn, sql::INCARNATION_EXPIRED, [clock.0], |row| uuid(row, 0))? {
        let held = params![share, expired.as_bytes()];
        let freed = one(conn, sql::RECIPIENT_NEXT_DUE_OF, held, |row| row.get::<_, Option<i64>>(0))?.flatten();
        next = [next, freed].into_iter().flatten().min();
    }
    Ok(next.map(Micros))
}

pub(super) fn directory(conn: &Connection, seal: &SealKey) -> Result<DirectorySet, StoreError> {
    // One transaction: the entries are the revision's.
    let snapshot = conn.unchecked_transaction().map_err(error::of)?;
    let state = directory_state(&snapshot)?;
    let mut set = DirectorySet { revision: state.revision, complete: state.complete, ..DirectorySet::default() };
    for row in all(&snapshot, sql::DIRECTORY_LIST, [], |row| Ok(EntryRow::read(row)))? {
        let (listed, entry) = row.open(seal);
        match entry {
            Some(entry) => set.entries.push(Entry { digest: listed.digest, ..entry }),
            None => set.unreadable.push(listed.key),
        }
    }
    Ok(set)
}

pub(super) fn directory_listing(
    conn: &Connection,
    seal: &SealKey,
    of: ListingOf,
) -> Result<DirectoryListing, StoreError> {
    let snapshot = conn.unchecked_transaction().map_err(error::of)?;
    let mut listing = directory_state(&snapshot)?;
    // A row that is not wanted is never decoded beyond its key.
    let rows = all(&snapshot, sql::DIRECTORY_LIST, [], |row| {
        let wanted = of == ListingOf::All || of.has(&EntryRow::key_of(row));
        Ok(wanted.then(|| EntryRow::read(row).open(seal).0))
    })?;
    listing.entries = rows.into_iter().flatten().collect();
    Ok(listing)
}

/// Without the entries.
fn directory_state(conn: &Connection) -> Result<DirectoryListing, StoreError> {
    let state = one(conn, sql::DIRECTORY_STATE, [], |row| {
        let (epoch, revision, complete) = (unsigned(row, 0)?, unsigned(row, 1)?, row.get(2)?);
        Ok(DirectoryListing { epoch, revision, complete, entries: Vec::new() })
    })?;
    state.ok_or_else(|| StoreError::Corrupt("the directory's state is gone".into()))
}

pub(super) fn directory_revision(conn: &Connection) -> Result<u64, StoreError> {
    Ok(one(conn, sql::DIRECTORY_STATE, [], |row| unsigned(row, 1))?.unwrap_or(0))
}

pub(super) fn queue(
    conn: &Connection,
    after: Option<(MessageId, RecipientIndex)>,
    limit: usize,
) -> Result<Vec<(RecipientIndex, Queued)>, StoreError> {
    let message: &[u8] = after.as_ref().map_or(&[], |(message, _)| message.0.as_bytes());
    let index = after.as_ref().map_or(-1, |(_, index)| i64::from(index.0));
    all(conn, sql::QUEUE_LIST, params![message, index, integer(limit)], |row| {
        let (attempts, held): (u32, bool) = (row.get(3)?, row.get(5)?);
        let next_attempt: i64 = row.get(6)?;
        let queued = Queued {
            message: uuid(row, 0)?,
            message_id: row.get(7)?,
            reverse_path: row.get(8)?,
            recipient: row.get(2)?,
            size_bytes: unsigned(row, 9)?,
            accepted_us: row.get(10)?,
            next_attempt_us: (!held && attempts > 0).then_some(next_attempt),
            attempts,
            last_error: row.get(4)?,
        };
        Ok((RecipientIndex(row.get(1)?), queued))
    })
}

pub(super) fn queue_depth(conn: &Connection) -> Result<(u64, Option<Micros>), StoreError> {
    let depth = one(conn, sql::QUEUE_DEPTH, [], |row| Ok((unsigned(row, 0)?, row.get::<_, Option<i64>>(1)?)))?;
    Ok(depth.map_or((0, None), |(count, oldest)| (count, oldest.map(Micros))))
}

pub(super) fn journey(conn: &Connection, of: &JourneyOf, limit: usize) -> Result<Vec<Event>, StoreError> {
    let (messages, field) = match of {
        JourneyOf::Message(id) => (vec![id.0], None),
        JourneyOf::MessageIdField(field) if field.is_empty() => return Ok(Vec::new()),
        JourneyOf::MessageIdField(field) => {
            let found = params![journey::hash(field), RECEPTIONS_MAX];
            (all(conn, sql::JOURNEY_NAMES, found, |row| uuid(row, 0))?, Some(field))
        }
    };
    let mut steps = Vec::new();
    for message in messages {
        let rows = all(conn, sql::JOURNEY_READ, params![message.as_bytes(), JOURNEY_ROWS_MAX], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        for (message_id, kept) in rows.iter().filter(|(message_id, _)| field.is_none_or(|field| field == message_id)) {
            steps.extend(journey::steps(message, message_id, kept)?);
        }
    }
    steps.sort_by_key(|step| step.at_us);
    steps.truncate(limit);
    Ok(steps)
}

pub(super) fn mailbox(conn: &Connection, account: AccountId, name: &str) -> Result<Option<MailboxState>, StoreError> {
    one(conn, sql::MAILBOX_READ, params![account.0.as_bytes(), name], |row| {
        Ok(MailboxState {
            id: MailboxId(row.get(0)?),
            uid_validity: row.get(1)?,
            uid_next: Uid(row.get(2)?),
            modseq: ModSeq(unsigned(row, 3)?),
        })
    })
}

pub(super) fn mails(conn: &Connection, mailbox: MailboxId, limit: usize) -> Result<Vec<Mail>, StoreError> {
    all(conn, sql::MAIL_LIST, params![mailbox.0, integer(limit)], |row| {
        Ok(Mail {
            uid: Uid(row.get(0)?),
            modseq: ModSeq(unsigned(row, 1)?),
            message: MessageId(uuid(row, 2)?),
            size_bytes: unsigned(row, 3)?,
            internal_date: Micros(row.get(4)?),
        })
    })
}

pub(super) fn mail(conn: &Connection, mailbox: MailboxId, uid: Uid) -> Result<MailContent, StoreError> {
    // One transaction: the copy's message cannot go in between.
    let snapshot = conn.unchecked_transaction().map_err(error::of)?;
    let copy = one(&snapshot, sql::MAIL_CONTENT, params![mailbox.0, uid.0], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, uuid(row, 1)?))
    })?;
    let (fields, id) = copy.ok_or_else(|| StoreError::Conflict("the message is gone from the mailbox".into()))?;
    let stored = message(&snapshot, MessageId(id))?;
    Ok(MailContent { copy_fields: fields.into(), message: stored.message })
}

pub(super) fn usage(conn: &Connection, account: AccountId) -> Result<u64, StoreError> {
    Ok(one(conn, sql::ACCOUNT_USED, [account.0.as_bytes()], |row| unsigned(row, 0))?.unwrap_or(0))
}

pub(super) fn has_message(conn: &Connection, id: MessageId) -> Result<bool, StoreError> {
    Ok(one(conn, sql::MESSAGE_EXISTS, [id.0.as_bytes()], |_| Ok(()))?.is_some())
}
