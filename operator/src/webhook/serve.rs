//! HTTPS for the API server: one path, bounded connections, bodies and waits. Decides nothing.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};
use serde::de::DeserializeOwned;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::review::{Review, Verdict, World, review};
use crate::api::{MailDomain, MailServer, Mailbox};

/// The path of the webhook.
pub const PATH: &str = "/validate";
/// Octets of a review: two objects of etcd's limit (1.5 MiB), and what JSON adds.
const BODY_OCTETS_MAX: usize = 8 * 1024 * 1024;
/// Connections at once; more wait in the kernel's queue. API servers keep a few open.
const CONNECTIONS_MAX: usize = 128;
/// A handshake takes milliseconds.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Less than the API server waits for the answer.
const BODY_TIMEOUT: Duration = Duration::from_secs(4);
/// Longer than the API server keeps an idle connection (90 s), so that it is the one that closes.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// A pause after the system could not give a socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then finishes what is being answered. `tls`: the newest one counts for each new connection.
///
/// # Errors
/// The listener's.
pub async fn serve(
    listener: TcpListener,
    tls: watch::Receiver<Arc<rustls::ServerConfig>>,
    world: Arc<dyn World>,
    stop: CancellationToken,
) -> io::Result<()> {
    let router = Router::new().route(PATH, post(validate)).with_state(world);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        while connections.try_join_next().is_some() {}
        let (acceptor, router, stop) = (TlsAcceptor::from(tls.borrow().clone()), router.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, acceptor, router, stop).await;
            drop(place);
        });
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router, stop: CancellationToken) {
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await else { return };
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // The API server's own log has what went wrong.
        _ = serving.as_mut() => {}
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            drop(timeout(BODY_TIMEOUT, serving).await);
        }
    }
}

async fn validate(State(world): State<Arc<dyn World>>, request: Request<Body>) -> Response {
    let refuse = |status: StatusCode, message: &'static str| (status, message).into_response();
    let body = match timeout(BODY_TIMEOUT, axum::body::to_bytes(request.into_body(), BODY_OCTETS_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or was broken off"),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
    };
    let Ok(asked) = serde_json::from_slice::<AdmissionReview<DynamicObject>>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "not an AdmissionReview of admission.k8s.io/v1: send one as JSON");
    };
    let Ok(request) = TryInto::<AdmissionRequest<DynamicObject>>::try_into(asked) else {
        return refuse(StatusCode::BAD_REQUEST, "the AdmissionReview has no request: fill it in");
    };
    let mut response = AdmissionResponse::from(&request);
    match judge(request, world.as_ref()) {
        Ok(verdict) => {
            response.warnings = (!verdict.warnings.is_empty()).then_some(verdict.warnings);
            if !verdict.refusal.is_empty() {
                response = response.deny(verdict.refusal);
            }
        }
        Err(kind) => return (StatusCode::BAD_REQUEST, kind).into_response(),
    }
    Json(response.into_review()).into_response()
}

/// What is said of the object of a request.
fn judge(request: AdmissionRequest<DynamicObject>, world: &dyn World) -> Result<Verdict, String> {
    if !matches!(request.operation, Operation::Create | Operation::Update) || request.sub_resource.is_some() {
        return Ok(Verdict::default());
    }
    let (kind, namespace) = (request.kind.kind.clone(), request.namespace.clone());
    let (new, old) = (request.object, request.old_object);
    match kind.as_str() {
        "MailDomain" => {
            let (new, old) = both::<MailDomain>(new, old, namespace.as_deref())?;
            Ok(review(&Review::Domain(&new, old.as_ref()), world))
        }
        "MailServer" => {
            let (new, old) = both::<MailServer>(new, old, namespace.as_deref())?;
            Ok(review(&Review::Server(&new, old.as_ref()), world))
        }
        "Mailbox" => {
            let (new, old) = both::<Mailbox>(new, old, namespace.as_deref())?;
            Ok(review(&Review::Mailbox(&new, old.as_ref()), world))
        }
        other => Err(format!("{other:?} is no kind that is checked here: mend the webhook's rules")),
    }
}

fn both<T>(
    new: Option<DynamicObject>,
    old: Option<DynamicObject>,
    namespace: Option<&str>,
) -> Result<(T, Option<T>), String>
where
    T: DeserializeOwned + kube::Resource<DynamicType = ()>,
{
    let typed = |it: DynamicObject| -> Result<T, String> {
        let value = serde_json::to_value(it).map_err(|fault| fault.to_string())?;
        let mut object: T = serde_json::from_value(value).map_err(|fault| fault.to_string())?;
        // An object that is being made need not name its namespace.
        if object.meta().namespace.is_none() {
            object.meta_mut().namespace = namespace.map(str::to_owned);
        }
        Ok(object)
    };
    let new = new.ok_or_else(|| "the request has no object".to_owned())?;
    Ok((typed(new)?, old.map(typed).transpose()?))
}
