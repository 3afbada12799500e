//! A mail system of its own, as a user runs it: `paquebot up` in a temporary folder, on a loopback address of its own.

use std::{
    fs,
    io::Read,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{pause, program};

/// The ports of `paquebot up`.
pub mod port {
    /// SMTP.
    pub const SMTP: u16 = 2525;
    /// Submission with STARTTLS.
    pub const SUBMISSION: u16 = 2587;
    /// Submission over TLS.
    pub const SUBMISSIONS: u16 = 2465;
    /// POP3 with STLS.
    pub const POP3: u16 = 2110;
    /// POP3 over TLS.
    pub const POP3S: u16 = 2995;
    /// Metrics and health.
    pub const METRICS: u16 = 2080;
}

const START_SECONDS_MAX: Duration = Duration::from_secs(60);

/// Held open by the process that took the address: so that no other test of this machine takes it.
const RESERVATION_PORT: u16 = 2999;

/// A loopback address that no other test of this machine uses now.
pub fn own_address() -> IpAddr {
    static TAKEN: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let first = std::process::id().wrapping_mul(16);
    for number in 0..1000 {
        let number = first.wrapping_add(number) % (100 * 254 * 250);
        let octet = |n: u32| u8::try_from(n).unwrap_or(1);
        let (net, host) = (octet(100 + number / (254 * 250)), octet(1 + number % 250));
        let address = IpAddr::V4(Ipv4Addr::new(127, net, octet(number / 250 % 254), host));
        if let Ok(listener) = TcpListener::bind((address, RESERVATION_PORT)) {
            taken.push(listener);
            return address;
        }
    }
    panic!("no loopback address is free");
}

/// A running `paquebot up`; ended when dropped.
pub struct System {
    /// Its address.
    pub address: IpAddr,
    folder: TempDir,
    process: Child,
}

impl System {
    /// Starts one from this YAML with these process settings (YAML), and waits until it is ready.
    pub fn start(yaml: &str, settings: &str) -> Self {
        Self::start_at(own_address(), yaml, settings)
    }

    /// The same at an address.
    pub fn start_at(address: IpAddr, yaml: &str, settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("paquebot-").tempdir().unwrap();
        fs::create_dir(folder.path().join("yaml")).unwrap();
        fs::write(folder.path().join("yaml/mail.yaml"), yaml).unwrap();
        fs::write(folder.path().join("settings.yaml"), settings).unwrap();
        let process = spawn(&folder, address);
        let mut system = Self { address, folder, process };
        system.wait_until_ready();
        system
    }

    /// Kills it without warning, and starts it again on the same data.
    pub fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(&self.folder, self.address);
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let began = Instant::now();
        while !self.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            if let Some(status) = self.process.try_wait().unwrap() {
                panic!("paquebot up ended with {status}: {}", self.log());
            }
            assert!(began.elapsed() < START_SECONDS_MAX, "not ready: {}", self.log());
            pause();
        }
    }

    /// What it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes the YAML anew: it takes effect without a restart.
    pub fn edit(&self, yaml: &str) {
        fs::write(self.folder.path().join("yaml/mail.yaml"), yaml).unwrap();
    }

    /// One of its sockets.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    /// An HTTP answer of its metrics port, head and body.
    pub fn get(&self, path: &str) -> Option<String> {
        use std::io::Write;
        let mut connection = TcpStream::connect(self.at(port::METRICS)).ok()?;
        connection.set_read_timeout(Some(START_SECONDS_MAX)).ok()?;
        write!(connection, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Runs `paquebot` with these arguments and this system's data directory; gives what it printed.
    pub fn paquebot(&self, arguments: &[&str]) -> String {
        let data = self.data().to_string_lossy().into_owned();
        let mut all = arguments.to_vec();
        all.extend(["--data", &data]);
        let ran = crate::tool::run(&program("paquebot").to_string_lossy(), &all, b"");
        assert_eq!(ran.code, 0, "paquebot {all:?}: {}", ran.text());
        String::from_utf8_lossy(&ran.output).into_owned()
    }

    /// The DNS records that follow from its YAML, with its keys: what the owner of the domains publishes.
    pub fn records(&self) -> String {
        let yaml = self.folder.path().join("yaml").to_string_lossy().into_owned();
        self.paquebot(&["dns", "-f", &yaml])
    }

    /// The generated password of a mailbox.
    pub fn password(&self, mailbox: &str) -> String {
        let passwords = fs::read_to_string(self.data().join("passwords")).unwrap();
        let start = format!("{mailbox}: ");
        let line = passwords.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no password for {mailbox}")).to_owned()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- paquebot up at {}:\n{}", self.address, self.log());
        }
    }
}

fn spawn(folder: &TempDir, address: IpAddr) -> Child {
    let top = folder.path();
    let log = fs::OpenOptions::new().create(true).append(true).open(top.join("log")).unwrap();
    Command::new(program("paquebot"))
        .arg("up")
        .arg("-f")
        .arg(top.join("yaml"))
        .arg("--data")
        .arg(top.join("data"))
        .args(["--address", &address.to_string()])
        .arg("--settings")
        .arg(top.join("settings.yaml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("paquebot cannot be run ({error}): build it with `make test`"))
}
