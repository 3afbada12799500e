//! The invariants of docs/architecture.md that can be read off the source.
//! The others are held by the tests that the page names.

use std::{fs, path::Path};

use paquebot_tests::repository;

/// A source file: path from the repository's top, text without its test module.
struct Source {
    path: String,
    text: String,
}

/// All `.rs` files under a folder, their `#[cfg(test)]` modules cut off; of a file of tests only the head is left.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&repository().join(folder), &mut found);
    assert!(!found.is_empty(), "no source under {folder}: was it moved?");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("tests.rs")) {
                text = text.lines().take_while(|line| line.starts_with("//!")).collect();
            }
            let path = path.strip_prefix(repository()).unwrap().to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}

/// Lines that contain one of the words, comments aside, as `path:line: text`.
fn lines_with(sources: &[Source], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    found
}

fn none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn proto_does_no_io_and_reads_no_clock() {
    let words =
        ["tokio", "std::net", "std::fs", "std::io", "std::thread", "std::env", "::now()", "rand::", "SystemTime"];
    none(lines_with(&sources("mta/proto/src"), &words), "proto is pure: bytes and values only");
}

#[test]
fn proto_depends_on_no_runtime() {
    let manifest = fs::read_to_string(repository().join("mta/proto/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let allowed = ["aws-lc-rs", "base64", "memchr", "thiserror"];
    for line in dependencies.lines().filter(|line| !line.trim().is_empty()) {
        let name = line.split(['.', ' ', '=']).next().unwrap();
        assert!(allowed.contains(&name), "proto gained the dependency {name}");
    }
}

#[test]
fn operator_knows_the_mta_only_through_its_api() {
    let mut all = sources("operator/src");
    all.retain(|source| !source.path.starts_with("operator/src/local"));
    none(lines_with(&all, &["paquebot_mta::"]), "only operator/src/local links the MTA itself");
}

#[test]
fn mta_knows_nothing_of_the_operator() {
    let manifest = fs::read_to_string(repository().join("mta/Cargo.toml")).unwrap();
    for word in ["kube", "k8s-openapi", "schemars", "paquebot.workspace"] {
        assert!(!manifest.contains(word), "mta depends on {word}");
    }
}

/// The files that decide. Values in, values out.
const DECISIONS: &[&str] = &[
    "mta/src/queue/schedule.rs",
    "mta/src/queue/route.rs",
    "mta/src/queue/outcome.rs",
    "mta/src/queue/dsn.rs",
    "mta/src/verify/policy.rs",
    "mta/src/smtp/recipient.rs",
    "mta/src/smtp/submission.rs",
    "mta/src/directory.rs",
    "operator/src/domain",
    "operator/src/server",
    "operator/src/mailbox",
];

#[test]
fn decisions_are_pure() {
    let words = [
        ".await",
        "async fn",
        "tokio::",
        "std::fs",
        " fs::",
        "std::net::Tcp",
        "Instant::now",
        "Micros::now",
        "SystemTime",
    ];
    for decision in DECISIONS {
        let path = repository().join(decision);
        assert!(path.exists(), "{decision} was moved: say where decisions are made now");
        let mut found = Vec::new();
        if path.is_dir() {
            collect(&path, &mut found);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            found.push(Source { path: (*decision).to_owned(), text });
        }
        none(lines_with(&found, &words), "decisions take values (with `now`) and return values");
    }
}

#[test]
fn mail_sockets_are_opened_in_net() {
    let mut all = sources("mta/src");
    all.retain(|source| !source.path.starts_with("mta/src/net") && !source.path.starts_with("mta/src/admin"));
    none(lines_with(&all, &["TcpStream::connect", "TcpSocket::new", "TcpListener::bind"]), "sockets are net's");
}

#[test]
fn sql_stays_in_sql_files() {
    let words = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "\"CREATE "];
    none(lines_with(&sources("mta/src"), &words), "SQL lies in .sql files");
}

#[test]
fn nothing_is_called_auth() {
    let mut all = sources("mta");
    all.extend(sources("operator/src"));
    let words = ["mod auth", "struct Auth", "enum Auth", "fn auth", "trait Auth"];
    let mut found = lines_with(&all, &words);
    found.retain(|line| {
        !line.contains("Authenticat")
            && !line.contains("authenticat")
            && !line.contains("fn author")
            && !line.contains("mod author")
            && !line.contains("struct Author")
    });
    none(found, "say sasl, login, verify or sign");
}

#[test]
fn files_stay_readable() {
    for folder in ["mta", "operator/src", "tests"] {
        for source in sources(folder) {
            let lines = fs::read_to_string(repository().join(&source.path)).unwrap().lines().count();
            assert!(lines <= 500, "{} has {lines} lines: a file does one thing", source.path);
            assert!(source.text.starts_with("//!"), "{} does not say what it does", source.path);
        }
    }
}

#[test]
fn nothing_is_left_open() {
    for folder in ["mta", "operator/src"] {
        none(lines_with(&sources(folder), &["todo!(", "unimplemented!(", "#[ignore"]), "nothing is left open");
    }
}
