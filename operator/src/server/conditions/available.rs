//! `Available`: whether pods serve, and what they wait for.

use super::{Observed, VolumeState};
use crate::{
    api::MailServer,
    conditions::Finding,
    server::observed::{PodState, Waiting, Workload},
};

const KIND: &str = "Available";
/// Names of a list that a message shows.
const SHOWN_MAX: usize = 5;

/// Whether the server serves.
pub fn finding(server: &MailServer, observed: &Observed, accepted: bool) -> Finding {
    let workload = observed.workload.unwrap_or_default();
    if workload.ready > 0 && workload.ready >= workload.wanted {
        return serves(workload, observed);
    }
    if workload.ready > 0 {
        let why = observed.pods.iter().find_map(waits).map_or_else(String::new, |(_, why)| format!(": {why}"));
        let message = format!("{} of {} pods serve{why}", workload.ready, workload.wanted);
        return Finding::yes(KIND, "SomePodsServe", message);
    }
    if !accepted {
        return Finding::no(KIND, "NotAccepted", "nothing runs before the spec is accepted: see Accepted");
    }
    if server.spec.replicas == 0 {
        return Finding::no(KIND, "ScaledToZero", "no pod is wanted: set spec.replicas to 1 or more");
    }
    if observed.hostname.is_none() {
        let message = "it has no host name yet: make a MailDomain that refers to it, or set spec.hostname";
        return Finding::no(KIND, "NoHostname", message);
    }
    if let Some(finding) = volume(observed) {
        return finding;
    }
    match (observed.pods.iter().find_map(waits), &observed.pods_refused) {
        (Some((reason, message)), _) => Finding::no(KIND, reason, message),
        (None, Some(why)) => {
            let advice = "mend what it names, in the cluster or in spec.pod";
            Finding::no(KIND, "PodsRefused", format!("its pods cannot be made ({}): {advice}", trimmed(why)))
        }
        (None, None) => Finding::no(KIND, "Starting", "its pods are being made: wait a moment"),
    }
}

fn serves(workload: Workload, observed: &Observed) -> Finding {
    let pods = if workload.ready == 1 { "1 pod serves".to_owned() } else { format!("{} pods serve", workload.ready) };
    let message = match &observed.waits_for_image {
        Some(image) => format!("{pods}; the image {image} follows when the server that is being upgraded is available"),
        None => pods,
    };
    Finding::yes(KIND, "Available", message)
}

fn volume(observed: &Observed) -> Option<Finding> {
    let named = "spec: {store: {sqlite: {volume: {storageClassName: NAME}}}}";
    let (reason, message) = match &observed.volume {
        VolumeState::Fine | VolumeState::Refused(_) => return None,
        VolumeState::NoDefaultClass { classes } if classes.is_empty() => {
            let message = "the cluster has no StorageClass, so that there is no volume for the mail: install a provisioner of volumes";
            ("NoStorageClass", message.to_owned())
        }
        VolumeState::NoDefaultClass { classes } => {
            let message = format!("no StorageClass is the default: write {named} with one of {}", list(classes));
            ("NoDefaultStorageClass", message)
        }
        VolumeState::NoSuchClass { class, classes } if classes.is_empty() => {
            ("StorageClassMissing", format!("there is no StorageClass {class}: make it, the cluster has none at all"))
        }
        VolumeState::NoSuchClass { class, classes } => {
            let message = format!(
                "there is no StorageClass {class}: make it; the cluster has {}, but the class of a volume cannot be \
                 changed, so for one of them make another MailServer",
                list(classes)
            );
            ("StorageClassMissing", message)
        }
        VolumeState::Pending { claim, why } => {
            let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            let advice = format!("kubectl describe persistentvolumeclaim {claim} says more");
            ("VolumePending", format!("its volume is not there yet{why}: {advice}"))
        }
        VolumeState::Lost { claim } => {
            let message = format!(
                "the volume of the claim {claim} is gone, and the mail with it: bring the PersistentVolume back, or \
                 delete the claim and begin with an empty one"
            );
            ("VolumeLost", message)
        }
    };
    Some(Finding::no(KIND, reason, message))
}

/// The reason and what to do.
fn waits(pod: &PodState) -> Option<(&'static str, String)> {
    let name = &pod.name;
    Some(match pod.waiting.as_ref()? {
        Waiting::Unschedulable(why) => {
            let advice = "give the cluster a node that fits, or ask for less in spec.pod";
            ("Unschedulable", format!("no node takes the pod {name} ({}): {advice}", trimmed(why)))
        }
        Waiting::Image(image, why) => {
            let advice = "mend the image's name, or name the registry's Secret in spec.pod.imagePullSecrets";
            ("ImageNotPulled", format!("the image {image} does not come ({}): {advice}", trimmed(why)))
        }
        Waiting::Crashes(how) => {
            let message = format!("the pod {name} does not stay up, {how}: kubectl logs --previous {name} says why");
            ("PodCrashes", message)
        }
        Waiting::Config(why) => {
            let advice = format!("kubectl describe pod {name} says what is missing");
            ("PodCannotStart", format!("the pod {name} cannot be started ({}): {advice}", trimmed(why)))
        }
        Waiting::Starts => {
            let advice = format!("if it takes longer than a minute, kubectl describe pod {name} says why");
            ("Starting", format!("the pod {name} is being started: {advice}"))
        }
        Waiting::NotReady => {
            let advice = format!("if it takes longer than a minute, kubectl logs {name} says why");
            ("NotReady", format!("the pod {name} runs and waits for its directory of domains and mailboxes: {advice}"))
        }
    })
}

fn list(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN_MAX).map(String::as_str).collect();
    let more = if names.len() > SHOWN_MAX { " …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Others' words end with a point, which would stand before our colon.
fn trimmed(words: &str) -> &str {
    let words = words.trim().trim_end_matches('.');
    if words.is_empty() { "no reason is given" } else { words }
}
