//! `TLSReady`: whether clients and other servers get a certificate that they can trust.

use k8s_openapi::jiff::Timestamp;

use super::{CertificateState, Observed};
use crate::conditions::Finding;

const KIND: &str = "TLSReady";
/// Names of a certificate that a message shows.
const NAMES_MAX: usize = 5;

/// Whether the certificate can be used.
pub fn finding(observed: &Observed) -> Finding {
    let hostname = observed.hostname.as_deref().unwrap_or("the host name");
    let (reason, message) = match &observed.certificate {
        CertificateState::Good { expires, self_signed: false } => {
            return Finding::yes(KIND, "Valid", format!("the certificate is valid until {}", date(*expires)));
        }
        CertificateState::Good { expires, self_signed: true } => {
            let message = format!(
                "a self-signed certificate until {}, renewed before: mail programs warn of it; for one that they trust \
                 set spec.tls.issuerRef or spec.tls.secretRef",
                date(*expires)
            );
            return Finding::yes(KIND, "SelfSigned", message);
        }
        CertificateState::SecretMissing { secret } => (
            "SecretMissing",
            format!(
                "there is no Secret {secret}: make it, of type kubernetes.io/tls, with a certificate for {hostname}"
            ),
        ),
        CertificateState::Unreadable { secret, why } => {
            ("SecretUnreadable", format!("the Secret {secret} has no usable certificate: {why}"))
        }
        CertificateState::KeyMismatch { secret } => (
            "KeyMismatch",
            format!(
                "in the Secret {secret} tls.key belongs to another certificate than tls.crt: put the matching key there"
            ),
        ),
        CertificateState::NotCovered { secret, names } => {
            let message = format!(
                "the certificate in the Secret {secret} is for {}, not for {hostname}: put one for {hostname} there, or \
                 set spec.hostname to a name that it is for",
                shown(names)
            );
            ("HostnameNotCovered", message)
        }
        CertificateState::Expired { secret, expired } => (
            "Expired",
            format!("the certificate in the Secret {secret} expired on {}: put a new one there", date(*expired)),
        ),
        CertificateState::NoCertManager => (
            "CertManagerMissing",
            "an issuer is named, but cert-manager is not in the cluster: install it, or set spec.tls: {selfSigned: {}}"
                .to_owned(),
        ),
        CertificateState::Issuing { certificate, issuer, why } => {
            let why = why.as_ref().map_or_else(String::new, |why| format!(" ({})", why.trim().trim_end_matches('.')));
            // The Certificate itself does not say whether there is an issuer, or what it lacks.
            let (kind, name) = (issuer.kind.name(), &issuer.name);
            let advice = format!(
                "see that the {kind} {name} is there and ready; kubectl describe certificate,certificaterequest says \
                 more of {certificate}"
            );
            ("Issuing", format!("cert-manager has not issued the certificate yet{why}: {advice}"))
        }
        CertificateState::Pending => ("Pending", "the certificate is being made: wait a moment".to_owned()),
    };
    Finding::no(KIND, reason, message)
}

/// The day, which is what people need of it.
fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

fn shown(names: &[String]) -> String {
    match names {
        [] => "no name".to_owned(),
        names => names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}
