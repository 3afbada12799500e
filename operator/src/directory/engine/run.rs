//! The loop of an engine: ask, compare where it is due, ask again, report, wait.

use std::sync::Arc;

use paquebot_mta_api::directory::Digest;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{
    Shared,
    ask::{self, Answer},
    due::{self, Compared, Due},
    sync::{self, SyncError, Synced},
};
use crate::directory::{
    client::Client,
    progress::Progress,
    report::{NAMED_MAX, Problem, Report},
    target::Target,
};

pub(super) struct Run {
    shared: Arc<Shared>,
    client: Client,
    targets: watch::Receiver<Target>,
    reports: watch::Sender<Report>,
    report: Report,
    progress: Progress,
    compared: Option<Compared>,
    /// Faults in a row, and until when nothing is compared after them.
    faults: u32,
    not_before: Instant,
    /// Questions since the last write.
    questions: u32,
}

impl Run {
    pub fn new(
        shared: Arc<Shared>,
        client: Client,
        targets: watch::Receiver<Target>,
        reports: watch::Sender<Report>,
    ) -> Self {
        Self {
            shared,
            client,
            targets,
            reports,
            report: Report::default(),
            progress: Progress::default(),
            compared: None,
            faults: 0,
            not_before: Instant::now(),
            questions: 0,
        }
    }

    /// Until the targets end.
    pub async fn forever(mut self) {
        loop {
            let target = self.targets.borrow_and_update().clone();
            let next = self.turn(&target).await;
            tokio::select! {
                () = sleep_until(next) => {}
                changed = self.targets.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.questions = 0;
                    tokio::time::sleep(self.shared.pace.gather).await;
                }
            }
        }
    }

    /// One turn; when the next is due.
    async fn turn(&mut self, target: &Target) -> Instant {
        let mut answers = ask::ask(&self.client, &target.pods).await;
        if self.compare(target, &answers).await {
            self.questions = 0;
            answers = ask::ask(&self.client, &target.pods).await;
        }
        let agree = self.note(target, &answers);
        let wait = due::ask_again(agree, self.questions, &self.shared.pace);
        self.questions = self.questions.saturating_add(1);
        let next = Instant::now() + wait;
        // A comparison that waits for its backoff comes as soon as that is over.
        if self.faults > 0 { next.min(self.not_before.max(Instant::now())) } else { next }
    }

    /// Compares where that is due; whether anything was written.
    async fn compare(&mut self, target: &Target, answers: &[Answer]) -> bool {
        let Some(epoch) = self.shared.leadership.epoch() else {
            self.problem(&SyncError::NotLeading);
            return false;
        };
        let writable = ask::writable(answers);
        // After a fault another pod has its turn: one that answers questions may still take no change.
        let Some(first) = writable.iter().cycle().nth(self.faults as usize % writable.len().max(1)) else {
            self.report.problem = Some(nobody(target, answers));
            return false;
        };
        let answered: Vec<_> = answers.iter().filter_map(|it| Some((&*it.pod.uid, it.state.as_ref().ok()?))).collect();
        if let Some((_, state)) = answered.iter().find(|(_, state)| state.epoch > epoch) {
            self.problem(&SyncError::Fenced { ours: epoch, theirs: state.epoch });
            return false;
        }
        let (pace, now) = (&self.shared.pace, Instant::now());
        let Some(why) = due::due(self.compared.as_ref(), target, epoch, &answered, pace, now) else {
            (self.report.problem, self.faults) = (None, 0);
            return false;
        };
        if now < self.not_before {
            return false;
        }
        let shared = self.shared.clone();
        let Ok(_slot) = shared.comparing.acquire().await else { return false };
        match sync::sync(&shared, &self.client, first.pod.address, target).await {
            Ok(synced) => {
                let pods = answered.iter().map(|(uid, _)| (*uid).to_owned()).collect();
                self.compared = Some(Compared {
                    at: Instant::now(),
                    epoch,
                    root: synced.root,
                    failed: !synced.failed.is_empty(),
                    pods,
                    desired: target.desired.clone(),
                    watches_synced: target.watches_synced,
                    gone: target.gone.clone(),
                    confirmed: target.confirmed,
                });
                self.synced(target, synced, why)
            }
            Err(error) => {
                self.fault(target, &error);
                false
            }
        }
    }

    fn synced(&mut self, target: &Target, synced: Synced, why: Due) -> bool {
        if synced.wrote {
            info!(server = %target.server, revision = synced.revision, ?why, "the directory was brought up to date");
        }
        // A store that is not as it was left, again and again, must not be compared without a pause.
        self.faults = if why == Due::Drift { self.faults.saturating_add(1) } else { 0 };
        self.not_before = Instant::now() + self.pause();
        self.progress.written(synced.root, synced.as_wanted);
        let report = &mut self.report;
        report.compared = true;
        report.complete = synced.complete;
        report.revision = synced.revision;
        report.incomplete = Arc::new(target.desired.incomplete.keys().copied().collect());
        report.holders = Arc::new(synced.holders);
        report.sealed = Arc::new(synced.sealed);
        report.held = synced.held.into_iter().take(NAMED_MAX).collect();
        report.to_confirm = synced.to_confirm;
        report.conflicts = Arc::new(synced.conflicts.into_iter().map(|it| (it.claimant, it)).collect());
        report.failed = Arc::new(synced.failed);
        report.problem = None;
        synced.wrote
    }

    fn fault(&mut self, target: &Target, error: &SyncError) {
        warn!(server = %target.server, %error, "the directory could not be brought up to date");
        self.faults = self.faults.saturating_add(1);
        self.not_before = Instant::now() + self.pause();
        self.problem(error);
    }

    fn pause(&self) -> std::time::Duration {
        if self.faults == 0 {
            return std::time::Duration::ZERO;
        }
        due::backoff(self.faults, &self.shared.pace, rand::random())
    }

    fn problem(&mut self, error: &SyncError) {
        self.report.problem = Some(Problem { reason: error.reason(), message: error.to_string() });
    }

    /// Takes up what the pods said, and reports; whether all serve what they should.
    fn note(&mut self, target: &Target, answers: &[Answer]) -> bool {
        let agree = self.progress.served(&ask::served(answers));
        let root: Option<Digest> = self.progress.root();
        self.report.pods = ask::states(answers, root);
        self.report.programmed = Arc::new(self.progress.programmed(&target.desired));
        let report = &self.report;
        self.reports.send_if_modified(|last| {
            let changed = last != report;
            if changed {
                last.clone_from(report);
            }
            changed
        });
        agree && self.report.problem.is_none()
    }
}

fn nobody(target: &Target, answers: &[Answer]) -> Problem {
    let silent = answers.iter().find_map(|it| it.state.as_ref().err());
    let (reason, message) = match (target.pods.is_empty(), silent) {
        (true, _) => (
            "NoPod",
            "no pod of the MailServer has an address yet: see the MailServer's condition Available".to_owned(),
        ),
        (false, Some(error)) => ("PodUnreachable", error.to_string()),
        (false, None) => {
            ("NoReadyPod", "no pod of the MailServer is ready: see the MailServer's condition Available".to_owned())
        }
    };
    Problem { reason, message }
}
