//! TBD serve
