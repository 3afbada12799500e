//! TBD login
