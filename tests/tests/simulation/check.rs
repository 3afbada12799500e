//! What must be true when the queue is empty.

use paquebot_mta::store::*;
use paquebot_mta_api::{address::Address, journey::Step};
use uuid::Uuid;

use super::process::{ACCOUNTS, Accepted, World};

/// Each recipient of each accepted message ended in one of the ways that are no loss.
pub async fn all(world: &World, accepted: &[Accepted], what: &str) {
    let bounces = inbox(world, ACCOUNTS[0].1).await;
    for message in accepted {
        for recipient in &message.recipients {
            let end = end(world, message, recipient, &bounces).await;
            assert!(end.is_ok(), "{what}: {} to {recipient}: {}", message.message_id, end.unwrap_err());
        }
    }
}

async fn end(world: &World, message: &Accepted, recipient: &Address, bounces: &[String]) -> Result<(), String> {
    if let Some((_, account)) = ACCOUNTS.iter().find(|(name, _)| *name == recipient.to_string()) {
        let marker = format!("Message-ID: <{}>", message.message_id);
        let own = |copy: &&String| copy.contains(&marker) && !copy.contains("multipart/report");
        return match inbox(world, *account).await.iter().filter(own).count() {
            1 => Ok(()),
            copies => Err(format!("{copies} copies in the mailbox")),
        };
    }
    let arrived = world.hosts.arrived.lock().unwrap().contains_key(&(message.message, recipient.to_string()));
    let journey = world.memory.journey(JourneyOf::Message(message.message), 10_000).await.unwrap();
    let has =
        |step| journey.iter().any(|it| it.step == step && it.recipient.as_deref() == Some(&recipient.to_string()));
    match (has(Step::Delivered), has(Step::Returned), has(Step::Dead)) {
        (true, false, false) if arrived => Ok(()),
        (false, true, false) if !message.has_sender => Err("returned to nobody".into()),
        (false, true, false) => {
            let about = bounces.iter().filter(|bounce| {
                bounce.contains(&format!("In-Reply-To: <{}>", message.message_id))
                    && bounce.contains(&format!("Final-Recipient: rfc822; {recipient}\r\nAction: failed"))
            });
            match about.count() {
                1 => Ok(()),
                bounces => Err(format!("returned, with {bounces} bounces")),
            }
        }
        (false, false, true) if !message.has_sender => Ok(()),
        other => Err(format!("delivered, returned, dead: {other:?}; arrived: {arrived}; {journey:#?}")),
    }
}

/// The texts in an account's INBOX.
async fn inbox(world: &World, account: u128) -> Vec<String> {
    let account = AccountId(Uuid::from_u128(account));
    let Some(mailbox) = world.memory.mailbox(account, "INBOX").await.unwrap() else { return Vec::new() };
    let mut texts = Vec::new();
    for mail in world.memory.mails(mailbox.id, 10_000).await.unwrap() {
        let content = world.memory.mail(mailbox.id, mail.uid).await.unwrap();
        let paquebot_mta::message::Body::Inline(body) = &content.message.body else { panic!("no blobs here") };
        texts.push(String::from_utf8([&content.message.header[..], &body[..]].concat()).unwrap());
    }
    texts
}
