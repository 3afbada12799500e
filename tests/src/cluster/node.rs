//! The node's parts: its network, components, name servers, images. Only the project's own node has them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{Cluster, start};
use crate::{
    repository,
    tool::{self, Ran},
};

/// The authoritative name servers, `ns1.test` to `ns3.test`, on port 53. The node's resolver knows their zones.
pub const NAME_SERVERS: [&str; 3] = ["10.99.1.1", "10.99.1.2", "10.99.1.3"];
/// The node's resolver, which pods use.
pub const RESOLVER: &str = "10.99.0.1";
/// Addresses of the client outside; it uses the first where it has no other wish.
pub const CLIENTS: [&str; 3] = ["203.0.113.10", "203.0.113.11", "203.0.113.12"];

/// From where a program of this machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The node: reaches pods, Services and the API server.
    Node,
    /// A machine outside of the cluster, with an address of its own: reaches load balancers and the name servers.
    Client,
}

/// Whom to cut off.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// A pod by its address.
    Pod(&'a str),
    /// Processes in the node's network that run as this user.
    User(u32),
}

impl Cluster {
    /// Whether it is the project's own node.
    pub fn is_ours(&self) -> bool {
        self.folder.is_some()
    }

    pub(super) fn folder(&self) -> &Path {
        let folder = self.folder.as_deref();
        folder.unwrap_or_else(|| panic!("this test needs the project's own node: unset KUBECONFIG"))
    }

    fn control(&self, command: &str, arguments: &[&str], input: &str) -> String {
        let folder = self.folder().display().to_string();
        let all = [&[command, "--dir", folder.as_str()], arguments].concat();
        let ran = tool::run(&self.program(), &all, input.as_bytes());
        assert_eq!(ran.code, 0, "cluster {all:?}: {}\n{input}", ran.text());
        String::from_utf8_lossy(&ran.output).into_owned()
    }

