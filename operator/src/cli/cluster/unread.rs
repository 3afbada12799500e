//! Why something of a cluster could not be read, and what to do. Pure.

use std::error::Error;

use crate::controllers::apply::ApiError;

/// Causes below an error that are looked through.
const CAUSES_MAX: usize = 16;

/// Why it could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The kind is not there.
    #[error("the cluster does not know Paquebot's resources: apply crds/ first")]
    UnknownKind,
    /// The user may not.
    #[error("you may not {0}: ask whoever grants rights for it")]
    Forbidden(String),
    /// The API server does not know who asks.
    #[error(
        "the API server at {0} does not accept the kubeconfig's credentials: log in again, or name another with --context"
    )]
    Unknown(String),
    /// It was not reached.
    #[error(
        "the API server at {server} cannot be reached ({why}): is the cluster up, and is it the one that is meant (--context)?"
    )]
    Unreachable {
        /// Where it is.
        server: String,
        /// What the system said.
        why: String,
    },
    /// All else.
    #[error("{what} could not be read ({why}): try again, or ask whoever runs the cluster")]
    Other {
        /// What was asked for.
        what: String,
        /// What came back.
        why: String,
    },
}

impl Unread {
    /// Whether the user lacks a right.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden(_))
    }
}

/// What was asked for.
pub struct Asked<'a> {
    /// `get` or `list`.
    pub verb: &'static str,
    /// The kind's plural.
    pub what: &'a str,
    /// Where; none: in all namespaces.
    pub namespace: Option<&'a str>,
    /// The API server.
    pub server: &'a str,
}

/// What the failure means.
pub fn unread(error: &ApiError, asked: &Asked<'_>) -> Unread {
    let place = asked.namespace.map_or_else(|| "in all namespaces".to_owned(), |it| format!("in namespace {it}"));
    let what = format!("{} {place}", asked.what);
    match (error.code(), error) {
        (Some(401), _) => Unread::Unknown(asked.server.to_owned()),
        (Some(403), _) => {
            let narrower = if asked.namespace.is_none() { " (-n names one where you may)" } else { "" };
            Unread::Forbidden(format!("{} {what}{narrower}", asked.verb))
        }
        (Some(404), _) => Unread::UnknownKind,
        (_, ApiError::Refused { error, .. }) => match error.as_ref() {
            kube::Error::HyperError(_) | kube::Error::Service(_) => {
                Unread::Unreachable { server: asked.server.to_owned(), why: cause(error.as_ref()) }
            }
            kube::Error::Api(status) => Unread::Other { what, why: status.message.clone() },
            other => Unread::Other { what, why: cause(other) },
        },
        (_, ApiError::Silent(_)) => {
            Unread::Unreachable { server: asked.server.to_owned(), why: "no answer in time".to_owned() }
        }
        (_, other) => Unread::Other { what, why: other.to_string() },
    }
}

/// What is at the bottom of it.
fn cause(error: &dyn Error) -> String {
    let mut last = error;
    for _ in 0..CAUSES_MAX {
        match last.source() {
            Some(next) => last = next,
            None => break,
        }
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(namespace: Option<&str>) -> Asked<'_> {
        Asked { verb: "list", what: "pods", namespace, server: "https://192.0.2.1:6443/" }
    }

    fn refused(code: u16) -> ApiError {
        let status = kube::core::Status { code, message: "the words of the API server".into(), ..Default::default() };
        ApiError::Refused { what: String::new(), error: Box::new(kube::Error::Api(Box::new(status))) }
    }

    #[test]
    fn each_says_what_to_do() {
        for (error, namespace, said) in [
            (
                refused(401),
                None,
                "the API server at https://192.0.2.1:6443/ does not accept the kubeconfig's credentials",
            ),
            (refused(403), None, "you may not list pods in all namespaces (-n names one where you may): ask whoever"),
            (refused(403), Some("mail"), "you may not list pods in namespace mail: ask whoever grants rights"),
            (refused(404), None, "apply crds/ first"),
            (refused(500), Some("mail"), "pods in namespace mail could not be read (the words of the API server"),
            (ApiError::Silent(String::new()), None, "cannot be reached (no answer in time): is the cluster up"),
        ] {
            let text = unread(&error, &asked(namespace)).to_string();
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn the_bottom_of_a_failure_is_what_helps() {
        let bottom = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "nobody listens");
        let middle: Box<dyn Error + Send + Sync> = Box::new(ApiErrorLike(bottom));
        let error = ApiError::Refused { what: String::new(), error: Box::new(kube::Error::Service(middle)) };
        let text = unread(&error, &asked(None)).to_string();
        assert!(text.contains("https://192.0.2.1:6443/ cannot be reached (nobody listens)"), "{text}");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("in the middle")]
    struct ApiErrorLike(#[source] std::io::Error);
}
