//! What the tests share.
//!
//! - [`mta`]: an MTA in the test's own process.
//! - [`system`]: a mail system of its own, as a user runs it: `paquebot up`.
//! - [`dns`]: authoritative DNS on loopback.
//! - [`postfix`]: an instance of Debian's Postfix, as next host and as sender.
//! - [`greylist`]: a policy service for it.
//! - [`user`]: what a user's programs do with it: swaks, curl, gsasl.
//! - [`tool`]: the peers' command lines.
//! - [`zones`]: a DNS server.
//! - [`cluster`]: a real Kubernetes node.
//! - [`operator`]: the operator as a process in it.
//! - [`addons`]: cert-manager and external-dns beside it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub mod addons;
pub mod cluster;
pub mod dns;
pub mod greylist;
pub mod mta;
pub mod operator;
pub mod postfix;
pub mod system;
pub mod tool;
pub mod user;
pub mod zones;

/// The repository's top folder.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A program of this workspace, built by `make test` before the tests.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.parent().and_then(Path::parent).unwrap_or(Path::new("target/debug"));
    folder.join(name)
}

/// Between two looks at a condition that only another process can change: leaves it the processor.
pub fn pause() {
    std::thread::park_timeout(Duration::from_millis(5));
}
