//! A real Kubernetes node for tests, and what they do with it. Most tests share one, each in a namespace of its own;
//! one that stops components or cuts the API server off starts a node of its own ([`Cluster::own`]).
//!
//! - [`start`]: which node it is, how it starts and how it ends.
//! - [`namespace`]: a namespace that goes with its test.
//! - [`audit`]: who asked the API server for what.
//! - [`node`]: the node's parts: its network, components, name servers, images.
//!
//! Where `KUBECONFIG` names a cluster of the user's own, the tests use that; what only the project's node can do then
//! fails and says so. Nothing here sleeps: all waits are for conditions.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::tool::{self, Ran};

pub mod audit;
pub mod namespace;
pub mod node;
pub mod start;

pub use namespace::Namespace;
pub use node::{NAME_SERVERS, Place, Process};

/// How long a condition may take to come true on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks at something that takes a process to look at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A cluster that runs.
#[derive(Debug)]
pub struct Cluster {
    /// Holds the program `cluster`.
    programs: PathBuf,
    kubeconfig: PathBuf,
    /// The node's directory; none where the cluster is the user's own.
    folder: Option<PathBuf>,
    /// As long as it is locked, the node does not end itself.
    _lease: Option<File>,
    /// Ended and removed when dropped.
    own: bool,
    image: OnceLock<String>,
}

impl Cluster {
    /// What clients need, good on the host and in the node's network alike.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The program `cluster`.
    pub fn program(&self) -> String {
        self.programs.join("cluster").display().to_string()
    }

    /// Runs kubectl as the administrator, with this standard input.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Ran {
        let kubeconfig = self.kubeconfig.display().to_string();
        let always = ["kubectl", "--kubeconfig", kubeconfig.as_str()];
        tool::run(&self.program(), &[&always[..], arguments].concat(), input.as_bytes())
    }

    /// The same, and it must succeed; gives its standard output.
    pub fn must(&self, arguments: &[&str], input: &str) -> String {
        let ran = self.kubectl(arguments, input);
        assert_eq!(ran.code, 0, "kubectl {arguments:?}: {}\n{input}", ran.text());
        String::from_utf8_lossy(&ran.output).into_owned()
    }

    /// Applies YAML on the server's side.
    pub fn apply(&self, yaml: &str) -> String {
        self.must(&["apply", "--server-side", "--filename", "-"], yaml)
    }
}

/// Waits until there is something to see, and gives it.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, look)
}

/// The same of what takes its time also on a fast machine.
pub fn wait_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Waits until it is so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, || is_so().then_some(()));
}
