//! An instance of Debian's Postfix with folders, address and port of its own. Needs root, as Postfix does.

use std::{
    fs,
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{pause, tool};

/// Where it listens for SMTP.
pub const PORT: u16 = 2525;
/// The maildir of everybody who is neither carol nor dave.
pub const REST: &str = "rest";
const WAIT_SECONDS_MAX: Duration = Duration::from_secs(60);
const ROUNDS: u32 = 6;

/// A running instance; stopped when dropped.
pub struct Postfix {
    folder: TempDir,
    /// Its address.
    pub address: IpAddr,
}

impl Postfix {
    /// Starts one with these lines in `main.cf`. It takes mail for `domains` into [`Postfix::mails`].
    pub fn start(address: IpAddr, domains: &[&str], main: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("postfix-").tempdir().unwrap();
        let top = folder.path();
        for name in ["etc", "spool", "lib", "mail"] {
            fs::create_dir(top.join(name)).unwrap();
        }
        tool::must("chmod", &["755", &text(top)], b"");
        tool::must("chown", &["postfix", &text(&top.join("lib")), &text(&top.join("mail"))], b"");
        fs::write(top.join("etc/main.cf"), main_cf(top, address, domains, main)).unwrap();
        fs::write(top.join("etc/master.cf"), master_cf(address)).unwrap();
        fs::write(top.join("etc/mailboxes"), mailboxes(domains)).unwrap();
        let postfix = Self { folder, address };
        postfix.command("start");
        postfix.wait_for_port();
        postfix
    }

    fn command(&self, verb: &str) {
        tool::must("postfix", &["-c", &text(&self.folder.path().join("etc")), verb], b"");
    }

    fn wait_for_port(&self) {
        self.until("it listens", &|| TcpStream::connect(SocketAddr::new(self.address, PORT)).is_ok());
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// How often a line of its log has this text.
    pub fn logged(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until this holds.
    pub fn until(&self, what: &str, holds: &dyn Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < WAIT_SECONDS_MAX, "never: {what}: {}", self.log());
            pause();
        }
    }

    /// Waits until as many lines of its log have this text.
    pub fn wait_for_log(&self, text: &str, count: usize) {
        self.until(text, &|| self.logged(text) >= count);
    }

    /// Waits until it has handed over as many messages. Its queue manager forgets a message that it meets while the
    /// delivery agent still has it ("skipped, still being delivered") until it is told to read its queue again, and to
    /// forget when it meant to try.
    pub fn wait_until_sent(&self, count: usize) {
        let sent = || self.logged("status=sent") >= count;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            while began.elapsed() < WAIT_SECONDS_MAX / ROUNDS {
                if sent() {
                    return;
                }
                pause();
            }
            self.command("reload");
            self.command("flush");
        }
        panic!("{} of {count} sent: {}", self.logged("status=sent"), self.log());
    }

    /// Ends it at once, sessions and all.
    pub fn abort(&self) {
        self.command("abort");
    }

    /// Starts it again after [`Postfix::abort`].
    pub fn start_again(&self) {
        self.command("start");
        self.wait_for_port();
    }

    /// Hands a message to its queue, as a local program would.
    pub fn send(&self, from: &str, to: &str, message: &str) {
        let config = text(&self.folder.path().join("etc"));
        tool::must("sendmail", &["-C", &config, "-i", "-f", from, to], message.as_bytes());
    }

    /// The messages in a user's maildir, when there are as many.
    pub fn mails(&self, user: &str, count: usize) -> Vec<Vec<u8>> {
        let new = self.folder.path().join("mail").join(user).join("new");
        let began = Instant::now();
        loop {
            let files: Vec<PathBuf> =
                fs::read_dir(&new).map(|all| all.flatten().map(|file| file.path()).collect()).unwrap_or_default();
            if files.len() >= count {
                return files.iter().map(|file| fs::read(file).unwrap()).collect();
            }
            assert!(began.elapsed() < WAIT_SECONDS_MAX, "{user} has {} of {count} mails: {}", files.len(), self.log());
            pause();
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- Postfix at {}:\n{}", self.address, self.log());
        }
        tool::run("postfix", &["-c", &text(&self.folder.path().join("etc")), "stop"], b"");
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Carol and dave have a maildir each, all others [`REST`].
fn mailboxes(domains: &[&str]) -> String {
    let of = |domain: &&str| format!("carol@{domain} carol/\ndave@{domain} dave/\n@{domain} {REST}/\n");
    domains.iter().map(of).collect()
}

fn main_cf(top: &Path, address: IpAddr, domains: &[&str], more: &str) -> String {
    let user = tool::must("id", &["-u", "postfix"], b"").trim().to_owned();
    let group = tool::must("id", &["-g", "postfix"], b"").trim().to_owned();
    let top = text(top);
    format!(
        "compatibility_level = 3.6\n\
         queue_directory = {top}/spool\n\
         data_directory = {top}/lib\n\
         maillog_file = {top}/log\n\
         maillog_file_prefixes = /\n\
         myhostname = postfix.{}\n\
         mydestination =\n\
         inet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\n\
         smtp_bind_address = {address}\n\
         mynetworks = {address}/32\n\
         alias_maps =\n\
         alias_database =\n\
         virtual_mailbox_domains = {}\n\
         virtual_mailbox_base = {top}/mail\n\
         virtual_mailbox_maps = texthash:{top}/etc/mailboxes\n\
         virtual_uid_maps = static:{user}\n\
         virtual_gid_maps = static:{group}\n\
         virtual_minimum_uid = 1\n\
         {more}\n",
        domains.first().unwrap_or(&"example"),
        domains.join(", "),
    )
}

/// Debian's services, none in a chroot; SMTP at our address, clients from it.
fn master_cf(address: IpAddr) -> String {
    let path = ["/etc/postfix/master.cf.proto", "/usr/share/postfix/master.cf.dist"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or_else(|| panic!("Postfix is not installed: `make setup` installs it"));
    let mut lines = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let service = words.len() >= 8 && !line.starts_with(['#', ' ', '\t']);
        if !service {
            lines.push(line.to_owned());
            continue;
        }
        let listener = format!("{address}:{PORT}");
        if words[0] == "smtp" && words[1] == "inet" {
            words[0] = &listener;
        }
        words[4] = "n";
        lines.push(words.join(" "));
    }
    lines.join("\n") + "\n"
}
