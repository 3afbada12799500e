//! TBD smtp