    /// A command that runs at a place, with the cluster's DNS and `KUBECONFIG`; all else is this machine's.
    pub fn command(&self, place: Place, program: &str, arguments: &[&str]) -> Command {
        let (program, arguments) = self.placed(place, program, arguments);
        let mut command = Command::new(program);
        command.args(arguments).env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// In the user's own cluster this machine takes the node's place: it reaches the API server, and perhaps no pods.
    fn placed(&self, place: Place, program: &str, arguments: &[&str]) -> (String, Vec<String>) {
        if !self.is_ours() && place == Place::Node {
            return (program.to_owned(), arguments.iter().map(|it| (*it).to_owned()).collect());
        }
        let place = if place == Place::Client { "client" } else { "node" };
        let folder = self.folder().display().to_string();
        let always = ["exec", "--dir", folder.as_str(), "--as", place, program];
        (self.program(), [&always[..], arguments].concat().into_iter().map(str::to_owned).collect())
    }

    /// Runs a program there to its end, with this standard input.
    pub fn exec(&self, place: Place, program: &str, arguments: &[&str], input: &[u8]) -> Ran {
        let (program, arguments) = self.placed(place, program, arguments);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        tool::run(&program, &words, input)
    }

    /// Starts a program there; what it prints goes to `log`. Environment variables are set for it.
    pub fn spawn(
        &self,
        place: Place,
        program: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        log: &Path,
    ) -> Process {
        let output = fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.command(place, program, arguments);
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        command.envs(variables.iter().copied());
        Process { child: command.spawn().unwrap(), log: log.to_path_buf() }
    }

    /// Kills components, which stay down until the guard is dropped; pods run on. There are etcd, kube-apiserver,
    /// containerd, kubelet, kube-controller-manager, kube-scheduler, kube-proxy, coredns, loadbalancer, policies, ns1,
    /// ns2, ns3. All of the node's tests feel it: for a node of one's own ([`Cluster::own`]).
    pub fn stop<'a>(&'a self, components: &'a [&'a str]) -> Stopped<'a> {
        self.control("stop", components, "");
        Stopped { cluster: self, components }
    }

    /// Drops all packets from there to the API server, of connections that exist too, until the guard is dropped.
    pub fn cut_from_api(&self, who: Who<'_>) -> Cut<'_> {
        let port = fs::read_to_string(self.folder().join("port")).unwrap();
        let (table, hook, from) = match who {
            Who::Pod(address) => (format!("cut_{}", address.replace('.', "_")), "input", format!("ip saddr {address}")),
            Who::User(user) => (format!("cut_user_{user}"), "output", format!("meta skuid {user}")),
        };
        let rules = format!(
            "table ip {table} {{ chain cut {{ type filter hook {hook} priority -10; \
             {from} tcp dport {{ 443, {port} }} drop; }}; }}"
        );
        let ran = self.exec(Place::Node, "nft", &["-f", "-"], rules.as_bytes());
        assert_eq!(ran.code, 0, "{rules}: {}", ran.text());
        Cut { cluster: self, table }
    }

    /// Publishes a zone's records (RFC 1035 lines; SOA and NS are added) at all name servers, and waits until each
    /// serves them. What they had of that zone is gone.
    pub fn publish(&self, origin: &str, records: &str) {
        self.control("zone", &[origin], records);
    }

    /// The same at one name server, 1 to 3, so that it differs from the others.
    pub fn publish_at(&self, server: usize, origin: &str, records: &str) {
        self.control("zone", &["--ns", &server.to_string(), origin], records);
    }

    /// No name server knows the zone any more.
    pub fn unpublish(&self, origin: &str) {
        self.control("zone", &["--remove", origin], "");
    }

    /// Makes an image known to the node; gives its name.
    pub fn load(&self, archive: &Path) -> String {
        self.control("load", &[&archive.display().to_string()], "").trim().to_owned()
    }

    /// The program `hello`: it serves, and it tries connections.
    pub fn hello(&self) -> String {
        Path::new(&self.program()).with_file_name("hello").display().to_string()
    }

    /// The name of an image of it, loaded.
    pub fn hello_image(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("hello.tar");
        let (out, file) = (archive.display().to_string(), format!("{}:/hello", self.hello()));
        let words = ["image", "--name", "localhost/hello", "--out", &out, "--file", &file, "/hello"];
        let made = tool::must(&self.program(), &words, b"");
        let image = self.load(&archive);
        assert_eq!(made.trim(), image, "the name of an image is printed when it is made");
        image
    }

    /// The name of the project's image, loaded: the file that `PAQUEBOT_IMAGE` names, or one of the programs as they
    /// were last built. In the user's own cluster `PAQUEBOT_IMAGE` is the name of an image that it can pull.
    pub fn image(&self) -> &str {
        self.image.get_or_init(|| match env::var("PAQUEBOT_IMAGE") {
            Ok(name) if self.folder.is_none() => name,
            Err(_) if self.folder.is_none() => panic!("set PAQUEBOT_IMAGE to an image that your cluster can pull"),
            Ok(archive) => self.load(Path::new(&archive)),
            Err(_) => self.load_last_built(),
        })
    }

    fn load_last_built(&self) -> String {
        let folder = tempfile::tempdir_in(start::target()).unwrap();
        let archive = folder.path().join("image.tar");
        let script = repository().join("tests/setup/image.sh").display().to_string();
        let programs = self.programs.display().to_string();
        tool::must(&script, &[&programs, &archive.display().to_string(), "dev"], b"");
        self.load(&archive)
    }
}

/// A program that runs there; killed when dropped.
#[derive(Debug)]
pub struct Process {
    /// It itself: the way into the network leaves no process between.
    pub child: Child,
    log: PathBuf,
}

impl Process {
    /// What it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end (SIGTERM); gives its exit status.
    pub fn end(&mut self) -> Option<i32> {
        tool::run("kill", &["-TERM", &self.child.id().to_string()], b"");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.log.display(), self.log());
        }
    }
}

/// Components that are down; started again when dropped.
#[derive(Debug)]
#[must_use]
pub struct Stopped<'a> {
    cluster: &'a Cluster,
    components: &'a [&'a str],
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let folder = self.cluster.folder().display().to_string();
        let arguments = [&["start", "--dir", folder.as_str()], self.components].concat();
        let ran = tool::run(&self.cluster.program(), &arguments, b"");
        if ran.code != 0 {
            eprintln!("{}", ran.text());
        }
    }
}

/// Somebody who is cut off the API server; let through when dropped.
#[derive(Debug)]
#[must_use]
pub struct Cut<'a> {
    cluster: &'a Cluster,
    table: String,
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.cluster.exec(Place::Node, "nft", &["delete", "table", "ip", &self.table], b"");
    }
}
