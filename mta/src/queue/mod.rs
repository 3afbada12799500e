//! The queue: from `250` until each recipient is delivered, returned or dead.
//!
//! Decisions, pure; `now` and the dice are values:
//! - [`schedule`]: when the next attempt comes, when the sender is told, when to give up;
//! - [`route`]: where a domain's mail goes, and [`target`]: where mail never goes;
//! - [`outcome`]: what a reply or a fault means for a recipient;
//! - [`settle`]: what an attempt found, turned into what is written;
//! - [`dsn`]: bounces and delay notices as octets, [`notice`]: to whom, signed;
//! - [`destination`]: groups for metrics.
//!
//! What carries them out:
//! - [`job`]: what is worked on, and how much of it may be in memory;
//! - [`mod@line`]: who waits where; connections given out fairly;
//! - [`lease`]: who we are to the store, and until when an attempt may start;
//! - [`engine`]: starts, takes new messages, drains;
//! - `claim`: heartbeat, and claiming what is due;
//! - `worker`: a connection to one destination; [`lane`]: what its session sees of the queue;
//! - `settler`: writes outcomes, many at once.

mod claim;
pub mod destination;
pub mod dsn;
pub mod engine;
pub mod job;
pub mod lane;
pub mod lease;
pub mod line;
pub mod notice;
pub mod outcome;
pub mod route;
pub mod schedule;
pub mod settle;
mod settler;
pub mod target;
mod worker;

pub use engine::{Deps, Engine, EngineHandle};
