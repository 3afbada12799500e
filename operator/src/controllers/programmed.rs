//! How far a MailServer's pods have what follows from a resource. Pure.

use kube::Resource;
use uuid::Uuid;

use crate::{
    api::refs::Conditions,
    conditions,
    directory::{Pod, PodState, Report},
    domain::{conditions::Programmed, ids},
};

/// Of which resource it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    uid: Uuid,
    generation: i64,
    /// Its status says so of this generation.
    was: bool,
    /// Not everything that follows from it is known now: what the servers have of it stays.
    stays: bool,
}

impl Subject {
    /// `said`: the conditions of its status. `stays`: not everything that follows from it is known now.
    pub fn of<R: Resource<DynamicType = ()>>(resource: &R, said: &Conditions, stays: bool) -> Self {
        let generation = resource.meta().generation;
        let was = conditions::find(said, "Programmed");
        let was = was.is_some_and(|it| it.status == "True" && it.observed_generation == generation);
        Self { uid: ids::uid(resource), generation: generation.unwrap_or_default(), was, stays }
    }
}

/// As the engine's report has it. `pods`: those of the MailServer.
///
/// What was true of this very generation holds until something says otherwise: nothing flickers when another operator
/// leads, nor while what follows is not known.
pub fn programmed(report: &Report, pods: &[Pod], subject: &Subject) -> Programmed {
    if let Some(why) = report.failed.get(&subject.uid) {
        return Programmed::NotWritten(why.clone());
    }
    let ready: Vec<&Pod> = pods.iter().filter(|it| it.ready).collect();
    let written = |lagging| Programmed::Written { revision: report.revision, pods: ready.len(), lagging };
    if report.programmed.get(&subject.uid).is_some_and(|served| *served >= subject.generation) {
        return written(Vec::new());
    }
    if let Some(problem) = &report.problem {
        return match problem.reason {
            "NoPod" | "NoReadyPod" => Programmed::NotWritten(problem.message.clone()),
            _ => Programmed::Unreachable(problem.message.clone()),
        };
    }
    if !report.compared {
        return match subject.was && !ready.is_empty() {
            true => written(Vec::new()),
            false => Programmed::NotWritten("no pod of the MailServer was asked yet, see its conditions".to_owned()),
        };
    }
    if report.to_confirm > 0 {
        return Programmed::HeldBack(held_back(report.to_confirm));
    }
    if let Some(conflict) = report.conflicts.get(&subject.uid) {
        return Programmed::NotWritten(format!(
            "another resource has {} in the directory: delete one of the two, or give one another name",
            conflict.key
        ));
    }
    let stays = subject.stays || report.incomplete.contains(&subject.uid);
    if stays && !subject.was {
        return Programmed::NotWritten(
            "not everything that follows from it is known yet: see Accepted, here and of its MailDomain".to_owned(),
        );
    }
    let current = |pod: &&&Pod| !matches!(report.pods.get(&pod.uid), Some(PodState::Serves { current: true, .. }));
    let lagging: Vec<String> = ready.iter().filter(current).map(|pod| pod.name.clone()).collect();
    match lagging.is_empty() && !ready.is_empty() && !stays {
        true => Programmed::NotWritten("it follows within seconds".to_owned()),
        false => written(lagging),
    }
}

/// Why deletions wait, and how a person lets them happen.
pub fn held_back(count: usize) -> String {
    format!(
        "{count} entries of the directory belong to no resource that is known, more than ten and more than a \
         tenth of all: nothing of them is deleted; if they are to go, annotate the MailServer with {}={count}",
        super::directories::CONFIRM
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use paquebot_mta_api::directory::Digest;

    use super::*;
    use crate::directory::{Conflict, Problem};

    const OWN: Uuid = Uuid::from_u128(1);

    fn pod(name: &str, ready: bool) -> Pod {
        Pod { uid: name.into(), name: name.into(), address: ([127, 0, 0, 1], 1).into(), ready }
    }

    fn report(served: Option<i64>, current: bool) -> Report {
        let programmed = served.map(|generation| (OWN, generation)).into_iter().collect();
        let state = PodState::Serves { root: Digest::default(), current };
        Report {
            pods: [("a".to_owned(), state)].into(),
            compared: true,
            revision: 7,
            programmed: Arc::new(programmed),
            ..Report::default()
        }
    }

    #[test]
    fn how_far_the_pods_have_it() {
        let new = Subject { uid: OWN, generation: 2, was: false, stays: false };
        let (was, stays) = (Subject { was: true, ..new }, Subject { stays: true, ..new });
        let (one, nobody) = (vec![pod("a", true)], vec![pod("a", false)]);
        let written = |pods, lagging: &[&str]| Programmed::Written {
            revision: 7,
            pods,
            lagging: lagging.iter().map(|it| (*it).to_owned()).collect(),
        };
        let before = Report { compared: false, ..report(None, true) };
        let problem = Problem { reason: "NoReadyPod", message: "none is ready".into() };
        let alone = Report { problem: Some(problem), ..report(None, true) };
        let conflict = Conflict { key: "alias/a@b.example".into(), holder: Uuid::from_u128(2), claimant: OWN };
        let early = Report { incomplete: Arc::new([OWN].into()), ..report(None, true) };
        let taken = Report { conflicts: Arc::new([(OWN, conflict)].into()), ..report(None, true) };
        for (case, report, pods, subject, wanted) in [
            ("served", report(Some(2), true), &one, new, Ok(written(1, &[]))),
            ("an older generation is", report(Some(1), true), &one, new, Err("within seconds")),
            ("written nowhere yet, and all pods are current", report(None, true), &one, new, Err("within seconds")),
            ("the same, whatever was", report(None, true), &one, was, Err("within seconds")),
            ("a pod lags", report(None, false), &one, new, Ok(written(1, &["a"]))),
            ("no pod is ready", report(None, true), &nobody, new, Ok(written(0, &[]))),
            ("another leader", before.clone(), &one, was, Ok(written(1, &[]))),
            ("another leader, and an edit", before.clone(), &one, new, Err("was asked yet")),
            ("another leader, no pod", before, &nobody, was, Err("was asked yet")),
            ("nobody to write to", alone, &one, was, Err("none is ready")),
            ("held by another", taken, &one, new, Err("alias/a@b.example")),
            ("not known as a whole", report(None, true), &one, stays, Err("see Accepted")),
            ("the same, and it was", report(None, true), &one, Subject { was: true, ..stays }, Ok(written(1, &[]))),
            ("it was not known when the directory was compared", early, &one, was, Ok(written(1, &[]))),
        ] {
            match (programmed(&report, pods, &subject), wanted) {
                (found, Ok(wanted)) => assert_eq!(found, wanted, "{case}"),
                (Programmed::NotWritten(why), Err(part)) => assert!(why.contains(part), "{case}: {why}"),
                (found, Err(_)) => panic!("{case}: {found:?}"),
            }
        }
    }
}
