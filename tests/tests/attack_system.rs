//! Attacks on the running binary and its data directory: bombs in YAML, files that others read, secrets in what is
//! printed, links that lead elsewhere, HTTP that is none, and many connections that each hold something back.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use paquebot_tests::{
    program,
    system::{own_address, port},
};

const WAIT_SECONDS_MAX: Duration = Duration::from_secs(60);
/// The whole server with a hundred clients that hold back what they can.
const MEMORY_KIB_MAX: u64 = 400 * 1024;
const YAML: &str = "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: example.com}\nspec: {dkim: {keys: [{algorithm: Ed25519}]}}\n---\n\
    apiVersion: paquebot.dev/v1alpha1\nkind: Mailbox\nmetadata: {name: bob}\nspec: {address: bob@example.com}\n---\n\
    apiVersion: paquebot.dev/v1alpha1\nkind: Mailbox\nmetadata: {name: alice}\nspec: {address: alice@example.com, passwordSecretRef: {name: alice, key: password}}\n---\n\
    apiVersion: v1\nkind: Secret\nmetadata: {name: alice}\nstringData: {password: open-sesame-of-alice}\n";
const PASSWORD: &str = "open-sesame-of-alice";

struct Up {
    folder: tempfile::TempDir,
    address: IpAddr,
    process: Option<Child>,
}

impl Up {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("paquebot-attack-").tempdir().unwrap();
        fs::write(folder.path().join("mail.yaml"), YAML).unwrap();
        Self { folder, address: own_address(), process: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// As a careless user would: every file is for all unless the program says otherwise.
    fn start(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let script = "umask 0; exec \"$0\" up -f \"$1\" --data \"$2\" --address \"$3\"";
        let process = Command::new("sh")
            .args(["-c", script])
            .arg(program("paquebot"))
            .arg(self.path("mail.yaml"))
            .arg(self.data())
            .arg(self.address.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let began = Instant::now();
        while !self.http("GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200") {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < WAIT_SECONDS_MAX, "{ended:?}: {}", self.log());
            std::thread::yield_now();
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    /// What the metrics port says to these octets.
    fn http(&self, request: &str) -> String {
        let Ok(stream) = TcpStream::connect(self.at(port::METRICS)) else { return String::new() };
        answered(stream, request)
    }

    fn admin(&self, target: &str) -> String {
        let stream = UnixStream::connect(self.data().join("mta.sock")).unwrap();
        answered(stream, &format!("GET {target} HTTP/1.1\r\nHost: evil.example:99999\r\nConnection: close\r\n\r\n"))
    }

    fn paquebot(&self, arguments: &[&str]) -> Output {
        Command::new(program("paquebot")).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.as_ref().unwrap().id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
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

fn answered(mut stream: impl Read + Write, request: &str) -> String {
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

struct Smtp(BufReader<TcpStream>);

impl Smtp {
    fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(WAIT_SECONDS_MAX)).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).unwrap();
    }

    fn reply(&mut self) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap_or(0) == 0 {
                return all;
            }
            all.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return all;
            }
        }
    }

    fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    /// In the middle of a message for alice.
    fn in_data(at: SocketAddr) -> Self {
        let mut smtp = Self::connect(at);
        smtp.reply();
        for line in ["EHLO client.example", "MAIL FROM:<>", "RCPT TO:<alice@example.com>", "DATA"] {
            let reply = smtp.ask(line);
            assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
        }
        smtp
    }
}

fn all_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        found.push(entry.path());
        if entry.file_type().unwrap().is_dir() {
            all_below(&entry.path(), found);
        }
    }
}

