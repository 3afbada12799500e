//! As whom a logged-in user may send: its own address, its `+detail`, an alias that leads to its mailbox
//! (RFC 6409 §6.1). Pure.

use paquebot_mta_api::address::Address;
use paquebot_proto::EnhancedCode;

use super::refusal::Refused;
use crate::{
    admin::metrics::refusal,
    directory::{Resolved, Snapshot},
    login::Authenticated,
    message::{addresses::Author, fields},
};

/// Whether the principal may send as this address. A catch-all gives no right: it stands for names that nobody has.
pub fn owns(directory: &Snapshot, principal: &Authenticated, address: &Address) -> bool {
    if !directory.is_named(address) {
        return false;
    }
    match directory.resolve(address) {
        Resolved::Targets(targets) => targets
            .iter()
            .any(|target| target.mailbox.as_ref().is_some_and(|mailbox| mailbox.account == principal.account().0)),
        _ => false,
    }
}

/// The reverse-path: its own, or `<>` (`None`).
pub fn check_reverse_path(
    directory: &Snapshot,
    principal: &Authenticated,
    reverse_path: Option<&Address>,
) -> Result<(), Refused> {
    match reverse_path {
        Some(address) if !owns(directory, principal, address) => Err(not_own("MAIL FROM", address, principal)),
        _ => Ok(()),
    }
}

/// Every From and Sender address of the header: its own; the authors of one domain.
pub fn check_header(directory: &Snapshot, principal: &Authenticated, header: &[u8]) -> Result<(), Refused> {
    fields::author_domain(header)?;
    check_authors(directory, principal, "From", &fields::authors(header)?)?;
    let senders = fields::senders(header).ok_or_else(|| {
        Refused::new(refusal::SENDER, 550, EnhancedCode(5, 7, 1), "The Sender field has no readable address")
    })?;
    check_authors(directory, principal, "Sender", &senders)
}

fn check_authors(
    directory: &Snapshot,
    principal: &Authenticated,
    field: &'static str,
    authors: &[Author],
) -> Result<(), Refused> {
    for author in authors {
        match &author.address {
            Some(address) if owns(directory, principal, address) => {}
            Some(address) => return Err(not_own(field, address, principal)),
            None => {
                let text = format!("{field} has an address of {} that is no mailbox's name", author.domain);
                return Err(Refused::new(refusal::SENDER, 550, EnhancedCode(5, 7, 1), text));
            }
        }
    }
    Ok(())
}

fn not_own(place: &'static str, address: &Address, principal: &Authenticated) -> Refused {
    // The reply may go to a client without SMTPUTF8: only ASCII is named.
    let address = if address.needs_smtputf8() { "that address".to_owned() } else { format!("<{address}>") };
    let own = principal.address();
    let own = if own.needs_smtputf8() { "your own address".to_owned() } else { format!("<{own}>") };
    Refused::new(
        refusal::SENDER,
        550,
        EnhancedCode(5, 7, 1),
        format!("{place}: {address} is not yours; send as {own}, that with +detail, or an alias of it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::fixture::{directory, login};

    #[tokio::test]
    async fn as_whom_alice_may_send() {
        let directory = directory();
        let alice = login("alice@example.com").await;
        for (address, own) in [
            ("alice@example.com", true),
            ("ALICE@Example.COM", true),
            ("alice+shop@example.com", true),
            ("info@example.com", true),
            ("info+x@example.com", true),
            ("postmaster@example.com", true),
            ("bob@example.com", false),
            ("nobody@example.com", false),
            // An alias of the domain that leads elsewhere.
            ("away@example.com", false),
            ("alice@elsewhere.example", false),
            // The catch-all brings mail, no right.
            ("anybody@example.net", false),
        ] {
            let address: Address = address.parse().unwrap();
            assert_eq!(owns(&directory, &alice, &address), own, "{address}");
            assert_eq!(check_reverse_path(&directory, &alice, Some(&address)).is_ok(), own, "{address}");
        }
        assert!(check_reverse_path(&directory, &alice, None).is_ok(), "<> is for notices");
    }

    #[tokio::test]
    async fn headers_that_alice_may_send() {
        let directory = directory();
        let alice = login("alice@example.com").await;
        for (header, taken) in [
            ("From: alice@example.com", true),
            ("From: Alice <alice+x@example.com>\r\nSender: info@example.com", true),
            ("From: alice@example.com, info@example.com\r\nSender: alice@example.com", true),
            ("From: bob@example.com", false),
            ("From: alice@example.com, bob@example.com", false),
            ("From: bob@example.com\r\nSender: alice@example.com", false),
            ("From: alice@example.com\r\nSender: bob@example.com", false),
            ("From: alice@example.com\r\nSender: alice@example.com\r\nSender: bob@example.com", false),
            ("From: alice@example.com\r\nFrom: bob@example.com", false),
            ("From: \"alice@example.com\" <bob@example.com>", false),
            ("From: alice@example.com <bob@example.com>", false),
            ("From: alice@example.com\r\nSender: who knows", false),
            ("Subject: no From", false),
        ] {
            let result = check_header(&directory, &alice, format!("{header}\r\n\r\n").as_bytes());
            assert_eq!(result.is_ok(), taken, "{header}: {result:?}");
            if let Err(refused) = result {
                assert!(refused.reply.to_string().starts_with("550 5.7.1 "), "{}", refused.reply);
            }
        }
    }

    #[tokio::test]
    async fn the_refusal_says_what_is_allowed() {
        let alice = login("alice@example.com").await;
        let bob = "bob@example.com".parse().unwrap();
        let reply = check_reverse_path(&directory(), &alice, Some(&bob)).unwrap_err().reply.to_string();
        assert!(reply.contains("<bob@example.com> is not yours; send as <alice@example.com>"), "{reply}");
    }
}
