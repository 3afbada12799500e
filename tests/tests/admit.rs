//! What the API server itself admits and refuses by our definitions, held against what local mode says of the same.
//! Needs a cluster: that of `KUBECONFIG`, or the tests' own.

#[path = "admit/bad.rs"]
mod bad;
#[path = "admit/good.rs"]
mod good;
#[path = "admit/specs.rs"]
mod specs;
#[path = "admit/upgrade.rs"]
mod upgrade;
#[path = "admit/world.rs"]
mod world;