#[test]
fn files_are_their_owners_and_secrets_are_not_printed() {
    let mut up = Up::new();
    // A stranger's link in place of a file that will be written: replaced, never written through.
    let victim = up.path("victim");
    fs::write(&victim, "precious").unwrap();
    fs::create_dir(up.data()).unwrap();
    fs::write(up.data().join("paquebot.lock"), "").unwrap();
    fs::set_permissions(up.data().join("paquebot.lock"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(up.data().join("tls")).unwrap();
    fs::set_permissions(up.data().join("tls"), fs::Permissions::from_mode(0o700)).unwrap();
    for name in ["tls/key.pem", "tls/certificate.pem", "tls/certificate.json"] {
        symlink(&victim, up.data().join(name)).unwrap();
    }
    up.start();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    // A body that goes to a file of its own.
    let mut smtp = Smtp::in_data(up.at(port::SMTP));
    let body = ("y".repeat(70) + "\r\n").repeat(4000);
    smtp.send(format!("From: ann@sender.invalid\r\nMessage-ID: <x@y>\r\n\r\n{body}").as_bytes());
    let mut unfinished = Vec::new();
    let began = Instant::now();
    while !unfinished.iter().any(|path: &PathBuf| path.extension().is_some_and(|it| it == "part")) {
        unfinished.clear();
        all_below(&up.data(), &mut unfinished);
        assert!(began.elapsed() < WAIT_SECONDS_MAX);
    }
    let mut paths = vec![up.data()];
    all_below(&up.data(), &mut paths);
    for path in &paths {
        let Ok(metadata) = fs::symlink_metadata(path) else { continue };
        assert!(!metadata.file_type().is_symlink(), "{}", path.display());
        let mode = metadata.permissions().mode() & 0o7777;
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
    assert!(paths.len() > 10, "{paths:?}");

    let generated = fs::read_to_string(up.data().join("passwords")).unwrap();
    let generated = generated.lines().last().unwrap().split_whitespace().last().unwrap().to_owned();
    let keys: Vec<String> =
        paths.iter().filter(|it| it.extension().is_some_and(|it| it == "pem")).flat_map(fs::read_to_string).collect();
    let keys = keys.iter().flat_map(|pem| pem.lines()).filter(|line| line.len() >= 40);
    let certificate = fs::read_to_string(up.data().join("tls/certificate.pem")).unwrap();
    let mut secrets: Vec<&str> = keys.filter(|line| !certificate.contains(line)).collect();
    assert!(secrets.len() >= 2, "a DKIM key and a TLS key");
    secrets.extend([PASSWORD, &generated]);
    let (yaml, data) = (up.path("mail.yaml"), up.data());
    let (yaml, data) = (yaml.to_str().unwrap(), data.to_str().unwrap());
    let mut printed = up.log();
    for arguments in [
        &["render", "-f", yaml, "--data", data, "-o", "json"][..],
        &["render", "-f", yaml, "--data", data],
        &["dns", "example.com", "-f", yaml, "--data", data],
        &["queue", "list", "--data", data, "-o", "json"],
        &["trace", "x@y", "--data", data, "-o", "json"],
    ] {
        let output = up.paquebot(arguments);
        printed.push_str(&String::from_utf8_lossy(&output.stdout));
        printed.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    for secret in secrets {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[test]
fn many_clients_that_hold_back_cost_little_and_lock_nobody_out() {
    let mut up = Up::new();
    up.start();
    // A hundred sessions are one address's: each with a header that is almost as long as one may be, without its end.
    let header = ("X-Filler: ".to_owned() + &"y".repeat(900) + "\r\n").repeat(270);
    let mut held: Vec<Smtp> = (0..100)
        .map(|_| {
            let mut smtp = Smtp::in_data(up.at(port::SMTP));
            smtp.send(header.as_bytes());
            smtp
        })
        .collect();
    let refused = Smtp::connect(up.at(port::SMTP)).reply();
    assert!(refused.starts_with("421 4.7.0"), "{refused}");
    assert!(up.http("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
    let memory = up.memory_kib();
    assert!(memory < MEMORY_KIB_MAX, "{memory} KiB");
    // One goes, one comes.
    held.pop();
    let began = Instant::now();
    while !Smtp::connect(up.at(port::SMTP)).reply().starts_with("220") {
        assert!(began.elapsed() < WAIT_SECONDS_MAX);
    }
}

#[test]
fn http_that_is_none_changes_nothing() {
    let mut up = Up::new();
    up.start();
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /v1/queue HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "GET /v1/journey?message-id=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n".to_owned(),
        "EHLO x\r\nMAIL FROM:<>\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "a".repeat(1_000_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100_000)),
    ] {
        let answer = up.http(&request);
        assert!(!answer.starts_with("HTTP/1.1 2"), "{:.60}: {answer:.200}", request);
    }
    for (target, status) in [
        ("/v1/queue?limit=99999999", "200"),
        ("/v1/queue?limit=99999999999999999999999", "400"),
        ("/v1/queue?limit=-1", "400"),
        ("/v1/queue?limit=0&limit=1", "400"),
        ("/v1/queue?after=../../x", "400"),
        ("/v1/queue?after=00000000000000000000000000000000.99999999999", "400"),
        ("/v1/queue?sql=';drop", "400"),
        ("/v1/journey", "400"),
        ("/v1/journey?message-id=%00%1b[2J'--", "200"),
        ("/v1/journey?message-id=x&id=00000000-0000-0000-0000-000000000000", "400"),
        ("/v1/../metrics", "404"),
        ("/metrics", "404"),
    ] {
        let answer = up.admin(target);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
        assert!(!answer.contains('\x1b'), "{target}: {answer}");
    }
    assert!(up.http("GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
}

#[test]
fn yaml_bombs_are_refused_at_once() {
    let up = Up::new();
    let laughs: String = ('b'..='j')
        .zip('a'..)
        .map(|(new, old)| format!("{new}: &{new} [{}]\n", vec![format!("*{old}"); 10].join(",")))
        .collect();
    for (name, bomb) in [
        ("laughs", format!("a: &a [x,x,x,x,x,x,x,x,x,x]\n{laughs}")),
        ("brackets", format!("a: {}", "[".repeat(300_000))),
        ("braces", "{a: ".repeat(100_000)),
        ("dashes", "- ".repeat(100_000)),
        ("documents", "---\na: 1\n".repeat(100_000)),
        ("octets", "#".repeat(5 * 1024 * 1024)),
        ("escapes", "apiVersion: \"\\e[2J\"\nkind: \"\\e]0;x\\a\"\n".to_owned()),
    ] {
        fs::write(up.path("mail.yaml"), bomb).unwrap();
        let began = Instant::now();
        let output = up.paquebot(&["render", "-f", up.path("mail.yaml").to_str().unwrap()]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {text:.300}");
        assert!(!text.contains('\x1b'), "{name}");
        assert!(text.len() < 100_000 && began.elapsed() < Duration::from_secs(20), "{name}: {:?}", began.elapsed());
    }
}
