//! The operator against the real API server: what it writes, and what it says, whatever happens to its objects.
//! Tests share a node, each with namespaces and an operator of its own; faults of the API server are `operator_faults`.

#[path = "operator/claims.rs"]
mod claims;
#[path = "operator/edits.rs"]
mod edits;
#[path = "operator/endpoint.rs"]
mod endpoint;
#[path = "operator/leader.rs"]
mod leader;
#[path = "operator/making.rs"]
mod making;
#[path = "operator/order.rs"]
mod order;
#[path = "operator/own.rs"]
mod own;
#[path = "operator/quiet.rs"]
mod quiet;
#[path = "operator/refused.rs"]
mod refused;
#[path = "operator/restore.rs"]
mod restore;
#[path = "operator/secrets.rs"]
mod secrets;
#[path = "operator/servers.rs"]
mod servers;
#[path = "operator/upgrade.rs"]
mod upgrade;
#[path = "operator/volume.rs"]
mod volume;
#[path = "operator/world.rs"]
mod world;
