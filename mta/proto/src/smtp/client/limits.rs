//! How long the client waits (RFC 5321 §4.5.3.2: no less than this).

use std::time::Duration;

/// For the greeting (§4.5.3.2.1).
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// For the reply to EHLO, STARTTLS, MAIL and RCPT (§4.5.3.2.2, §4.5.3.2.3).
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// For 354 (§4.5.3.2.4).
pub const DATA_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// For the reply to the final dot (§4.5.3.2.6).
pub const END_OF_DATA_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Octets a second that the way to the server carries at least: gives a large message its time.
pub const BYTES_PER_SECOND_MIN: u64 = 8 * 1024;
/// For the reply to QUIT, on which nothing depends.
pub const QUIT_TIMEOUT: Duration = Duration::from_secs(2);
