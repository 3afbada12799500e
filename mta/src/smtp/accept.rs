//! From the last octet to `250`: checks, trace fields, signatures, the commit.
//!
//! A message is answered with `250` only when the store has it on disk; every fault before is a 4xx or 5xx and
//! leaves nothing behind. Nothing is read back: the first attempt works on what is in memory.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use paquebot_mta_api::journey::{Actor, Event, Step};
use paquebot_proto::EnhancedCode;
use uuid::Uuid;

use super::{
    context::Shared,
    journey::{Steps, origin},
    refusal::Refused,
    submission,
    transaction::Transaction,
};
use crate::{
    admin::metrics::refusal,
    login::Authenticated,
    message::{
        Message, MessageId,
        collect::{Collected, Incoming},
        fields, mend,
        received::Received,
    },
    store::{Accept, Envelope},
    time::Micros,
    verify::{Disposition, Verdict, policy},
};

/// Whom a message came from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// Who is logged in; `None`: a stranger, on port 25.
    pub principal: Option<&'a Authenticated>,
    /// Version and cipher; `None` in clear.
    pub tls: Option<&'a str>,
}

/// What becomes of what was collected, before it is a [`Message`].
struct Draft {
    /// Above the header: results or signatures, then Received.
    prefix: Vec<u8>,
    header: Bytes,
    junk: bool,
    domain: Uuid,
    events: Vec<Event>,
}

/// Takes a message, or says why not.
pub async fn accept(
    shared: &Shared,
    source: &Source<'_>,
    mut transaction: Transaction,
    incoming: Incoming,
) -> Result<MessageId, Refused> {
    let now = Micros::now();
    let collected = incoming.finish().await?;
    let message_id = fields::message_id(&collected.header);
    let (id, body) = (collected.id, collected.body.clone());
    let drafted = match source.principal {
        Some(principal) => submitted(shared, source, principal, &transaction, &collected, now).await,
        None => received(shared, source, &mut transaction, &collected, now).await,
    };
    let accepted = match drafted {
        Ok(draft) => commit(shared, transaction, collected, draft, now).await,
        Err(refused) => {
            let steps = Steps { message: transaction.id, message_id: &message_id, now };
            let verdict = if refused.detail.is_empty() { String::new() } else { format!("{}; ", refused.detail) };
            let origin = origin(&transaction, source.client, source.principal);
            let detail = format!("{}; {verdict}{origin}", refused.reply);
            shared.store.note_lossy(vec![steps.step(Actor::Mta, Step::Refused, None, detail)]);
            Err(refused)
        }
    };
    if accepted.is_err() {
        // Else a forger could fill the disk with what is refused.
        shared.store.discard(id, &body).await;
    }
    accepted
}

/// From a user: its own addresses only; mended, signed.
async fn submitted(
    shared: &Shared,
    source: &Source<'_>,
    principal: &Authenticated,
    transaction: &Transaction,
    collected: &Collected,
    now: Micros,
) -> Result<Draft, Refused> {
    let directory = shared.directory.current();
    let settings = shared.settings();
    check_loop(&collected.header)?;
    submission::check_header(&directory, principal, &collected.header)?;
    let author = fields::author_domain(&collected.header)?;
    let header = mend::submitted_header(&collected.header, &settings.hostname, collected.id, now);
    let header = Bytes::from(header);
    let keys = directory.keys(&author);
    let signatures =
        shared.signers.sign(header.clone(), collected.body_hashes.relaxed, keys, now).await.map_err(|error| {
            tracing::error!(message = %collected.id, %error, "not signed");
            // Unsigned mail would be refused or junked elsewhere: better later than that.
            Refused::new(refusal::STORE, 451, EnhancedCode(4, 3, 5), "The message could not be signed, try again later")
        })?;
    let message_id = fields::message_id(&header);
    let steps = Steps { message: collected.id, message_id: &message_id, now };
    let mut events =
        vec![steps.step(Actor::Mua, Step::Submitted, None, origin(transaction, source.client, source.principal))];
    if !signatures.words.is_empty() {
        events.push(steps.step(Actor::Mta, Step::Signed, None, signatures.words));
    }
    let mut prefix = signatures.fields.into_bytes();
    // The user's own address on the network is nobody else's business.
    prefix.extend_from_slice(trace_field(transaction, source.tls, &settings.hostname, None, now).as_bytes());
    let domain = directory.domain(principal.address().domain()).map(|it| it.id);
    Ok(Draft { prefix, header, junk: false, domain: domain.unwrap_or_default(), events })
}

