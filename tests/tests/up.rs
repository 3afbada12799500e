//! `paquebot up` as a user runs it: bad input, edits, restarts, its end.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use paquebot_tests::{
    cluster::PATIENCE,
    program,
    system::{own_address, port},
};

const DOMAIN: &str = "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: example.com}\nspec: {dkim: {keys: [{algorithm: Ed25519}]}}\n";

fn mailbox(name: &str) -> String {
    format!(
        "---\napiVersion: paquebot.dev/v1alpha1\nkind: Mailbox\nmetadata: {{name: {name}}}\nspec: {{address: {name}@example.com}}\n"
    )
}

/// A folder of its own, and the process that runs on it.
struct Up {
    folder: tempfile::TempDir,
    address: IpAddr,
    process: Option<Child>,
}

impl Up {
    fn new(yaml: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("paquebot-up-").tempdir().unwrap();
        fs::write(folder.path().join("mail.yaml"), yaml).unwrap();
        Self { folder, address: own_address(), process: None }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn edit(&self, yaml: &str) {
        fs::write(self.folder.path().join("mail.yaml"), yaml).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program("paquebot"));
        command
            .args(["up", "-f"])
            .arg(self.folder.path().join("mail.yaml"))
            .arg("--data")
            .arg(self.data())
            .args(["--address", &self.address.to_string()])
            .stdin(Stdio::null());
        command
    }

    /// Runs it where it is expected to end by itself.
    fn ends(&self) -> Output {
        self.command().output().unwrap()
    }

    /// Starts it; gives how long it took until it served.
    fn start(&mut self) -> Duration {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let began = Instant::now();
        let process = self.command().stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.process = Some(process);
        self.until("it serves", |up| {
            let ended = up.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", up.log());
            greets(up.at(port::SMTP))
        });
        began.elapsed()
    }

    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < PATIENCE, "never: {what}: {}", self.log());
            paquebot_tests::pause();
        }
    }

    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn signal(&self, name: &str) {
        let pid = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.process.take().unwrap().wait().unwrap().code()
    }

    /// What RCPT says to a recipient.
    fn rcpt(&self, to: &str) -> String {
        let mut smtp = Smtp::connect(self.at(port::SMTP));
        for line in ["EHLO client.example", "MAIL FROM:<>"] {
            assert!(smtp.ask(line).starts_with("250"));
        }
        smtp.ask(&format!("RCPT TO:<{to}>"))
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Whether somebody really answers: the system accepts connections before the server does.
fn greets(at: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(at) else { return false };
    let mut greeting = [0; 3];
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_exact(&mut greeting).is_ok() && greeting == *b"220"
}

struct Smtp(BufReader<TcpStream>);

impl Smtp {
    fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut smtp = Self(BufReader::new(stream));
        assert!(smtp.reply().starts_with("220"));
        smtp
    }

    fn ask(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply()
    }

    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "closed");
            if line.as_bytes().get(3) == Some(&b' ') {
                return line;
            }
        }
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn bad_yaml_at_the_start_makes_nothing() {
    for (yaml, code, says) in [
        (
            "kind: MailDomain\napiVersion: paquebot.dev/v1alpha1\nmetadata: {name: example.com}\nspec: {dmrc: {}}\n",
            2,
            "dmarc",
        ),
        ("a: [\n", 2, "mail.yaml"),
        ("", 2, "MailDomain"),
    ] {
        let up = Up::new(yaml);
        let output = up.ends();
        assert_eq!(output.status.code(), Some(code), "{yaml:?}: {}", text(&output));
        assert!(text(&output).contains(says), "{yaml:?}: {}", text(&output));
        assert!(!up.data().exists(), "{yaml:?} left data behind");
    }
}

#[test]
fn edits_take_effect_and_bad_ones_change_nothing() {
    let mut up = Up::new(&format!("{DOMAIN}{}", mailbox("alice")));
    up.start();
    assert!(up.rcpt("alice@example.com").starts_with("250"));
    assert!(up.rcpt("carol@example.com").starts_with("550"));

    up.edit(&format!("{DOMAIN}{}", mailbox("carol").replace("address:", "adress:")));
    up.until("the bad edit is reported", |up| up.log().contains("not applied"));
    assert!(up.log().contains("adress") && up.log().contains("spec.address"), "{}", up.log());
    assert!(up.rcpt("alice@example.com").starts_with("250"), "the running state is kept");
    assert!(up.rcpt("carol@example.com").starts_with("550"), "nothing is half applied");

    fs::remove_file(up.folder.path().join("mail.yaml")).unwrap();
    up.until("a removed file is reported", |up| up.log().matches("not applied").count() >= 2);
    assert!(up.rcpt("alice@example.com").starts_with("250"));

    up.edit("");
    up.until("an emptied file is reported", |up| up.log().contains("no MailDomain is declared"));
    assert!(up.rcpt("alice@example.com").starts_with("250"), "nobody is removed by an editor's empty file");

    up.edit(&format!("{DOMAIN}{}", mailbox("carol")));
    up.until("carol is there", |up| up.rcpt("carol@example.com").starts_with("250"));
    assert!(up.rcpt("alice@example.com").starts_with("550"), "alice was removed");
    let passwords = fs::read_to_string(up.data().join("passwords")).unwrap();
    assert!(passwords.contains("carol@example.com: "));
    for line in passwords.lines().filter_map(|line| line.split_once(": ")) {
        assert!(!up.log().contains(line.1), "a password was printed");
    }
}

