//! The receiving side of SMTP (RFC 5321, RFC 6409): what to accept, from whom.
//!
//! - [`serve`]: one connection from its first octet to its last.
//! - [`session`]: the owner of a server machine: carries its questions to the decisions below and acts on them.
//! - [`transaction`]: what one MAIL has gathered so far.
//! - [`recipient`]: who may be sent to, by whom; [`submission`]: as whom a user may send; [`rates`]: how much.
//! - [`accept`]: from the last octet to `250`: checks, trace fields, signatures, the commit.
//! - [`context`]: what all sessions share.
//! - [`journey`]: the steps that are left for `trace`.
//! - [`refusal`]: a refusal's reply and reason.

pub mod accept;
pub mod context;
#[cfg(test)]
mod fixture;
pub mod journey;
pub mod rates;
pub mod recipient;
pub mod refusal;
pub mod serve;
pub mod session;
pub mod submission;
pub mod transaction;
