//! End to end on a real node: YAML is applied, pods come up, mail goes through the Services.
//!
//! - [`world`]: mail servers by YAML, their zones, the users' programs outside the cluster.

#[path = "e2e/confined.rs"]
mod confined;
#[path = "e2e/exchange.rs"]
mod exchange;
#[path = "e2e/first.rs"]
mod first;
#[path = "e2e/flow.rs"]
mod flow;
#[path = "e2e/knows_less.rs"]
mod knows_less;
#[path = "e2e/live.rs"]
mod live;
#[path = "e2e/operators.rs"]
mod operators;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/world.rs"]
mod world;
#[path = "e2e/wrong_dns.rs"]
mod wrong_dns;
