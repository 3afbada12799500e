//! Follows one kind: a streaming list, then its changes, into a [`Table`]; after a fault again, with backoff and jitter.

use std::{fmt::Debug, time::Duration};

use futures::StreamExt;
use kube::{
    Api, Resource,
    runtime::watcher::{self, InitialListStrategy, watcher},
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{
    client::{Activity, activity_key},
    table::{Table, Told},
};

/// The pause after a first fault of a watch; doubled after each more.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between two tries of a watch.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Between two looks whether a kind that the cluster lacks is there now.
const ABSENT_PAUSE: Duration = Duration::from_secs(15);

/// What to watch.
pub struct Watch<K> {
    api: Api<K>,
    /// The namespace that it is of; empty: all.
    pub namespace: String,
    /// Only objects with these labels; `None`: all.
    pub labels: Option<String>,
    /// Only the object of this name; `None`: all. Rights to list and watch can be given by name.
    pub only: Option<String>,
    /// A name for logs and for liveness.
    pub what: String,
    /// The kind may be absent from the cluster (another project's), or not for us to see (a Role instead of a
    /// ClusterRole): then there is nothing of it.
    pub optional: bool,
    /// Learns that a list is complete.
    listed: Option<Box<dyn Fn() + Send + Sync>>,
}

impl<K: Resource> Watch<K> {
    /// All objects of this API. With [`kube::core::PartialObjectMeta`] what they hold never reaches us.
    pub fn new(api: Api<K>, namespace: &str) -> Self {
        let what = api.resource_url().to_owned();
        Self { api, namespace: namespace.to_owned(), labels: None, only: None, what, optional: false, listed: None }
    }

    /// Only objects with these labels.
    pub fn labelled(self, selector: &str) -> Self {
        let what = activity_key(&self.what, Some(selector));
        Self { labels: Some(selector.to_owned()), what, ..self }
    }

    /// Only the object of this name.
    pub fn named(self, name: &str) -> Self {
        let only = format!("metadata.name={name}");
        let what = activity_key(&self.what, Some(&only));
        Self { only: Some(only), what, ..self }
    }

    /// The kind may be absent.
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// Learns of each complete list: an optional kind may have come to the cluster, and what was written while nobody
    /// watched may be gone again, of which no event tells.
    pub fn when_listed(self, listed: impl Fn() + Send + Sync + 'static) -> Self {
        Self { listed: Some(Box::new(listed)), ..self }
    }
}

/// Follows until `closing`. `make`: what the table keeps of an object. `told`: learns of each change.
pub async fn follow<K, T>(
    watch: Watch<K>,
    table: &Table<T>,
    make: impl Fn(K) -> T,
    mut told: impl FnMut(Told<'_, T>),
    activity: Activity,
    closing: CancellationToken,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Clone,
{
    // A first request that is never answered is a stuck watch too.
    activity.touch(&watch.what);
    let mut streaming = true;
    let mut faults = 0u32;
    // Of this watch: others may fill the same table from other namespaces.
    let mut seen = false;
    loop {
        let initial_list_strategy =
            if streaming { InitialListStrategy::StreamingList } else { InitialListStrategy::ListWatch };
        let config = watcher::Config {
            label_selector: watch.labels.clone(),
            field_selector: watch.only.clone(),
            initial_list_strategy,
            ..watcher::Config::default()
        };
        let mut stream = watcher(watch.api.clone(), config).boxed();
        let fault = loop {
            let event = tokio::select! {
                event = stream.next() => event,
                () = closing.cancelled() => return,
            };
            match event {
                Some(Ok(event)) => {
                    activity.touch(&watch.what);
                    let listed = matches!(event, watcher::Event::InitDone);
                    table.take(&watch.namespace, event, &make, &mut told);
                    if listed {
                        (faults, seen) = (0, true);
                        table.set_present(true);
                        if let Some(listed) = &watch.listed {
                            listed();
                        }
                    }
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        // A refusal is a sign of life too: a stuck watch says nothing at all.
        activity.touch(&watch.what);
        let code = fault.as_ref().and_then(code);
        if streaming && matches!(code, Some(400 | 422)) {
            tracing::info!(what = watch.what, "the API server has no streaming lists: ordinary ones are used");
            streaming = false;
            continue;
        }
        let pause = if watch.optional && is_nothing(code, seen) {
            if code == Some(404) {
                seen = false;
                table.set_present(false);
            }
            table.take::<K>(&watch.namespace, watcher::Event::Init, &make, &mut told);
            table.take::<K>(&watch.namespace, watcher::Event::InitDone, &make, &mut told);
            ABSENT_PAUSE
        } else {
            faults = faults.saturating_add(1);
            if let Some(error) = fault {
                tracing::warn!(what = watch.what, %error, "a watch ended: it begins again");
            }
            let doubled = FIRST_PAUSE.saturating_mul(1 << faults.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
            doubled.mul_f64(1.0 - rand::random::<f64>() / 2.0)
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = closing.cancelled() => return,
        }
    }
}

/// A refusal of what was listed before may pass: only what never was seen, or is gone, is nothing.
fn is_nothing(code: Option<u16>, seen: bool) -> bool {
    code == Some(404) || (code == Some(403) && !seen)
}

fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => match error {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        },
        watcher::Error::WatchError(status) => Some(status.code),
        watcher::Error::NoResourceVersion => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use http::{Request, Response};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{Client, client::Body};

    use super::*;

    /// Lists nothing, then says that the watch is too old.
    const LISTED_AND_GONE: &str = concat!(
        r#"{"type":"BOOKMARK","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"resourceVersion":"7","#,
        r#""annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
        "\n",
        r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","code":410,"#,
        r#""message":"too old","reason":"Expired"}}"#,
        "\n"
    );

    #[tokio::test(start_paused = true)]
    async fn each_list_is_told_of() {
        let service = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::from(LISTED_AND_GONE.as_bytes().to_vec())))
        });
        let (closing, lists) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let (enough, counted) = (closing.clone(), lists.clone());
        let watch: Watch<ConfigMap> =
            Watch::new(Api::all(Client::new(service, "default")), "").when_listed(move || {
                if counted.fetch_add(1, Ordering::Relaxed) == 2 {
                    enough.cancel();
                }
            });
        let table: Table<()> = Table::new(&[String::new()]);
        follow(watch, &table, |_| (), |_| {}, Activity::default(), closing).await;
        assert_eq!(lists.load(Ordering::Relaxed), 3, "a second list tells what a first one does");
    }

    #[test]
    fn what_is_nothing() {
        for (code, seen, nothing) in [
            (Some(404), false, true),
            (Some(404), true, true),
            (Some(403), false, true),
            (Some(403), true, false),
            (Some(500), false, false),
            (None, false, false),
        ] {
            assert_eq!(is_nothing(code, seen), nothing, "{code:?} {seen}");
        }
    }
}
