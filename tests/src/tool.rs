//! The peers' command lines. A tool that is missing fails the test: `make setup` installs it.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// What a tool printed, and its exit status.
#[derive(Debug)]
pub struct Ran {
    /// Exit status.
    pub code: i32,
    /// Standard output, then standard error.
    pub text: String,
}

/// Runs a tool with this standard input; Debian's daemons lie in /usr/sbin.
pub fn run(tool: &str, arguments: &[&str], input: &[u8]) -> Ran {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut child = Command::new(tool)
        .args(arguments)
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool} cannot be run ({error}): `make setup` installs it"));
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that refuses at once closes its input: that is its answer.
        let _ = stdin.write_all(input);
    }
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    Ran { code: status.code().unwrap_or(-1), text }
}

/// Runs a tool that must succeed; gives what it printed.
pub fn must(tool: &str, arguments: &[&str], input: &[u8]) -> String {
    let ran = run(tool, arguments, input);
    assert_eq!(ran.code, 0, "{tool} {arguments:?}: {}", ran.text);
    ran.text
}