#[test]
fn a_restart_keeps_keys_and_passwords() {
    let mut up = Up::new(DOMAIN);
    up.start();
    let kept = |up: &Up| {
        ["passwords", "seal.key", "password-digest.key", "tls/certificate.pem", "tls/key.pem"]
            .map(|file| fs::read(up.data().join(file)).unwrap())
    };
    let keys = |up: &Up| fs::read_dir(up.data().join("dkim/example.com")).unwrap().count();
    let (first, count) = (kept(&up), keys(&up));
    assert_eq!(count, 1);
    let mut quickest = Duration::MAX;
    for _ in 0..3 {
        up.signal("TERM");
        assert_eq!(up.exit_code(), Some(0));
        quickest = quickest.min(up.start());
    }
    assert_eq!((kept(&up), keys(&up)), (first, count));
    println!("measured: serving again after {quickest:?}");
}

#[test]
fn only_its_owner_reads_the_data() {
    let mut up = Up::new(DOMAIN);
    up.start();
    up.until("the socket is there", |up| up.data().join("mta.sock").exists());
    check(&up.data());

    fn check(folder: &Path) {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            if path.is_dir() {
                check(&path);
            }
        }
    }
    assert_eq!(fs::metadata(up.data()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_is_taken_is_named() {
    let mut up = Up::new(DOMAIN);
    up.start();
    let same_data = up.ends();
    assert_eq!(same_data.status.code(), Some(1));
    assert!(text(&same_data).contains("--data"), "{}", text(&same_data));

    let mut other = Up::new(DOMAIN);
    other.address = up.address;
    let same_port = other.ends();
    assert_eq!(same_port.status.code(), Some(1));
    let said = text(&same_port);
    assert!(said.contains(&format!("{}:", up.address)) && said.contains("in use"), "{said}");
}

#[test]
fn ctrl_c_lets_open_sessions_finish() {
    let mut up = Up::new(DOMAIN);
    up.start();
    let mut open = Smtp::connect(up.at(port::SMTP));
    assert!(open.ask("EHLO client.example").starts_with("250"));
    assert!(open.ask("MAIL FROM:<>").starts_with("250"));
    assert!(open.ask("RCPT TO:<postmaster@example.com>").starts_with("250"));
    assert!(open.ask("DATA").starts_with("354"));
    up.signal("INT");
    up.until("no new sessions", |up| TcpStream::connect(up.at(port::SMTP)).is_err());
    let end = open.ask("From: <a@example.net>\r\nSubject: the last one\r\n\r\nbody\r\n.");
    assert!(end.starts_with("250") || end.starts_with("550"), "the message under way was answered: {end}");
    assert_eq!(up.exit_code(), Some(0));
    assert!(up.log().contains("ending"), "{}", up.log());
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let mut up = Up::new(DOMAIN);
    up.start();
    let mut open = Smtp::connect(up.at(port::SMTP));
    assert!(open.ask("EHLO client.example").starts_with("250"));
    assert!(open.ask("MAIL FROM:<>").starts_with("250"));
    assert!(open.ask("RCPT TO:<postmaster@example.com>").starts_with("250"));
    assert!(open.ask("DATA").starts_with("354"));
    up.signal("INT");
    up.until("it drains", |up| up.log().contains("ending"));
    up.signal("INT");
    assert_eq!(up.exit_code(), Some(130));
    let mut rest = Vec::new();
    let _ = open.0.read_to_end(&mut rest);
}

#[test]
fn queue_and_trace_ask_the_running_server() {
    let mut up = Up::new(DOMAIN);
    let paquebot = |up: &Up, arguments: &[&str]| {
        Command::new(program("paquebot")).args(arguments).arg("--data").arg(up.data()).output().unwrap()
    };
    let nobody = paquebot(&up, &["queue", "list"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody).contains("paquebot up"), "{}", text(&nobody));
    up.start();
    up.until("the socket is there", |up| up.data().join("mta.sock").exists());
    let queue = paquebot(&up, &["queue", "list"]);
    assert_eq!((queue.status.code(), text(&queue).as_str()), (Some(0), "The queue is empty.\n"));
    let unknown = paquebot(&up, &["trace", "<none@example.com>"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown).contains("none@example.com"), "{}", text(&unknown));
}
