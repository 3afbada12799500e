//! Which node it is, how it starts and how it ends. A node ends itself once nobody holds a lock on its lease: however a
//! test's process ends, the kernel drops its lock. `make test` removes what is left.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::Cluster;
use crate::{program, repository, tool};

/// How long the shared node outlives its last user: the pause between two test programs.
const SHARED_IDLE: &str = "120s";
/// The same of a test's own node.
const OWN_IDLE: &str = "10s";

impl Cluster {
    /// The cluster that this machine's tests share: the user's own where `KUBECONFIG` names one.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| match users_own() {
            Some(kubeconfig) => Self::at(&kubeconfig),
            None => Self::start(target().join("cluster-tests"), SHARED_IDLE, false),
        })
    }

    /// A node of its own for one test; ends when dropped.
    pub fn own() -> Self {
        let folder = tempfile::Builder::new().prefix("cluster-own-").tempdir_in(target()).unwrap().keep();
        Self::start(folder, OWN_IDLE, true)
    }

    fn start(folder: PathBuf, idle: &str, own: bool) -> Self {
        fs::create_dir_all(&folder).unwrap();
        // One process starts it; the others wait here and find it running.
        let starting = File::create(folder.join("starting")).unwrap();
        starting.lock().unwrap();
        // Before the start, so that it never sees itself unused.
        let lease = File::options().create(true).append(true).open(folder.join("lease")).unwrap();
        lease.lock_shared().unwrap();
        let programs = programs();
        let directory = folder.display().to_string();
        let cluster = programs.join("cluster").display().to_string();
        tool::must(&cluster, &["up", "--dir", &directory, "--idle", idle], b"");
        Self {
            programs,
            kubeconfig: folder.join("kubeconfig"),
            folder: Some(folder),
            _lease: Some(lease),
            own,
            image: OnceLock::new(),
        }
    }

    fn at(kubeconfig: &Path) -> Self {
        eprintln!("the tests run against the cluster of KUBECONFIG, {}", kubeconfig.display());
        // A node that `make cluster` started can all that the tests' own can.
        let folder = kubeconfig.parent().filter(|folder| folder.join("node.pid").exists()).map(Path::to_path_buf);
        Self {
            programs: programs(),
            kubeconfig: kubeconfig.to_path_buf(),
            folder,
            _lease: None,
            own: false,
            image: OnceLock::new(),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(folder) = self.folder.as_ref().filter(|_| self.own) else {
            return;
        };
        if std::thread::panicking() {
            eprintln!("the node's logs are in {}", folder.join("log").display());
        }
        let ended = tool::run(&self.program(), &["down", "--dir", &folder.display().to_string()], b"");
        if ended.code != 0 {
            eprintln!("{}", ended.text());
        } else if !std::thread::panicking() {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

fn users_own() -> Option<PathBuf> {
    let named = env::var("KUBECONFIG").ok().filter(|named| !named.is_empty())?;
    let path = fs::canonicalize(&named);
    Some(path.unwrap_or_else(|error| panic!("KUBECONFIG={named}: {error}; unset it, or name one file")))
}

/// The build's top folder.
pub(super) fn target() -> PathBuf {
    let built = program("paquebot");
    built.parent().and_then(Path::parent).unwrap_or(Path::new("target")).to_path_buf()
}

/// Where Kubernetes' programs lie; the first time on a machine they are built.
fn programs() -> PathBuf {
    let script = repository().join("tests/cluster/cached.sh");
    let printed = Command::new(&script).stderr(std::process::Stdio::inherit()).output().unwrap();
    assert!(printed.status.success(), "{} failed", script.display());
    PathBuf::from(String::from_utf8(printed.stdout).unwrap().trim())
}
