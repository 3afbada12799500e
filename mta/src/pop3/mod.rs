//! TBD pop3
