//! Delivery: into the mailbox, or to the next host.
//!
//! - [`local`]: where a recipient is now, and which mailbox it goes to;
//! - [`remote`]: DNS, TCP and SMTP to the next host, [`session`]: one connection's questions and octets;
//! - [`opportunistic`]: TLS without names.

use futures::future::BoxFuture;
use paquebot_mta_api::address::Domain;

use crate::queue::{
    lane::Lane,
    route::{Target, Unroutable},
};

pub mod local;
pub mod opportunistic;
pub mod remote;
pub mod session;

/// The way out. The real one speaks DNS and SMTP; the simulation has next hosts of its own.
pub trait Remote: Send + Sync + 'static {
    /// Where this domain's mail goes now.
    fn route<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, Routed>;

    /// One connection to this host: takes transactions from the lane and leaves their results there.
    /// May be dropped at any point.
    fn session<'a>(&'a self, target: &'a Target, lane: &'a mut Lane) -> BoxFuture<'a, ()>;
}

/// A route, and the DNS answers that made it.
#[derive(Debug, Clone)]
pub struct Routed {
    /// The answers used, in words, for the journey.
    pub words: String,
    /// In the order in which they are tried.
    pub targets: Result<Vec<Target>, Unroutable>,
}
