//! The operator: fetch, validate, build, apply, status. Decides nothing.
//!
//! In the order in which to read:
//!
//! - [`run`](mod@run): the process: watches, workers while we lead.
//! - [`server`], [`domain`], [`mailbox`]: one reconcile a kind; [`context`]: what each has at hand.
//! - [`world`]: what the watches know, and who hears of a change; [`table`], [`index`], [`mod@watch`], [`watches`].
//! - [`state`]: what reconciles found out, for others.
//! - [`directories`]: one engine a MailServer's directory; [`programmed`]: how far it has come.
//! - [`checks`]: looks at the name servers; [`making`]: makes RSA keys.
//! - [`own`]: what is the operator's own is kept; [`authority`]: the admin API's authority; [`admission`]: the webhook.
//! - [`apply`]: writes what differs, while we lead; [`owned`]: what is kept of objects that we made.
//! - [`secrets`]: reads Secrets one by one; [`logins`]: passwords; [`status`], [`events`]: what people are told.
//! - [`queue`]: what is to be reconciled, and when.
//! - [`leader`]: leader election.
//! - [`client`]: the API server's client, whose watches are looked at; [`health`]: whether the process lives.

pub mod admission;
pub mod apply;
pub mod authority;
pub mod checks;
pub mod client;
pub mod context;
pub mod directories;
pub mod domain;
pub mod events;
pub mod health;
pub mod index;
pub mod leader;
pub mod logins;
pub mod mailbox;
pub mod making;
pub mod own;
pub mod owned;
pub mod programmed;
pub mod queue;
pub mod run;
pub mod secrets;
pub mod server;
pub mod state;
pub mod status;
pub mod table;
pub mod watch;
pub mod watches;
pub mod world;

#[cfg(test)]
mod world_tests;
