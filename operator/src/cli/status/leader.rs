//! Whether an operator leads: where none does, every status is as old as the last renewal of its lease.
//!
//! The judgement is pure; `now` is the API server's clock, so that a reader's wrong clock raises no alarm.

use http::{Request, header::DATE};
use k8s_openapi::{
    api::coordination::v1::Lease,
    jiff::{SignedDuration, Timestamp, fmt::rfc2822},
};
use kube::{ResourceExt, api::ListParams, client::Body};
use serde::Serialize;

use super::super::cluster::{Cluster, Unread};
use crate::controllers::{apply::within, leader::LEASE};

/// Where the operator is installed unless somebody chose otherwise.
pub(super) const NAMESPACE_DEFAULT: &str = "paquebot-system";
/// The labels of its pods.
const PODS: &str = "app.kubernetes.io/name=paquebot,app.kubernetes.io/component=operator";
/// How long a lease holds where it does not say.
const LEASE_SECONDS: i32 = 15;
/// Namespaces that are named.
const NAMED_MAX: usize = 5;

/// What is known of the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operator {
    /// Its namespace.
    pub namespace: Option<String>,
    /// Whether one leads; none: unknown.
    pub leads: Option<bool>,
    /// When it was last heard of, where none leads.
    pub since: Option<String>,
    /// What to know, and what to do; none where one leads.
    pub message: Option<String>,
}

impl Operator {
    /// Whether it is known that none leads.
    pub fn is_silent(&self) -> bool {
        self.leads == Some(false)
    }

    /// What is said of a resource that the operator has said nothing of.
    pub fn unsaid(&self) -> &'static str {
        match self.leads {
            Some(true) => {
                "the operator says nothing of it yet: wait a moment; if it stays so, look at its watchNamespaces"
            }
            Some(false) => "no operator has looked at it",
            None => "the operator says nothing of it yet: is it running?",
        }
    }

    /// What is said of an edit that the status does not know.
    pub fn outdated(&self) -> &'static str {
        match self.leads {
            Some(true) => "the operator has not taken up the last edit yet: wait a moment",
            Some(false) => "no operator has taken up the last edit",
            None => "the operator has not taken up the last edit yet: is it running?",
        }
    }

    fn unknown(why: String) -> Self {
        Self { message: Some(format!("whether an operator runs is unknown: {why}")), ..Self::default() }
    }
}

/// Looks for its lease: in the namespace that was named; else where it usually is, where we look, then everywhere.
/// The usual place comes first, so that nobody speaks for the operator by a Lease in a namespace of his own.
pub(super) async fn find(cluster: &Cluster, named: Option<&str>) -> Result<Operator, Unread> {
    let usual = [Some(NAMESPACE_DEFAULT), cluster.namespace.as_deref()];
    let places: Vec<&str> = named.map_or_else(|| usual.into_iter().flatten().collect(), |it| vec![it]);
    let mut refused = None;
    for namespace in &places {
        match cluster.get::<Lease>(namespace, LEASE).await {
            Ok(Some(lease)) => return Ok(judge(namespace, &lease, now(cluster).await)),
            Ok(None) => {}
            Err(why) if why.is_forbidden() => refused = Some(why),
            Err(why) => return Err(why),
        }
    }
    if let Some(named) = named {
        let why = refused.map_or_else(|| format!("there is no Lease {named}/{LEASE}"), |it| it.to_string());
        return Ok(Operator::unknown(why));
    }
    let everywhere = Cluster { namespace: None, ..cluster.clone() };
    let found = everywhere.listed::<Lease>(ListParams::default().fields(&format!("metadata.name={LEASE}"))).await;
    let leases = match found {
        Ok(leases) => leases,
        Err(why) if why.is_forbidden() => {
            let advice = format!(
                "you may not read its Lease {NAMESPACE_DEFAULT}/{LEASE} (--operator-namespace names another place)"
            );
            return Ok(Operator::unknown(advice));
        }
        Err(why) => return Err(why),
    };
    let namespace = |it: &Lease| it.namespace().unwrap_or_default();
    match leases.as_slice() {
        [] => Ok(Operator::unknown(format!("there is no Lease {LEASE}: deploy/operator.yaml installs one"))),
        [only] => Ok(judge(&namespace(only), only, now(cluster).await)),
        several => {
            let names: Vec<String> = several.iter().take(NAMED_MAX).map(namespace).collect();
            let advice =
                format!("there are {}, in {}: name one with --operator-namespace", several.len(), names.join(", "));
            Ok(Operator::unknown(advice))
        }
    }
}

