//! The one resolver.
