//! What happened to messages: one row for all that one write says of one message, so that a delivery appends
//! two rows and not one a step.

use paquebot_mta_api::journey::{Actor, Event, Step};
use rusqlite::params;

use super::{super::sql, Tx};
use crate::store::types::StoreError;

/// A step as it lies in its row: message and Message-ID are the row's.
pub(in crate::store::sqlite) type Kept<'a> =
    (i64, Option<std::borrow::Cow<'a, str>>, Actor, Step, std::borrow::Cow<'a, str>);

const MINUTE_US: i64 = 60_000_000;

/// The minute of a time.
pub(in crate::store::sqlite) fn minute(at_us: i64) -> i64 {
    at_us.div_euclid(MINUTE_US)
}

/// The hash by which a Message-ID field is found (FNV-1a); rows that collide are told apart by the field itself.
pub(in crate::store::sqlite) fn hash(field: &str) -> i64 {
    let hash = field
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3));
    hash.cast_signed()
}

impl Tx<'_> {
    pub(super) fn note(&self, events: &[Event]) -> Result<(), StoreError> {
        events
            .chunk_by(|one, next| one.message == next.message && one.message_id == next.message_id)
            .try_for_each(|steps| self.note_steps(steps))
    }

    fn note_steps(&self, steps: &[Event]) -> Result<(), StoreError> {
        let (Some(first), Some(last_us)) = (steps.first(), steps.iter().map(|step| step.at_us).max()) else {
            return Ok(());
        };
        let kept: Vec<Kept<'_>> = steps
            .iter()
            .map(|it| (it.at_us, it.recipient.as_deref().map(Into::into), it.actor, it.step, it.detail.as_str().into()))
            .collect();
        let kept = serde_json::to_string(&kept).map_err(|error| StoreError::Conflict(error.to_string()))?;
        let message = first.message.as_bytes();
        self.execute(sql::JOURNEY_INSERT, params![message, first.message_id, last_us, kept])?;
        if !first.message_id.is_empty() {
            let name = params![minute(last_us), hash(&first.message_id), message];
            self.execute(sql::JOURNEY_NAME_INSERT, name)?;
        }
        Ok(())
    }
}

/// The steps of one row.
pub(in crate::store::sqlite) fn steps(
    message: uuid::Uuid,
    message_id: &str,
    kept: &str,
) -> Result<Vec<Event>, StoreError> {
    let kept: Vec<Kept<'_>> =
        serde_json::from_str(kept).map_err(|error| StoreError::Corrupt(format!("a journey: {error}")))?;
    let event = |(at_us, recipient, actor, step, detail): Kept<'_>| Event {
        at_us,
        message,
        message_id: message_id.to_owned(),
        recipient: recipient.map(Into::into),
        actor,
        step,
        detail: detail.into(),
    };
    Ok(kept.into_iter().map(event).collect())
}