/// The API server's time, else our own.
async fn now(cluster: &Cluster) -> Timestamp {
    let asked = async {
        let request = Request::get("/version").body(Body::empty()).map_err(kube::Error::HttpError)?;
        cluster.client.send(request).await
    };
    let answer = within(String::new(), asked).await.ok();
    let date = answer.and_then(|it| it.headers().get(DATE)?.to_str().ok().and_then(date));
    date.unwrap_or_else(Timestamp::now)
}

/// The Date field of HTTP (RFC 9110 §5.6.7).
fn date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|it| it.timestamp())
}

/// Whether the lease's holder leads.
fn judge(namespace: &str, lease: &Lease, now: Timestamp) -> Operator {
    let spec = lease.spec.clone().unwrap_or_default();
    let held = spec.holder_identity.is_some_and(|it| !it.is_empty());
    let seconds = spec.lease_duration_seconds.unwrap_or(LEASE_SECONDS).max(1);
    let renewed = spec.renew_time.map(|it| it.0);
    let fresh = renewed.is_some_and(|it| now.duration_since(it) <= SignedDuration::from_secs(seconds.into()));
    let namespace = namespace.to_owned();
    if held && fresh {
        return Operator { namespace: Some(namespace), leads: Some(true), ..Operator::default() };
    }
    let since = renewed.map(|it| it.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let said = since.as_ref().map_or_else(
        || "no operator leads".to_owned(),
        |it| format!("no operator leads since {it}: what is said of all else is as old as that"),
    );
    Operator {
        message: Some(format!("{said}; kubectl -n {namespace} get pods -l {PODS}")),
        namespace: Some(namespace),
        leads: Some(false),
        since,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lease_that_is_not_renewed_holds_nobody() {
        let lease = |holder: Option<&str>, renewed: Option<&str>, seconds: Option<i32>| -> Lease {
            serde_json::from_value(json!({"metadata": {"name": LEASE}, "spec": {
                "holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": seconds,
            }}))
            .unwrap()
        };
        let now: Timestamp = "2026-11-25T12:00:20Z".parse().unwrap();
        let at = Some("2026-11-25T12:00:05.000000Z");
        let later = Some("2026-11-25T12:00:30.000000Z");
        let before = Some("2026-11-25T12:00:04.999999Z");
        for (lease, leads) in [
            (lease(Some("a"), at, Some(15)), true),
            (lease(Some("a"), later, Some(15)), true),
            (lease(Some("a"), before, Some(15)), false),
            (lease(Some("a"), before, None), false),
            (lease(Some("a"), before, Some(60)), true),
            (lease(Some("a"), None, Some(15)), false),
            (lease(Some(""), at, Some(15)), false),
            (lease(None, at, Some(15)), false),
            (Lease::default(), false),
        ] {
            let found = judge("mail", &lease, now);
            assert_eq!(found.leads, Some(leads), "{lease:?}");
            assert_eq!(found.message.is_none(), leads);
        }
        let dead = judge("mail", &lease(Some("a"), before, None), now);
        assert_eq!(dead.since.as_deref(), Some("2026-11-25 12:00:04 UTC"));
        assert!(
            dead.message.unwrap().contains("since 2026-11-25 12:00:04 UTC")
                && dead.namespace.as_deref() == Some("mail")
        );
    }

    #[test]
    fn the_time_of_the_api_server() {
        assert_eq!(date("Wed, 25 Nov 2026 18:11:42 GMT"), "2026-11-25T18:11:42Z".parse().ok());
        assert_eq!(date("yesterday"), None);
    }
}
