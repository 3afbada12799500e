//! For the people who run it, and for the operator.
//!
//! - [`listen`]: the sockets: TCP, TCP with TLS, a Unix socket;
//! - [`http`]: metrics and probes; `queue` and `trace`;
//! - [`directory`]: the operator writes the directory and asks what is served;
//! - [`tls`]: who may do that: mutual TLS; `certificate`: what a client's certificate names;
//! - [`health`]: whether the process lives, and whether it should get mail;
//! - [`metrics`]: what Prometheus scrapes.

mod certificate;
pub mod directory;
pub mod health;
pub mod http;
pub mod listen;
pub mod metrics;
pub mod tls;
