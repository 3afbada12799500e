//! The peers' command lines. A tool that is missing fails the test: `make setup` installs it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

/// Seconds that a conversation may take.
const CONVERSATION_SECONDS_MAX: &str = "120";

/// What a tool printed, and its exit status.
#[derive(Debug)]
pub struct Ran {
    /// Exit status.
    pub code: i32,
    /// Standard output.
    pub output: Vec<u8>,
    /// Standard error.
    pub error: Vec<u8>,
}

impl Ran {
    /// Standard output, then standard error.
    pub fn text(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.output), String::from_utf8_lossy(&self.error))
    }
}

fn command(tool: &str, arguments: &[&str]) -> Command {
    // Debian's daemons lie in /usr/sbin.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(tool);
    command.args(arguments).env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn spawn(tool: &str, command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| panic!("{tool} cannot be run ({error}): `make setup` installs it"))
}

/// Runs a tool with this standard input.
pub fn run(tool: &str, arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = spawn(tool, command(tool, arguments).stderr(Stdio::piped()));
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that refuses at once closes its input: that is its answer.
        let _ = stdin.write_all(input);
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Ran { code: status.code().unwrap_or(-1), output: stdout, error: stderr }
}

/// Runs a tool that must succeed; gives what it printed.
pub fn must(tool: &str, arguments: &[&str], input: &[u8]) -> String {
    let ran = run(tool, arguments, input);
    assert_eq!(ran.code, 0, "{tool} {arguments:?}: {}", ran.text());
    ran.text()
}

/// A conversation line by line with a server, through a tool that carries it: `openssl s_client`.
pub struct Conversation {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Conversation {
    /// TLS to `server` by OpenSSL, with these arguments of `s_client` more.
    pub fn tls(server: &str, arguments: &[&str]) -> Self {
        let always = [CONVERSATION_SECONDS_MAX, "openssl", "s_client", "-quiet", "-crlf", "-connect", server];
        let mut child = spawn("openssl", command("timeout", &[&always[..], arguments].concat()).stderr(Stdio::null()));
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// The next line; empty where the conversation ended.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.output.read_until(b'\n', &mut line).unwrap();
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Says a line; gives the next one that comes.
    pub fn say(&mut self, line: &str) -> String {
        // Where the server has closed, the answer is empty.
        let _ = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
        self.line()
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // Not SIGKILL: `timeout` hands this one on to the tool.
        run("kill", &["-TERM", &self.child.id().to_string()], b"");
        let _ = self.child.wait();
    }
}
