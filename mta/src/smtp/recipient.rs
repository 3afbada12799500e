//! Who may be sent to, by whom: decided at RCPT.
//!
//! Pure. Open relay is impossible by construction: outside this file nobody can make a [`Taken`], and a
//! recipient elsewhere needs an [`Authenticated`]; only the directory's own aliases forward without one.

use paquebot_mta_api::address::{Address, Domain};
use paquebot_proto::{EnhancedCode, Reply};

use super::refusal::Refused;
use crate::{
    admin::metrics::refusal,
    directory::{Resolved, Snapshot, Target},
    login::Authenticated,
};

/// A recipient that may be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    original: String,
    targets: Vec<Target>,
}

impl Taken {
    /// What the client said in RCPT.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// What it became, aliases expanded; at least one.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }
}

/// Decides about one RCPT. Without `principal` only what is ours is taken.
pub fn judge(
    directory: &Snapshot,
    hostname: &Domain,
    recipient: &str,
    principal: Option<&Authenticated>,
) -> Result<Taken, Refused> {
    // Before the first complete directory "unknown" would be a lie that loses mail (RFC 5321 §4.2.1: 5yz is final).
    if !directory.complete {
        return Err(not_yet("Starting up, try again later"));
    }
    let address = read(directory, hostname, recipient)?;
    let taken = |targets| Ok(Taken { original: recipient.to_owned(), targets });
    match directory.resolve(&address) {
        Resolved::Targets(targets) => taken(targets),
        Resolved::Remote => match principal {
            Some(Authenticated { .. }) => taken(vec![Target { address, mailbox: None }]),
            // RFC 3463 §3.8: X.7.1, delivery not authorized.
            None if !directory.is_whole() => Err(not_yet(UNREADABLE)),
            None => Err(Refused::new(
                refusal::RELAY,
                550,
                EnhancedCode(5, 7, 1),
                "Relaying denied: this domain is not hosted here; users log in on the submission port",
            )),
        },
        Resolved::Unknown if !directory.is_whole() => Err(not_yet(UNREADABLE)),
        Resolved::Unknown => Err(Refused::new(
            refusal::UNKNOWN_RECIPIENT,
            550,
            EnhancedCode(5, 1, 1),
            "No mailbox or alias has this address",
        )),
        Resolved::Broken => Err(Refused::new(
            refusal::UNKNOWN_RECIPIENT,
            451,
            EnhancedCode(4, 3, 5),
            "This alias leads to nobody or to too many: its owner must mend it",
        )),
    }
}

const UNREADABLE: &str = "A part of the directory cannot be read now, try again later";

fn not_yet(why: &str) -> Refused {
    Refused::new(refusal::STORE, 451, EnhancedCode(4, 3, 0), why)
}

fn read(directory: &Snapshot, hostname: &Domain, recipient: &str) -> Result<Address, Refused> {
    // RFC 5321 §4.5.1: postmaster is taken without a domain.
    if recipient.eq_ignore_ascii_case("postmaster")
        && let Some(domain) = directory.domain_of_host(hostname)
        && let Ok(address) = Address::new("postmaster", domain.clone())
    {
        return Ok(address);
    }
    recipient.parse().map_err(|_| {
        Refused::new(
            refusal::UNKNOWN_RECIPIENT,
            550,
            EnhancedCode(5, 1, 3),
            "Not an address that can be delivered to: write it as name@example.com",
        )
    })
}

/// Whether a mailbox has no room left for another message. One message may overshoot: only what is stored counts.
pub fn is_over_quota(quota_bytes: Option<u64>, used_bytes: u64) -> bool {
    quota_bytes.is_some_and(|quota| used_bytes >= quota)
}

/// RFC 3463 §3.3: X.2.2 is for a mailbox that its owner can make room in, "a persistent transient failure".
pub fn over_quota() -> Refused {
    Refused::new(refusal::QUOTA, 452, EnhancedCode(4, 2, 2), "The mailbox is full, try again later")
}

