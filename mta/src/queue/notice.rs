//! Bounces and delay notices as messages: to whom, from whom, signed.

use std::sync::Arc;

use bytes::Bytes;
use paquebot_mta_api::{
    address::{Address, Domain},
    config::Retry,
    journey::{Actor, Event, Step},
};

use super::{
    dsn::{self, Kind, Notice, Reported},
    job::{Job, Recipient},
    outcome::Failure,
};
use crate::{
    directory::{Directory, Resolved, Snapshot},
    identity::Identity,
    message::{Body, Message, MessageId, canonical::BodyHasher},
    sign::{Signatures, Signers},
    store::{Accept, AccountId, Envelope, Incarnation, NewRecipient, RecipientIndex},
    time::Micros,
};

/// What is needed to write notices.
pub struct Writer {
    /// The name of this server.
    pub identity: Identity,
    /// For when a message is given up.
    pub retry: Retry,
    /// Who is hosted, and their keys.
    pub directory: Arc<Directory>,
    /// Signs.
    pub signers: Arc<Signers>,
}

/// Where a notice to this reverse-path goes; empty: nobody can be told.
pub fn addressees(snapshot: &Snapshot, reverse_path: Option<&Address>) -> Vec<NewRecipient> {
    // RFC 5321 §6.1: never a notice about a notice.
    let Some(sender) = reverse_path else { return Vec::new() };
    let new = |index: usize, address: Address, account| NewRecipient {
        index: RecipientIndex(u32::try_from(index).unwrap_or(u32::MAX)),
        address,
        original: sender.to_string(),
        account,
    };
    match snapshot.resolve(sender) {
        Resolved::Remote => vec![new(0, sender.clone(), None)],
        Resolved::Targets(targets) => targets
            .into_iter()
            .enumerate()
            .map(|(index, target)| new(index, target.address, target.mailbox.map(|mailbox| AccountId(mailbox.account))))
            .collect(),
        Resolved::Unknown | Resolved::Broken => Vec::new(),
    }
}

/// Whose domain writes: the sender's where it is ours, else the one for which the message was taken.
fn from_domain(
    snapshot: &Snapshot,
    sender: &Address,
    reported: &[(&Recipient, &Failure)],
    hostname: &Domain,
) -> Domain {
    let originals = reported.iter().filter_map(|(recipient, _)| recipient.original.parse::<Address>().ok());
    std::iter::once(sender.domain().clone())
        .chain(originals.map(|address| address.domain().clone()))
        .find(|domain| snapshot.domain(domain).is_some())
        .unwrap_or_else(|| hostname.clone())
}

/// Writes a notice to these [`addressees`]; `None` where there are none.
pub async fn write(
    writer: &Writer,
    job: &Job,
    kind: Kind,
    reported: &[(&Recipient, &Failure)],
    recipients: &[NewRecipient],
    now: Micros,
) -> Option<Accept> {
    let snapshot = writer.directory.current();
    let sender = job.envelope.reverse_path.as_ref()?;
    if recipients.is_empty() {
        return None;
    }
    let hostname = &writer.identity.current().hostname;
    let domain = from_domain(&snapshot, sender, reported, hostname);
    let from = Address::new("postmaster", domain.clone()).ok()?;
    let id = MessageId::new();
    let reported: Vec<Reported<'_>> = reported
        .iter()
        .map(|(recipient, failure)| Reported { address: &recipient.address, original: &recipient.original, failure })
        .collect();
    let composed = dsn::compose(&Notice {
        kind,
        id,
        reporter: hostname,
        from: &from,
        to: sender,
        message: &job.message,
        accepted: job.envelope.accepted,
        now,
        recipients: &reported,
    });
    let (message, signed_by) = signed(writer, &snapshot, &domain, id, composed, now).await;
    Some(accept(message, signed_by, job, recipients.to_vec(), now))
}

async fn signed(
    writer: &Writer,
    snapshot: &Snapshot,
    domain: &Domain,
    id: MessageId,
    composed: dsn::Composed,
    now: Micros,
) -> (Message, String) {
    let header = Bytes::from(composed.header);
    let body = Bytes::from(composed.body);
    let mut hasher = BodyHasher::default();
    hasher.feed(&body);
    // An unsigned bounce is better than none.
    let keys = snapshot.keys(domain);
    let signatures =
        writer.signers.sign(header.clone(), hasher.finish().relaxed, keys, now).await.unwrap_or_else(|error| {
            tracing::warn!(%domain, %error, "a notice goes out unsigned");
            Signatures::default()
        });
    let message = Message {
        id,
        prefix: Bytes::from(signatures.fields),
        eight_bit: !header.is_ascii() || !body.is_ascii(),
        utf8_header: !header.is_ascii(),
        header,
        body: Body::Inline(body),
        message_id: composed.message_id,
    };
    (message, signatures.words)
}

/// `signed_by`: as the journey has it; empty for nobody.
fn accept(message: Message, signed_by: String, job: &Job, recipients: Vec<NewRecipient>, now: Micros) -> Accept {
    let event = |step, detail| Event {
        at_us: now.0,
        message: message.id.0,
        message_id: message.message_id.clone(),
        recipient: None,
        actor: Actor::Mta,
        step,
        detail,
    };
    let mut events = Vec::with_capacity(2);
    if !signed_by.is_empty() {
        events.push(event(Step::Signed, signed_by));
    }
    events.push(event(Step::Queued, format!("a notice about {}, to its sender", job.message.id)));
    let smtputf8 = message.utf8_header || recipients.iter().any(|to| to.address.needs_smtputf8());
    Accept {
        message: Arc::new(message),
        envelope: Arc::new(Envelope {
            reverse_path: None,
            accepted: now,
            domain: job.envelope.domain,
            smtputf8,
            junk: false,
        }),
        recipients,
        holder: None::<Incarnation>,
        events,
    }
}
