//! TBD sign
