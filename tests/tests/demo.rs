//! The demo: six cases, each as it must be; nothing left behind.

use std::process::{Command, Stdio};

use paquebot_tests::{cluster::wait_until, program};

#[test]
fn all_cases_end_as_they_must() {
    let temporary = tempfile::tempdir().unwrap();
    let output = Command::new(program("paquebot"))
        .arg("demo")
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    for number in 1..=6 {
        assert!(said.contains(&format!("\n{number}. ")) || said.starts_with("1. "), "case {number}: {said}");
    }
    assert!(!said.contains("WRONG"), "{said}");
    for actor in ["  MUA  ", "  MTA  ", "  MDA  ", "  MRA  "] {
        assert!(said.contains(actor), "{actor}: {said}");
    }
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "files are left behind");
}

#[test]
fn interrupted_it_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = Command::new(program("paquebot"))
        .arg("demo")
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("it begins", || {
        assert!(demo.try_wait().unwrap().is_none(), "it ended");
        std::fs::read_dir(temporary.path()).unwrap().count() > 0
    });
    assert!(Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap().success());
    assert_eq!(demo.wait().unwrap().code(), Some(1));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "files are left behind");
    let children = Command::new("pgrep").arg("-f").arg(temporary.path()).output().unwrap();
    assert!(children.stdout.is_empty(), "processes are left behind");
}

#[test]
fn things_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "x").unwrap();
    let output = Command::new(program("paquebot")).args(["demo", "--keep"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--keep"), "{output:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
