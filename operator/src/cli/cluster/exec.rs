//! Runs our own program in the pods of mail servers, and gives what it printed.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::AttachParams, client::UpgradeConnectionError};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncReadExt, copy, sink},
    time::timeout,
};

use super::Cluster;
use crate::cli::{journey::plain, output::Failure};

/// The program in the image.
const PROGRAM: &str = "/paquebot";
/// The admin socket in a pod.
pub const SOCKET: &str = "/run/paquebot/admin.sock";
/// The container that serves.
const CONTAINER: &str = "mta";
/// Octets of an answer at most.
const ANSWER_OCTETS_MAX: u64 = 16 * 1024 * 1024;
/// The same of what a program says of a failure.
const ERROR_OCTETS_MAX: u64 = 64 * 1024;
/// Characters of that which are shown.
const ERROR_SHOWN_MAX: usize = 300;
/// Octets of all answers together that are kept; those under way may add theirs.
const ANSWERS_OCTETS_MAX: u64 = 64 * 1024 * 1024;
/// Failures that are listed; the rest is counted.
const FAILURES_SHOWN_MAX: usize = 20;
/// How long an answer may take.
const ANSWER_SECONDS: Duration = Duration::from_secs(20);

/// MailServers that are asked at the same time.
const ASKED_AT_ONCE: usize = 8;

/// What one MailServer answered.
pub struct Answer<T> {
    /// namespace/name.
    pub server: String,
    /// What it said.
    pub value: T,
}

/// What all of them answered.
pub struct Answers<T> {
    /// One for each that knows something of what was asked.
    pub known: Vec<Answer<T>>,
    /// Those that could not be asked, by name: why, and what to do.
    pub failures: Vec<String>,
    /// MailServers in all.
    pub servers: usize,
}

impl<T> Answers<T> {
    /// What to fail with after the answers were shown; `Ok`: everybody answered.
    ///
    /// # Errors
    /// Somebody did not.
    pub fn complete(&self) -> Result<(), Failure> {
        match (self.failures.as_slice(), self.servers) {
            ([], _) => Ok(()),
            ([only], 1) => Err(Failure::Failed(only.clone())),
            (failures, servers) if failures.len() == servers => {
                Err(Failure::Failed(format!("none of {servers} MailServers answered:\n{}", listed(failures))))
            }
            (failures, servers) => Err(Failure::Partial(format!(
                "{} of {servers} MailServers did not answer; what the others said is not all:\n{}",
                failures.len(),
                listed(failures)
            ))),
        }
    }
}

fn listed(failures: &[String]) -> String {
    let mut lines: Vec<String> = failures.iter().take(FAILURES_SHOWN_MAX).map(|it| format!("- {it}")).collect();
    match failures.len().saturating_sub(FAILURES_SHOWN_MAX) {
        0 => {}
        more => lines.push(format!("- and {more} more")),
    }
    lines.join("\n")
}

impl Cluster {
    /// Asks each MailServer through one of its ready pods: `paquebot ARGUMENTS` in it. A server that knows nothing of
    /// what was asked is left out.
    ///
    /// # Errors
    /// There is no server at all, or the cluster is not reached.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        server: Option<&str>,
        arguments: &[&str],
    ) -> Result<Answers<T>, Failure> {
        let targets = self.survey(server).await?;
        if targets.is_empty() {
            let place = self.namespace.as_deref().map_or_else(
                || " in the cluster".to_owned(),
                |it| format!(" in namespace {it} (-n names another, -A all)"),
            );
            let what = server.map_or_else(|| "no MailServer".to_owned(), |it| format!("no MailServer {it}"));
            return Err(Failure::Failed(format!("there is {what}{place}: look at `paquebot status`")));
        }
        let servers = targets.len();
        let room = &AtomicU64::new(ANSWERS_OCTETS_MAX);
        let asked = targets.into_iter().map(|target| async move {
            let answer = match target.pod {
                Ok(_) if room.load(Ordering::Relaxed) == 0 => {
                    Err("the others' answers are all that is kept at once: name it with --server and -n".to_owned())
                }
                Ok(pod) => self.run(&pod, arguments, room).await,
                Err(why) => Err(why),
            };
            (target.server, answer)
        });
        let mut all = stream::iter(asked).buffered(ASKED_AT_ONCE);
        let mut answers = Answers { known: Vec::new(), failures: Vec::new(), servers };
        while let Some((server, answer)) = all.next().await {
            match answer {
                Ok(Some(value)) => answers.known.push(Answer { server, value }),
                Ok(None) => {}
                Err(why) => answers.failures.push(format!("MailServer {server}: {why}")),
            }
        }
        Ok(answers)
    }

    /// `room`: octets of answers that may still be kept.
    async fn run<T: DeserializeOwned>(
        &self,
        pod: &Pod,
        arguments: &[&str],
        room: &AtomicU64,
    ) -> Result<Option<T>, String> {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        let always = [PROGRAM, "--output", "json"];
        let command: Vec<&str> = always.iter().chain(arguments).copied().collect();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let params = AttachParams::default().container(CONTAINER).stdout(true).stderr(true).stdin(false);
        let asked = timeout(ANSWER_SECONDS, async {
            let mut process = api.exec(&name, command, &params).await.map_err(|error| said(&error))?;
            let (stdout, stderr) = (process.stdout(), process.stderr());
            let (output, error) = tokio::join!(taken(stdout, ANSWER_OCTETS_MAX), taken(stderr, ERROR_OCTETS_MAX));
            let status = match process.take_status() {
                Some(status) => status.await,
                None => None,
            };
            let ok = status.is_some_and(|it| it.status.as_deref() == Some("Success"));
            Ok((ok, output, String::from_utf8_lossy(&error).into_owned()))
        });
        match asked.await {
            Err(_) => Err("it did not answer in time, try again".to_owned()),
            Ok(Err(failure)) => Err(failure),
            Ok(Ok((true, output, _))) => {
                let taken = u64::try_from(output.len()).unwrap_or(u64::MAX);
                let _ = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| Some(it.saturating_sub(taken)));
                let read = serde_json::from_slice(&output);
                read.map(Some).map_err(|error| one_line(&format!("its answer is none of this version's ({error})")))
            }
            Ok(Ok((false, _, error))) if error.contains("no message ") => Ok(None),
            Ok(Ok((false, _, error))) => Err(one_line(&error)),
        }
    }
}

