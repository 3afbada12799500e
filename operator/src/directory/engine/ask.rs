//! Asks all pods what they serve.

use std::collections::BTreeMap;

use futures::StreamExt;
use paquebot_mta_api::{admin::DirectoryState, directory::Digest};

use crate::directory::{
    client::{Client, ClientError},
    report::PodState,
    target::Pod,
};

/// Pods that are asked at once.
const ASKED_AT_ONCE: usize = 16;
/// Pods that are asked at most: a Deployment of more is none of ours.
pub(super) const PODS_MAX: usize = 1000;

/// What a pod said.
pub(super) struct Answer {
    pub pod: Pod,
    pub state: Result<DirectoryState, ClientError>,
}

/// Each pod's answer, in the order in which they are written to: ready ones first.
pub(super) async fn ask(client: &Client, pods: &[Pod]) -> Vec<Answer> {
    let one = |pod: Pod| async move {
        let state = match client.open(pod.address).await {
            Ok(mut connection) => connection.state().await,
            Err(error) => Err(error),
        };
        Answer { pod, state }
    };
    let pods: Vec<Pod> = pods.iter().take(PODS_MAX).cloned().collect();
    let mut answers: Vec<Answer> = futures::stream::iter(pods).map(one).buffer_unordered(ASKED_AT_ONCE).collect().await;
    answers.sort_by(|a, b| (!a.pod.ready, &a.pod.uid).cmp(&(!b.pod.ready, &b.pod.uid)));
    answers
}

/// The pods that may be written to: ready ones, or running ones where no complete directory was ever there.
pub(super) fn writable(answers: &[Answer]) -> Vec<&Answer> {
    let may = |it: &&Answer| it.state.as_ref().is_ok_and(|state| it.pod.ready || !state.complete);
    answers.iter().filter(may).collect()
}

/// What the ready pods serve.
pub(super) fn served(answers: &[Answer]) -> Vec<Option<Digest>> {
    let ready = answers.iter().filter(|it| it.pod.ready);
    ready.map(|it| it.state.as_ref().ok().map(|state| state.served_root)).collect()
}

/// For the report.
pub(super) fn states(answers: &[Answer], root: Option<Digest>) -> BTreeMap<String, PodState> {
    let state = |it: &Answer| match &it.state {
        Ok(state) => PodState::Serves { root: state.served_root, current: Some(state.served_root) == root },
        Err(error) => PodState::Silent(error.to_string()),
    };
    answers.iter().map(|it| (it.pod.uid.clone(), state(it))).collect()
}
