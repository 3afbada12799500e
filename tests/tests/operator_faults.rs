//! The operator while the API server or its store is away: a node of its own, whose parts are stopped and started.

#[path = "operator/faults.rs"]
mod faults;
#[allow(dead_code)] // The other tests use more of it.
#[path = "operator/world.rs"]
mod world;
