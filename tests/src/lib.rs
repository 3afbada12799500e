//! What the tests share.
//!
//! - [`zones`]: a DNS server.

pub mod zones;
