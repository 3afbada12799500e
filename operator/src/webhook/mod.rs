//! Admission: says no before a wrong object is stored. Everything that it says the controllers say too, in the status:
//! it may be down (`failurePolicy: Ignore`).
//!
//! - [`review`](mod@review): what is allowed, in a world of other objects. Pure.
//! - [`serve`](mod@serve): HTTPS for the API server.
//! - [`configuration`](mod@configuration): how the API server is told of it.

mod configuration;
mod review;
mod serve;

pub use configuration::{Client, NAME, configuration};
pub use review::{Verdict, World, review};
pub use serve::{PATH, serve};

#[cfg(test)]
mod tests;