/// A pod's words as one line: what it says forges no line of ours.
fn one_line(said: &str) -> String {
    plain(said.trim()).chars().take(ERROR_SHOWN_MAX).collect()
}

/// The first octets; the rest is read and dropped, so that the other stream does not wait for it.
async fn taken(stream: Option<impl AsyncRead + Unpin>, octets_max: u64) -> Vec<u8> {
    let mut octets = Vec::new();
    if let Some(mut stream) = stream {
        // What a broken connection leaves out shows in the answer, which then cannot be read.
        let _ = (&mut stream).take(octets_max).read_to_end(&mut octets).await;
        let _ = copy(&mut stream, &mut sink()).await;
    }
    octets
}

/// What keeps us from asking. Before a connection is upgraded, the API server's own words are not to be had.
fn said(error: &kube::Error) -> String {
    let code = match error {
        kube::Error::Api(status) => status.code,
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => status.as_u16(),
        _ => 0,
    };
    match code {
        403 => "you may not: ask whoever grants rights for create (and get) on pods/exec in this namespace".to_owned(),
        404 => "it is gone: try again".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn what_is_missing_is_not_overlooked() {
        let answers = |failures: usize, servers| {
            let failures = (0..failures).map(|it| format!("MailServer mail/s{it}: why")).collect();
            Answers::<()> { known: Vec::new(), failures, servers }.complete()
        };
        assert!(answers(0, 2).is_ok());
        for (failures, servers, code, said) in [
            (1, 1, 1, "paquebot: MailServer mail/s0: why"),
            (2, 2, 1, "none of 2 MailServers answered:\n- MailServer mail/s0: why\n- MailServer mail/s1: why"),
            (1, 3, 3, "1 of 3 MailServers did not answer"),
            (40, 50, 3, "- and 20 more"),
        ] {
            let failure = answers(failures, servers).unwrap_err();
            assert_eq!(failure.exit_code(), code);
            assert!(failure.to_string().contains(said), "{failure}");
        }
    }

    #[test]
    fn a_pods_words_are_one_short_line() {
        assert_eq!(one_line(" the store is full\n"), "the store is full");
        let forged = one_line(&format!("no\n- MailServer bank/main: pay\x1b[2J{}", "x".repeat(1000)));
        assert!(!forged.chars().any(char::is_control), "{forged:?}");
        assert_eq!(forged.chars().count(), ERROR_SHOWN_MAX);
    }

    #[tokio::test]
    async fn what_is_too_long_is_cut_and_nobody_waits() {
        let (mut ours, theirs) = tokio::io::duplex(16);
        let written = tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut ours, &[7; 1000]).await });
        assert_eq!(taken(Some(theirs), 100).await, [7; 100]);
        written.await.unwrap().unwrap();
    }

    #[test]
    fn who_may_not_is_told_what_to_ask_for() {
        let refused = |status| kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status));
        assert!(said(&refused(StatusCode::FORBIDDEN)).contains("pods/exec"));
        assert!(said(&refused(StatusCode::NOT_FOUND)).contains("try again"));
        assert!(said(&refused(StatusCode::BAD_GATEWAY)).contains("502"));
    }
}
