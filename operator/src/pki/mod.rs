//! The certificate authority of the admin API, and the certificates from it. Pure but for random numbers:
//! times come from the caller, Secrets are read and written by the controllers.
//!
//! - [`names`]: what a certificate says of its holder, and how long it is good.
//! - [`issue`]: keys and certificates; self-signed ones too.
//! - [`authority`]: the authority, as data of a Secret; certificates from it, renewed when they must be.
//! - [`mod@rotation`]: one authority after another, in steps that break no connection.
//! - [`facts`]: what a certificate says, and whether it fits its key, its name and the day.
//! - [`secret`]: certificates as data of Secrets.

pub mod authority;
pub mod facts;
pub mod issue;
pub mod names;
pub mod rotation;
pub mod secret;

pub use authority::Authority;
pub use facts::{CertificateFacts, CertificateProblem, check};
pub use issue::{Pair, PkiError};
pub use names::Holder;
pub use rotation::{Step, rotation};
pub use secret::Credentials;

#[cfg(test)]
mod clock {
    use k8s_openapi::jiff::Timestamp;

    /// Some day.
    pub const NOW: i64 = 1_800_000_000;

    /// That second.
    pub fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }
}
