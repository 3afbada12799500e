//! Dot transparency.
