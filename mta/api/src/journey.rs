//! What `trace` and `queue` show of messages: JSON over the admin socket.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One step of a message's journey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When, microseconds since 1970 UTC.
    pub at_us: i64,
    /// The message's id in this system: one a reception.
    pub message: Uuid,
    /// The Message-ID field without brackets: the same in every system on the way. Empty where there was none.
    pub message_id: String,
    /// The recipient, where the step concerns one.
    pub recipient: Option<String>,
    /// Who acted.
    pub actor: Actor,
    /// What happened.
    pub step: Step,
    /// In words: the reply, the DNS answers used, the verdict.
    pub detail: String,
}

/// Who acted, in the words of the field (RFC 5598).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Actor {
    /// The user's program.
    Mua,
    /// The server that takes or passes on mail by SMTP.
    Mta,
    /// Puts mail into the mailbox.
    Mda,
    /// Hands mail to the user's program.
    Mra,
}

/// What happened to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Handed in by a user, logged in.
    Submitted,
    /// Taken from another server.
    Received,
    /// Not taken: the reply says why.
    Refused,
    /// Signed with DKIM.
    Signed,
    /// SPF, DKIM, DMARC were checked: the verdict.
    Verified,
    /// Committed to the queue.
    Queued,
    /// The next hosts were looked up: the DNS answers.
    Routed,
    /// The next host took it.
    Delivered,
    /// The attempt failed for now: when the next one comes.
    Deferred,
    /// Put into a mailbox.
    Stored,
    /// Given up: a bounce went to the sender.
    Returned,
    /// The sender was told of a delay.
    Warned,
    /// Undeliverable and with nobody to tell: kept in the dead letters.
    Dead,
    /// Fetched by its user.
    Fetched,
    /// Deleted by its user.
    Deleted,
}

/// A row of `queue list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queued {
    /// The message's id.
    pub message: Uuid,
    /// The Message-ID field without brackets.
    pub message_id: String,
    /// The reverse-path, empty for `<>`.
    pub reverse_path: String,
    /// The recipient.
    pub recipient: String,
    /// Octets.
    pub size_bytes: u64,
    /// When it was accepted, microseconds since 1970 UTC.
    pub accepted_us: i64,
    /// When it is tried next; `None`: now.
    pub next_attempt_us: Option<i64>,
    /// Attempts so far.
    pub attempts: u32,
    /// The last reply or fault, empty before any.
    pub last_error: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_are_written_as_the_field_writes_them() {
        let written = serde_json::to_string(&[Actor::Mua, Actor::Mta, Actor::Mda, Actor::Mra]).unwrap();
        assert_eq!(written, r#"["MUA","MTA","MDA","MRA"]"#);
    }
}
