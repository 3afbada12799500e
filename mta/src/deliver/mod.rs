//! TBD deliver
