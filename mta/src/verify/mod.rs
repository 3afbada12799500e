//! TBD verify
