//! Where a recipient is now: in a mailbox of ours, elsewhere, or nowhere; and into which mailbox it goes.
//!
//! Pure. Aliases were expanded at RCPT; what the directory says at the attempt is what counts, so hosted
//! domains never go by MX. Quota was checked at RCPT: one message may overshoot.

use paquebot_proto::EnhancedCode;

use crate::{
    directory::{Resolved, Snapshot},
    queue::{
        job::{Place, Recipient},
        outcome::Failure,
    },
    store::{AccountId, Envelope, Outcome},
};

/// The mailbox for wanted mail (RFC 9051 §5.1).
pub const INBOX: &str = "INBOX";
/// The mailbox for mail that the verdict doubts (RFC 6154 §2).
pub const JUNK: &str = "Junk";

/// Where a recipient is, by the directory of this moment.
pub fn place(snapshot: &Snapshot, recipient: &Recipient) -> Place {
    let broken = |words: &str| Place::Nowhere(Failure::ours(EnhancedCode(4, 3, 5), words));
    match snapshot.resolve(&recipient.address) {
        // It was ours when the message was accepted, and may be still.
        Resolved::Remote | Resolved::Unknown if recipient.account.is_some() && !snapshot.is_whole() => {
            broken("a part of the directory cannot be read now; it is for the operator to write it again")
        }
        Resolved::Remote => Place::Remote(recipient.address.clone()),
        // RFC 3463 §3.2, X.1.1: it existed when the message was accepted.
        Resolved::Unknown => Place::Nowhere(Failure::ours(
            EnhancedCode(5, 1, 1),
            format!("{} does not exist here any more", recipient.address),
        )),
        Resolved::Broken => broken("the alias leads nowhere; it is for the domain's owner to mend"),
        Resolved::Targets(targets) => {
            let same = targets
                .iter()
                .filter_map(|target| target.mailbox.as_ref())
                .find(|mailbox| recipient.account == Some(AccountId(mailbox.account)));
            match (same, targets.as_slice()) {
                (Some(mailbox), _) => Place::Mailbox(AccountId(mailbox.account)),
                (None, [target]) => match &target.mailbox {
                    Some(mailbox) => Place::Mailbox(AccountId(mailbox.account)),
                    None => Place::Remote(target.address.clone()),
                },
                // A row is one delivery: it cannot become several after it was accepted.
                (None, _) => broken("the address became an alias of several after the message was accepted"),
            }
        }
    }
}

/// The copy that goes into the mailbox.
pub fn copy(envelope: &Envelope, recipient: &Recipient, account: AccountId) -> Outcome {
    let mailbox = if envelope.junk { JUNK } else { INBOX };
    Outcome::Stored { account, mailbox: mailbox.to_owned(), delivered_to: recipient.address.clone() }
}

#[cfg(test)]
mod tests {
    use paquebot_mta_api::{
        address::Address,
        directory::{AliasEntry, DomainEntry, Entry, MailboxEntry, Value},
    };
    use uuid::Uuid;

    use super::*;
    use crate::store::RecipientIndex;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn snapshot() -> Snapshot {
        let mailbox = |text: &str, account| {
            Value::Mailbox(MailboxEntry {
                address: address(text),
                account: Uuid::from_u128(account),
                quota_bytes: None,
                login: None,
            })
        };
        let alias = |text: &str, to: &[&str]| {
            Value::Alias(AliasEntry { address: address(text), to: to.iter().map(|it| address(it)).collect() })
        };
        let values = [
            Value::Domain(DomainEntry { domain: "example.com".parse().unwrap(), id: Uuid::nil(), catch_all: None }),
            mailbox("alice@example.com", 1),
            mailbox("bob@example.com", 2),
            alias("out@example.com", &["x@example.net"]),
            alias("all@example.com", &["alice@example.com", "bob@example.com"]),
            alias("loop@example.com", &["loop@example.com"]),
        ];
        let entries = values.into_iter().map(|value| Entry::new(Uuid::nil(), value)).collect();
        Snapshot::new(1, entries)
    }

    #[test]
    fn places() {
        let account = |id| Some(AccountId(Uuid::from_u128(id)));
        let code = |place: &Place| match place {
            Place::Mailbox(account) => format!("mailbox {}", account.0.as_u128()),
            Place::Remote(address) => format!("remote {address}"),
            Place::Nowhere(failure) => failure.status.to_string(),
        };
        for (to, at_rcpt, wanted) in [
            ("alice@example.com", account(1), "mailbox 1"),
            ("x@example.net", None, "remote x@example.net"),
            ("alice@example.com", None, "mailbox 1"), // hosted since it was accepted
            ("alice@example.com", account(9), "mailbox 1"), // made anew since
            ("all@example.com", account(2), "mailbox 2"), // an alias since, still with this one
            ("all@example.com", account(9), "4.3.5"),
            ("out@example.com", account(1), "remote x@example.net"),
            ("gone@example.com", account(7), "5.1.1"),
        ] {
            let recipient = Recipient {
                index: RecipientIndex(0),
                address: address(to),
                original: to.into(),
                account: at_rcpt,
                attempts: 0,
                warned: false,
                place: Place::Remote(address(to)),
            };
            assert_eq!(code(&place(&snapshot(), &recipient)), wanted, "{to} {at_rcpt:?}");
        }
    }
}
