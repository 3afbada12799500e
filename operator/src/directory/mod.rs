//! Writes the directory of each MailServer through the admin API, and keeps it so.
//!
//! - [`desired`]: what the directory of a MailServer is to be.
//! - [`compare`]: what is to be put, deleted and left alone. Pure: all decisions are here.
//! - [`chunks`]: a plan as changes that the API takes, in an order in which no mail is refused on the way. Pure.
//! - [`passwords`]: the keys of a password, derived only for what is put.
//! - [`client`]: the admin API of one pod, over mutual TLS.
//! - [`target`], [`report`]: what goes into an engine, and what comes out.
//! - [`engine`]: one task a MailServer, which carries it all out.

pub mod chunks;
pub mod client;
pub mod compare;
pub mod desired;
pub mod engine;
pub mod passwords;
mod progress;
pub mod report;
pub mod target;

#[cfg(test)]
mod compare_random_tests;
#[cfg(test)]
mod compare_tests;

pub use compare::Conflict;
pub use desired::{Desired, Wanted};
pub use engine::{Engine, Shared};
pub use passwords::{Password, Passwords};
pub use report::{PodState, Problem, Report};
pub use target::{Pod, Target};
