//! Mail protocols as state machines: no I/O, no clock, no runtime; bytes in any split.
//!
//! Read in this order:
//! - [`machine`]: what every protocol machine is, and what its driver owes it.
//! - [`output`]: the bounded queue of what a machine wants written.
//! - [`mod@line`]: strict CRLF lines with a limit; [`dot`]: the dot transparency of SMTP and POP3.
//! - [`reply`]: an SMTP reply with its enhanced status code.
//! - [`sasl`]: how a client logs in: PLAIN, LOGIN, SCRAM-SHA-256.
//! - [`smtp`]: server and client.
//! - [`pop3`]: the server.

pub mod dot;
pub mod line;
pub mod machine;
pub mod output;
pub mod pop3;
pub mod reply;
pub mod sasl;
pub mod smtp;

pub use machine::{Fed, Machine, Step, Tls, Upgrade};
pub use output::{Bulk, Framing, Output, OutputQueue};
pub use reply::{EnhancedCode, Reply};
