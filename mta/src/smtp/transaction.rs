//! What one MAIL has gathered so far. Holds, bounds and never decides.

use std::collections::HashSet;

use paquebot_mta_api::address::Address;
use paquebot_proto::smtp::ask::MailFrom;
use uuid::Uuid;

use super::recipient::Taken;
use crate::{
    message::{MessageId, collect::Incoming},
    store::{AccountId, NewRecipient, RecipientIndex},
    verify::{LookUps, SpfCheck},
};

/// Recipients of one message after aliases were expanded: one row each.
pub const EXPANDED_MAX: usize = 10_000;

/// A transaction under way.
pub struct Transaction {
    /// The message's id, if it becomes one; the steps of its journey have it from the start.
    pub id: MessageId,
    /// As the client said.
    pub mail: MailFrom,
    /// The reverse-path; `None` for `<>`.
    pub reverse_path: Option<Address>,
    /// The hosted domain of the first recipient that is ours.
    pub first_domain: Option<Uuid>,
    /// SPF, under way; only for strangers.
    pub spf: Option<SpfCheck>,
    /// DKIM keys and DMARC, looked up since the end of the header; only for strangers.
    pub look_ups: Option<LookUps>,
    /// The message, from DATA on.
    pub incoming: Option<Incoming>,
    recipients: Vec<NewRecipient>,
    seen: HashSet<Address>,
    /// RCPTs that were answered with 250.
    taken: usize,
}

impl Transaction {
    /// A fresh one.
    pub fn new(mail: MailFrom, reverse_path: Option<Address>) -> Self {
        Self {
            id: MessageId::new(),
            mail,
            reverse_path,
            first_domain: None,
            spf: None,
            look_ups: None,
            incoming: None,
            recipients: Vec::new(),
            seen: HashSet::new(),
            taken: 0,
        }
    }

    /// Whether the recipient's targets still fit.
    pub fn has_room(&self, recipient: &Taken) -> bool {
        self.recipients.len() + recipient.targets().len() <= EXPANDED_MAX
    }

    /// Adds a recipient: each address once, under the name by which it came first.
    pub fn add(&mut self, recipient: &Taken) {
        self.taken += 1;
        for target in recipient.targets() {
            // Local parts are compared without case only where they are ours (RFC 5321 §2.4).
            let name = if target.mailbox.is_some() { target.address.folded() } else { target.address.clone() };
            if self.seen.insert(name) {
                self.recipients.push(NewRecipient {
                    index: RecipientIndex(u32::try_from(self.recipients.len()).unwrap_or(u32::MAX)),
                    address: target.address.clone(),
                    original: recipient.original().to_owned(),
                    account: target.mailbox.as_ref().map(|mailbox| AccountId(mailbox.account)),
                });
            }
        }
    }

    /// What is to be delivered to.
    pub fn recipients(&self) -> &[NewRecipient] {
        &self.recipients
    }

    /// The one address that the client named; with several none is told of the others.
    pub fn only_recipient(&self) -> Option<Address> {
        let first = self.recipients.first()?;
        (self.taken == 1).then(|| first.original.parse().ok())?
    }

    /// Whether an address of the envelope needs SMTPUTF8 at the next host.
    pub fn needs_smtputf8(&self) -> bool {
        self.reverse_path.as_ref().is_some_and(Address::needs_smtputf8)
            || self.recipients.iter().any(|recipient| recipient.address.needs_smtputf8())
    }
}
