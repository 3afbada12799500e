//! What the objects of a MailServer are called.

use kube::ResourceExt;

use crate::{
    api::MailServer,
    names::{COMPONENT, INSTANCE, base},
};

/// The component of pods that carry mail.
pub const COMPONENT_MTA: &str = "mta";
/// The name of the volume, and what a claim's name begins with.
pub const DATA: &str = "data";

/// The names of a server's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The label [`INSTANCE`], and what the names begin with.
    pub base: String,
    /// The ServiceAccount.
    pub service_account: String,
    /// The ConfigMap.
    pub config_map: String,
    /// The Service for the world.
    pub service: String,
    /// The headless Service.
    pub headless: String,
    /// The StatefulSet or Deployment.
    pub workload: String,
    /// The PodDisruptionBudget.
    pub pod_disruption_budget: String,
    /// The NetworkPolicy.
    pub network_policy: String,
    /// The Secret with the key that seals DKIM keys; outlives the MailServer.
    pub seal_key: String,
    /// The Secret with the certificate that we make, or cert-manager for us.
    pub tls: String,
    /// cert-manager's Certificate.
    pub certificate: String,
    /// The Secret with the admin API's server certificate (`tls.crt`, `tls.key`) and authorities (`ca.crt`).
    pub admin: String,
    /// The PersistentVolumeClaim, which the StatefulSet makes; outlives the MailServer.
    pub claim: String,
}

/// The names of this server's objects.
pub fn names(server: &MailServer) -> Names {
    let base = base("MailServer", &server.name_any());
    // A Service's name begins with a letter (RFC 1035 §2.3.1), other names may begin with a digit.
    let service = if base.starts_with(|c: char| c.is_ascii_digit()) { format!("s-{base}") } else { base.clone() };
    Names {
        service_account: base.clone(),
        config_map: base.clone(),
        headless: format!("{service}-pods"),
        service,
        workload: base.clone(),
        pod_disruption_budget: base.clone(),
        network_policy: base.clone(),
        seal_key: format!("{base}-seal"),
        tls: format!("{base}-tls"),
        certificate: base.clone(),
        admin: format!("{base}-admin"),
        claim: format!("{DATA}-{base}-0"),
        base,
    }
}

impl Names {
    /// The labels of the pods as `status.selector` and `kubectl -l` write them.
    pub fn selector(&self) -> String {
        format!("{COMPONENT}={COMPONENT_MTA},{INSTANCE}={}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::MailServerSpec;

    #[test]
    fn names_are_valid() {
        for name in ["default", "1st", &"x".repeat(253)] {
            let names = names(&MailServer::new(name, MailServerSpec::default()));
            for name in [&names.service, &names.headless] {
                assert!(name.len() <= 63 && name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
            }
            // A set's pods have its name and a hash of 10 in a label.
            assert!(names.workload.len() + 11 <= 63);
            assert!(names.claim.len() <= 63);
        }
    }
}
