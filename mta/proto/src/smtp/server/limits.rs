//! What a client may cost: times and counts.

use std::time::Duration;

/// For the next command (RFC 5321 §4.5.3.2.7).
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// For the next octets of a message (RFC 5321 §4.5.3.2.5 gives the client 3 minutes to write a block).
pub const DATA_BLOCK_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// For a whole message, so that a drop now and then does not hold a session for ever.
pub const DATA_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// For QUIT after a refusing greeting.
pub const REFUSED_TIMEOUT: Duration = Duration::from_secs(10);

/// Octets of a command line with the room that the offered extensions ask for: 512, SIZE 26 (RFC 1870 §3),
/// BODY 17 (RFC 6152 §2), SMTPUTF8 10 (RFC 6531 §3.4), AUTH= 500 (RFC 4954 §3).
pub const COMMAND_LINE_BYTES_MAX: usize = crate::line::COMMAND_LINE_BYTES_MAX + 26 + 17 + 10 + 500;

/// Refused commands until the connection is closed; a message taken begins the count anew, here and below.
pub const ERRORS_MAX: u32 = 20;
/// Commands other than MAIL, RCPT and DATA.
pub const IDLE_COMMANDS_MAX: u32 = 100;
/// Recipients refused for good: an address book is not to be guessed here.
pub const REFUSED_RECIPIENTS_MAX: u32 = 100;
/// Recipients above the limit of one transaction, which get 452 (RFC 5321 §4.5.3.1.10), until it is enough.
pub const EXCESS_RECIPIENTS_MAX: usize = 1000;
/// Failed logins in one connection.
pub const FAILED_LOGINS_MAX: u32 = 3;