/// RFC 5321 §4.5.3.1.10: too many recipients is 452; the client sends the rest in another transaction.
pub fn too_many() -> Refused {
    Refused::new(
        refusal::LIMIT,
        452,
        EnhancedCode(4, 5, 3),
        "Too many recipients: send the others in another transaction",
    )
}

/// 250.
pub fn ok() -> Reply {
    Reply::new(250, EnhancedCode(2, 1, 5), "Recipient ok")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::fixture::{directory, login};

    fn said(result: Result<Taken, Refused>) -> String {
        match result {
            Ok(taken) => {
                let all = taken.targets().iter().map(|target| {
                    format!("{}{}", target.address, if target.mailbox.is_some() { "" } else { " by MX" })
                });
                all.collect::<Vec<_>>().join(", ")
            }
            Err(refused) => refused.reply.to_string().chars().take(9).collect(),
        }
    }

    #[tokio::test]
    async fn who_may_be_sent_to() {
        let directory = directory();
        let hostname = "mail.example.com".parse().unwrap();
        let alice = login("alice@example.com").await;
        for (recipient, stranger, user) in [
            ("bob@example.com", "bob@example.com", "bob@example.com"),
            ("BOB+tag@EXAMPLE.com", "bob@example.com", "bob@example.com"),
            ("nobody@example.com", "550 5.1.1", "550 5.1.1"),
            ("nobody@example.net", "alice@example.com", "alice@example.com"),
            ("info@example.com", "alice@example.com, bob@example.com", "alice@example.com, bob@example.com"),
            // The directory says so, not the stranger.
            ("away@example.com", "alice@elsewhere.example by MX", "alice@elsewhere.example by MX"),
            ("loop@example.com", "451 4.3.5", "451 4.3.5"),
            ("x@elsewhere.example", "550 5.7.1", "x@elsewhere.example by MX"),
            ("postmaster", "alice@example.com", "alice@example.com"),
            ("PostMaster", "alice@example.com", "alice@example.com"),
            ("x@[192.0.2.1]", "550 5.1.3", "550 5.1.3"),
            // Old tricks to be relayed: routes within the local part.
            ("\"x@elsewhere.example\"@example.com", "550 5.1.3", "550 5.1.3"),
            ("x%elsewhere.example@example.com", "550 5.1.1", "550 5.1.1"),
            ("elsewhere.example!x@example.com", "550 5.1.1", "550 5.1.1"),
        ] {
            assert_eq!(said(judge(&directory, &hostname, recipient, None)), stranger, "{recipient} by a stranger");
            assert_eq!(said(judge(&directory, &hostname, recipient, Some(&alice))), user, "{recipient} by alice");
        }
    }

    #[tokio::test]
    async fn before_the_first_directory_nothing_is_unknown() {
        let (empty, hostname) = (Snapshot::default(), "mail.example.com".parse().unwrap());
        let alice = login("alice@example.com").await;
        for principal in [None, Some(&alice)] {
            for recipient in ["bob@example.com", "postmaster", "nonsense", "x@elsewhere.example"] {
                assert_eq!(said(judge(&empty, &hostname, recipient, principal)), "451 4.3.0", "{recipient}");
            }
        }
    }

    #[test]
    fn where_an_entry_cannot_be_read_nothing_is_refused_for_good() {
        let mut directory = directory();
        directory.names_unreadable = 1;
        let hostname = "mail.example.com".parse().unwrap();
        for (recipient, reply) in [
            ("bob@example.com", "bob@example.com"),
            ("nobody@example.com", "451 4.3.0"),
            ("x@elsewhere.example", "451 4.3.0"),
            ("nonsense", "550 5.1.3"),
        ] {
            assert_eq!(said(judge(&directory, &hostname, recipient, None)), reply, "{recipient}");
        }
    }

    #[test]
    fn quota() {
        for (quota, used, over) in
            [(None, u64::MAX, false), (Some(10), 9, false), (Some(10), 10, true), (Some(0), 0, true)]
        {
            assert_eq!(is_over_quota(quota, used), over, "{quota:?} {used}");
        }
    }
}
