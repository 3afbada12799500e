//! `paquebot-mta serve --config FILE` as a process: starts, reloads, refuses, drains, ends.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{IpAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use paquebot_tests::{program, system::own_address, tool};
use tempfile::TempDir;

const PORT: u16 = 2525;
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A running process; killed when dropped.
struct Process {
    address: IpAddr,
    folder: TempDir,
    child: Child,
}

fn config(folder: &TempDir, address: IpAddr, hostname: &str) -> String {
    let folder = folder.path().display();
    format!(
        "version: 1\nhostname: {hostname}\nlisteners:\n- {{protocol: smtp, address: '{address}:{PORT}'}}\n\
        store: {{kind: sqlite, directory: {folder}/store, sealKey: {folder}/seal.key}}\n\
        adminSocket: {folder}/admin.sock\nlimits: {{drainSeconds: 5}}\n"
    )
}

impl Process {
    fn start(hostname: &str) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), own_address());
        fs::write(folder.path().join("mta.yaml"), config(&folder, address, hostname)).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program("paquebot-mta"))
            .args(["serve", "--config"])
            .arg(folder.path().join("mta.yaml"))
            .env("RUST_LOG", "info")
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { address, folder, child }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("mta.yaml")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn wait(&self, what: &str, mut there: impl FnMut() -> bool) {
        let began = Instant::now();
        while !there() {
            assert!(began.elapsed() < WAIT_MAX, "not {what}: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// A new connection and its first line; empty while nobody listens.
    fn greeting(&self) -> (Option<BufReader<TcpStream>>, String) {
        let Ok(stream) = TcpStream::connect((self.address, PORT)) else { return (None, String::new()) };
        let (mut stream, mut line) = (BufReader::new(stream), String::new());
        stream.read_line(&mut line).unwrap();
        (Some(stream), line)
    }

    fn greets_as(&self, hostname: &str) -> bool {
        self.greeting().1.starts_with(&format!("220 {hostname} "))
    }

    fn signal(&self, name: &str) {
        tool::must("sh", &["-c", &format!("kill -{name} {}", self.child.id())], b"");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bad_reload_is_refused_a_good_one_taken_and_sigterm_drains() {
    let mut process = Process::start("mail.example.org");
    process.wait("listening", || process.greets_as("mail.example.org"));

    fs::write(process.file(), "version: 1\nhostnam: x\n").unwrap();
    process.signal("HUP");
    process.wait("refused", || process.log().contains("reload refused, the running configuration kept"));
    let log = process.log();
    assert!(log.contains("mta.yaml") && log.contains("hostnam"), "file and field: {log}");
    assert!(process.greets_as("mail.example.org"));

    // A store cannot move while it runs.
    let other = config(&process.folder, process.address, "mail.example.org").replace("/store", "/elsewhere");
    fs::write(process.file(), other).unwrap();
    process.signal("HUP");
    process.wait("refused", || process.log().contains("store cannot change while the server runs"));

    fs::write(process.file(), config(&process.folder, process.address, "other.example.org")).unwrap();
    process.signal("HUP");
    process.wait("reloaded", || process.greets_as("other.example.org"));

    let (open, _) = process.greeting();
    process.signal("TERM");
    let mut goodbye = String::new();
    let mut open = open.unwrap();
    open.read_line(&mut goodbye).unwrap();
    assert!(goodbye.starts_with("421 "), "{goodbye}");
    let _ = open.get_mut().write_all(b"QUIT\r\n");
    assert_eq!(process.child.wait().unwrap().code(), Some(0), "{}", process.log());
    assert!(process.log().contains("drained"));
    assert!(!process.folder.path().join("admin.sock").exists());
}

#[test]
fn what_is_wrong_is_said_with_file_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mta.yaml");
    let path = file.to_string_lossy().into_owned();
    let good = config(&folder, own_address(), "mail.example.org");
    for (text, words) in [
        (good.replace("smtp,", "smpt,"), ["mta.yaml", "listeners[0].protocol"]),
        (good.replace("smtp,", "submissions,"), ["mta.yaml", "tls: submissions begins with TLS"]),
        (good.replace("drainSeconds: 5", "recipients: 1"), ["mta.yaml", "limits.recipients: 1 is too little"]),
    ] {
        fs::write(&file, text).unwrap();
        let ran = tool::run(&program("paquebot-mta").to_string_lossy(), &["serve", "--config", &path], b"");
        assert_eq!(ran.code, 1, "{}", ran.text());
        assert!(words.iter().all(|word| ran.text().contains(word)), "{words:?}: {}", ran.text());
    }
    let ran = tool::run(&program("paquebot-mta").to_string_lossy(), &["serve", "--config", "/absent.yaml"], b"");
    assert_eq!(ran.code, 1);
    assert!(ran.text().contains("cannot read /absent.yaml"), "{}", ran.text());
}

#[test]
fn help_has_an_example() {
    let program = program("paquebot-mta");
    let help = tool::must(&program.to_string_lossy(), &["serve", "--help"], b"");
    assert!(help.contains("Example: paquebot-mta serve --config "), "{help}");
    let help = tool::must(&program.to_string_lossy(), &["--help"], b"");
    assert!(help.contains("Exit status: 0") && help.contains("paquebot-mta serve --config"), "{help}");
    assert_eq!(tool::run(&program.to_string_lossy(), &["serve"], b"").code, 2);
}