/// From a stranger: verified, judged.
async fn received(
    shared: &Shared,
    source: &Source<'_>,
    transaction: &mut Transaction,
    collected: &Collected,
    now: Micros,
) -> Result<Draft, Refused> {
    let settings = shared.settings();
    check_loop(&collected.header)?;
    let spf = transaction.spf.take().ok_or_else(|| {
        Refused::new(refusal::STORE, 451, EnhancedCode(4, 3, 0), "SPF was not checked, try again later")
    })?;
    // What was received is verified, not what is passed on.
    let verdict = shared.verifier.finish(spf, &collected.header, &collected.body_hashes, now).await;
    count(shared, &verdict);
    let junk = match policy(&verdict) {
        Disposition::Accept => false,
        Disposition::Junk => true,
        Disposition::Refuse(reply) | Disposition::TryLater(reply) => {
            let detail = verdict.to_string();
            tracing::info!(message = %collected.id, verdict = detail, "refused by policy");
            return Err(Refused { reason: refusal::POLICY, reply, detail });
        }
    };
    let header = Bytes::from(mend::received_header(&collected.header, &settings.hostname));
    let message_id = fields::message_id(&header);
    let steps = Steps { message: collected.id, message_id: &message_id, now };
    let place = if junk { "; to Junk" } else { "" };
    let events = vec![
        steps.step(Actor::Mta, Step::Received, None, origin(transaction, source.client, None)),
        steps.step(Actor::Mta, Step::Verified, None, format!("{verdict}{place}")),
    ];
    let mut prefix = verdict.authentication_results(&settings.hostname).into_bytes();
    prefix.extend_from_slice(
        trace_field(transaction, source.tls, &settings.hostname, Some(source.client), now).as_bytes(),
    );
    Ok(Draft { prefix, header, junk, domain: transaction.first_domain.unwrap_or_default(), events })
}

fn count(shared: &Shared, verdict: &Verdict) {
    let outcomes = [("spf", verdict.spf.outcome), ("dkim", verdict.dkim_outcome()), ("dmarc", verdict.dmarc.outcome)];
    for (method, outcome) in outcomes {
        shared.metrics.verifications.with_label_values(&[method, outcome.as_str()]).inc();
    }
}

/// RFC 5321 §6.3.
fn check_loop(header: &[u8]) -> Result<(), Refused> {
    if fields::received_count(header) > fields::RECEIVED_MAX {
        return Err(Refused::new(refusal::LOOP, 554, EnhancedCode(5, 4, 6), "Too many Received fields: a mail loop"));
    }
    Ok(())
}

/// RFC 5321 §4.4.
fn trace_field(
    transaction: &Transaction,
    tls: Option<&str>,
    hostname: &paquebot_mta_api::address::Domain,
    client: Option<IpAddr>,
    now: Micros,
) -> String {
    Received {
        hello: transaction.mail.hello.as_deref(),
        client,
        by: hostname,
        with: transaction.mail.with,
        tls,
        id: transaction.id,
        recipient: transaction.only_recipient().as_ref(),
        now,
    }
    .field()
}

async fn commit(
    shared: &Shared,
    transaction: Transaction,
    collected: Collected,
    draft: Draft,
    now: Micros,
) -> Result<MessageId, Refused> {
    let id = collected.id;
    let message_id = fields::message_id(&draft.header);
    let steps = Steps { message: id, message_id: &message_id, now };
    let recipients = transaction.recipients().to_vec();
    let mut events = draft.events;
    for recipient in &recipients {
        let detail = if recipient.original.eq_ignore_ascii_case(&recipient.address.to_string()) {
            String::new()
        } else {
            format!("for {}", recipient.original)
        };
        events.push(steps.step(Actor::Mta, Step::Queued, Some(recipient.address.to_string()), detail));
    }
    let accept = Accept {
        envelope: Arc::new(Envelope {
            smtputf8: transaction.needs_smtputf8(),
            reverse_path: transaction.reverse_path,
            accepted: now,
            domain: draft.domain,
            junk: draft.junk,
        }),
        recipients,
        holder: shared.queue.holder(),
        events,
        message: Arc::new(Message {
            id,
            prefix: draft.prefix.into(),
            utf8_header: !draft.header.is_ascii(),
            header: draft.header,
            body: collected.body,
            message_id,
            eight_bit: collected.eight_bit,
        }),
    };
    shared.store.accept(accept.clone()).await.map_err(|error| {
        tracing::error!(message = %id, %error, "not committed");
        shared.queue.doubt();
        Refused::from(error)
    })?;
    tracing::info!(message = %id, message_id = accept.message.message_id, recipients = accept.recipients.len(),
        octets = accept.message.size_bytes(), "accepted");
    shared.queue.submit(accept);
    Ok(id)
}
