//! A program that hands in mail without end, each message until it is accepted, as a real client does.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use paquebot_tests::cluster::{Cluster, Place, Process, wait_until};
use tempfile::TempDir;

use crate::world::User;

/// Mail that flows; ended when dropped.
pub struct Flow {
    process: Process,
    stop: PathBuf,
    _folder: TempDir,
}

impl Flow {
    /// From somebody to a mailbox; an attempt may take so long.
    pub fn start(cluster: &Cluster, from: &User<'_>, to: &str, patience: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (stop, log) = (folder.path().join("stop"), folder.path().join("log"));
        let mut words = from.python("flow.py");
        words.extend([to.to_owned(), stop.display().to_string(), patience.as_secs().to_string()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let process = cluster.spawn(Place::Client, "/usr/bin/python3", &words, &[], &log);
        Self { process, stop, _folder: folder }
    }

    /// The numbers that were accepted so far.
    pub fn accepted(&self) -> BTreeSet<usize> {
        self.lines("ok ").filter_map(|line| line.parse().ok()).collect()
    }

    /// What failed so far, each attempt.
    pub fn failed(&self) -> Vec<String> {
        self.lines("again ").collect()
    }

    fn lines<'a>(&self, begin: &'a str) -> impl Iterator<Item = String> + use<'a> {
        let log = self.process.log();
        let lines: Vec<String> = log.lines().filter_map(|line| line.strip_prefix(begin)).map(str::to_owned).collect();
        lines.into_iter()
    }

    /// Waits until so many more were accepted.
    pub fn wait_more(&mut self, count: usize) {
        let wanted = self.accepted().len() + count;
        wait_until(&format!("{count} more messages are accepted"), || {
            assert!(self.process.runs(), "it ended: {}", self.process.log());
            self.accepted().len() >= wanted
        });
    }

    /// Ends it in order; gives all that were accepted.
    pub fn end(&mut self) -> BTreeSet<usize> {
        std::fs::write(&self.stop, "").unwrap();
        wait_until("the last message is accepted", || !self.process.runs());
        self.accepted()
    }
}

/// The numbers of the messages in a mailbox.
pub fn arrived(cluster: &Cluster, user: &User<'_>) -> Option<Vec<usize>> {
    let words = user.python("mailbox.py");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = cluster.exec(Place::Client, "/usr/bin/python3", &words, b"");
    let numbers = |text: String| text.lines().filter_map(|line| line.strip_prefix("number ")?.parse().ok()).collect();
    (ran.code == 0).then(|| numbers(ran.text()))
}
