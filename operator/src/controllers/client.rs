//! The API server's client, and a look at its watches: a watch that brings no octets for long is stuck.
//!
//! kube hides the bookmarks by which a quiet watch shows that it lives, so the octets of each watch are counted below it.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use kube::{Client, Config, client::ClientBuilder};
use tower::{Layer, Service};

/// A watch without any octet for so long is stuck. Bookmarks come each minute.
pub const SILENCE_MAX: Duration = Duration::from_secs(600);
/// Connecting to the API server is given up by then.
const CONNECT_SECONDS: Duration = Duration::from_secs(10);

/// When each watch last brought something. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<Mutex<HashMap<String, Instant>>>);

/// How a watch is told from others: its path, and its selector of labels or of a name.
pub fn activity_key(path: &str, selector: Option<&str>) -> String {
    selector.map_or_else(|| path.to_owned(), |selector| format!("{path} {selector}"))
}

/// The key of a request to watch; `None`: it is no watch.
fn watched(uri: &http::Uri) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    let mut is_watch = false;
    let mut selector = None;
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "watch" => is_watch = matches!(value, "true" | "1"),
            "labelSelector" | "fieldSelector" => selector = Some(decoded(value)),
            _ => {}
        }
    }
    is_watch.then(|| activity_key(uri.path(), selector.as_deref()))
}

/// A value of a query without its percent signs (RFC 3986 §2.1).
fn decoded(value: &str) -> String {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes().iter();
    while let Some(&octet) = rest.next() {
        let digits = rest.as_slice().get(..2).and_then(|pair| str::from_utf8(pair).ok());
        match (octet, digits.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(plain)) => {
                octets.push(plain);
                rest.nth(1);
            }
            (b'+', _) => octets.push(b' '),
            _ => octets.push(octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

impl Activity {
    /// A watch of this path lives.
    pub fn touch(&self, path: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(path) {
            Some(at) => *at = Instant::now(),
            None => drop(seen.insert(path.to_owned(), Instant::now())),
        }
    }

    /// The watches that brought nothing for too long.
    pub fn stuck(&self, now: Instant) -> Vec<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |at: &Instant| now.saturating_duration_since(*at) > SILENCE_MAX;
        seen.iter().filter(|(_, at)| silent(at)).map(|(path, _)| path.clone()).collect()
    }
}

/// A client whose watches are looked at.
///
/// # Errors
/// The configuration cannot be used: a certificate that is none, a proxy that cannot be spoken to.
pub fn client(mut config: Config, activity: &Activity) -> kube::Result<Client> {
    config.connect_timeout = Some(CONNECT_SECONDS);
    Ok(ClientBuilder::try_from(config)?.with_layer(&Watching(activity.clone())).build())
}

struct Watching(Activity);

impl<S> Layer<S> for Watching {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, activity: self.0.clone() }
    }
}

struct Watched<S> {
    inner: S,
    activity: Activity,
}

impl<S, R, B> Service<Request<R>> for Watched<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: 'static,
{
    type Response = Response<Seen<B>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let seen = watched(request.uri()).map(|key| (self.activity.clone(), key));
        self.inner.call(request).map_ok(|response| response.map(|body| Seen { body, seen })).boxed()
    }
}

/// A body whose octets are noticed.
struct Seen<B> {
    body: B,
    seen: Option<(Activity, String)>,
}

impl<B: Body + Unpin> Body for Seen<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let (Poll::Ready(Some(Ok(_))), Some((activity, path))) = (&polled, &self.seen) {
            activity.touch(path);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[test]
    fn two_watches_of_one_path_are_two() {
        for (uri, key) in [
            ("/api/v1/secrets?watch=true&labelSelector=a%21%3Db", Some("/api/v1/secrets a!=b")),
            ("/api/v1/secrets?labelSelector=a%3Db&watch=1", Some("/api/v1/secrets a=b")),
            ("/api/v1/secrets?watch=true&labelSelector=%zz%", Some("/api/v1/secrets %zz%")),
            ("/api/v1/secrets?watch=true&fieldSelector=metadata.name%3Da", Some("/api/v1/secrets metadata.name=a")),
            ("/api/v1/secrets?watch=false", None),
            ("/api/v1/secrets", None),
        ] {
            assert_eq!(watched(&uri.parse().unwrap()).as_deref(), key, "{uri}");
        }
    }

    #[tokio::test]
    async fn octets_of_watches_are_seen() {
        let activity = Activity::default();
        let inner = tower::service_fn(|_: Request<()>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
        });
        let mut service = Watching(activity.clone()).layer(inner);
        for (uri, path) in [("/api/v1/pods?watch=true&x=1", Some("/api/v1/pods")), ("/api/v1/secrets?limit=5", None)] {
            let before = activity.0.lock().unwrap().len();
            let answer = service.call(Request::builder().uri(uri).body(()).unwrap()).await.unwrap();
            answer.into_body().collect().await.unwrap();
            let seen = activity.0.lock().unwrap();
            assert_eq!(seen.len() > before, path.is_some(), "{uri}");
            assert!(path.is_none_or(|path| seen.contains_key(path)));
        }
        assert_eq!(activity.stuck(Instant::now()), Vec::<String>::new());
        assert_eq!(activity.stuck(Instant::now() + SILENCE_MAX + Duration::from_secs(1)), ["/api/v1/pods"]);
    }
}
