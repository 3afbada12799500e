//! The queue: from `250` until each recipient is delivered, returned or dead.
//!
//! Decisions, pure; `now` and the dice are values:
//! - [`schedule`]: when the next attempt comes, when the sender is told, when to give up;
//! - [`route`]: where a domain's mail goes, and [`target`]: where mail never goes;
//! - [`outcome`]: what a reply or a fault means for a recipient;
//! - [`dsn`]: bounces and delay notices, as octets;
//! - [`destination`]: groups for metrics.

pub mod destination;
pub mod dsn;
pub mod outcome;
pub mod route;
pub mod schedule;
pub mod target;
