//! TBD admin
