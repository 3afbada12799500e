//! The mail server. A message's way through it is the order in which to read:
//!
//! - [`net`]: listeners, TLS, limits, and the one loop that drives any protocol machine.
//! - [`login`]: passwords and SCRAM keys, throttling.
//! - [`smtp`]: the receiving side: what to accept, from whom; submission rules.
//! - [`message`]: a message, immutable: prefix, header, body; reading and mending its header.
//! - [`verify`]: SPF, DKIM, DMARC: one verdict, and the Authentication-Results field.
//! - [`sign`]: DKIM signatures.
//! - [`queue`]: schedule, claim, route, outcome, bounce: decisions; the engine carries them out.
//! - [`deliver`]: to the next host, or into the mailbox.
//! - [`pop3`]: sessions over the mail store.
//! - [`store`]: what is on disk, and the coalescing writer.
//! - [`directory`]: the snapshot of domains, keys, mailboxes and aliases that is served.
//! - [`identity`]: the name and addresses that others know us by.
//! - [`dns`]: the one resolver, with its cache.
//! - [`admin`]: queue and trace for people, metrics, health.
//! - [`serve`]: puts it all together.
//! - [`restarted`]: tasks that live as long as the server, whatever happens in them.
//! - [`time`]: microseconds since 1970 UTC.

pub mod admin;
pub mod deliver;
pub mod directory;
pub mod dns;
pub mod identity;
pub mod login;
pub mod message;
pub mod net;
pub mod pop3;
pub mod queue;
pub mod restarted;
pub mod serve;
pub mod sign;
pub mod smtp;
pub mod store;
pub mod time;
pub mod verify;
