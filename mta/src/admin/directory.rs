//! The operator's side of the directory over HTTPS: what the store has, what is served, changes.
//!
//! The store is asked each time, so that edits inside it are seen. Private keys and passwords' keys are taken and never
//! given; no body reaches a log. Bounded: octets and entries of a change, changes at once.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Path, Request, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use paquebot_mta_api::{
    admin::{
        self, BUCKETS, Bucket, Buckets, CHANGE_ENTRIES_MAX, CHANGE_OCTETS_MAX, Change, Changed, DirectoryState, Listed,
        Refusal, RefusalReason,
    },
    directory::{Digest, Entry, Value},
};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::metrics::SharedMetrics;
use crate::{
    directory::Directory,
    serve::background::DirectoryLoader,
    store::{DirectoryChange, DirectoryError, DirectoryRefusal, ListingOf, Store, StoreError},
};

/// Changes that are read and written at once; more wait. Each may have [`CHANGE_OCTETS_MAX`].
const CHANGES_MAX: usize = 2;
/// Octets of an entry's key at most: two names of the longest kind (RFC 5321 §4.5.3.1, RFC 1035 §2.3.4) and words.
const KEY_OCTETS_MAX: usize = 640;

/// What the routes need.
#[derive(Clone)]
pub struct DirectoryApi {
    store: Store,
    directory: Arc<Directory>,
    loader: DirectoryLoader,
    metrics: SharedMetrics,
    changes: Arc<Semaphore>,
}

impl DirectoryApi {
    /// Of these parts.
    pub fn new(store: Store, directory: Arc<Directory>, loader: DirectoryLoader, metrics: SharedMetrics) -> Self {
        Self { store, directory, loader, metrics, changes: Arc::new(Semaphore::new(CHANGES_MAX)) }
    }

    /// `/v1/directory` and what is below.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/v1/directory", get(state).post(change))
            .route("/v1/directory/buckets", get(buckets))
            .route("/v1/directory/buckets/{bucket}", get(bucket))
            .route("/v1/directory/domains", get(domains))
            .layer(DefaultBodyLimit::max(CHANGE_OCTETS_MAX))
            .with_state(self)
    }

    fn answer<T: serde::Serialize>(&self, result: Result<T, Refused>) -> Response {
        let (label, response) = match result {
            Ok(answer) => ("ok", Json(answer).into_response()),
            Err(Refused { status, refusal }) => (label(refusal.reason), (status, Json(refusal)).into_response()),
        };
        self.metrics.admin_requests.with_label_values(&[label]).inc();
        response
    }

    async fn state(&self) -> Result<DirectoryState, Refused> {
        // Served first: what the store has may be newer, never older.
        let served = self.directory.current();
        let listing = self.store.directory_listing(ListingOf::All).await?;
        Ok(DirectoryState {
            epoch: listing.epoch,
            revision: listing.revision,
            complete: listing.complete,
            root: admin::root(&digests(listing.entries).await?),
            served_revision: served.revision,
            served_root: served.root,
        })
    }

    async fn buckets(&self) -> Result<Buckets, Refused> {
        let listing = self.store.directory_listing(ListingOf::All).await?;
        Ok(Buckets { revision: listing.revision, digests: digests(listing.entries).await? })
    }

    async fn listed(&self, of: ListingOf) -> Result<Bucket, Refused> {
        let listing = self.store.directory_listing(of).await?;
        Ok(Bucket { revision: listing.revision, entries: listing.entries })
    }

    async fn change(&self, request: Request) -> Result<Changed, Refused> {
        let _turn = self.changes.acquire().await.map_err(|_| unavailable("the server ends"))?;
        let body = Bytes::from_request(request, &()).await?;
        // Up to 8 MiB of JSON: not on the runtime's threads.
        let read =
            spawn_blocking(move || read(&body)).await.map_err(|_| unavailable("the change could not be read"))?;
        let change = read?;
        let (epoch, put, deleted, complete) = (change.epoch, change.put.len(), change.delete.len(), change.complete);
        let revision = self.store.change_directory(change).await?;
        tracing::info!(epoch, revision, put, deleted, complete, "the directory was changed");
        if let Err(error) = self.loader.load().await {
            // It is written; the loader tries again within seconds.
            tracing::warn!(%error, "the changed directory could not be read yet");
        }
        Ok(Changed { revision })
    }
}

/// Tens of thousands of entries are hashed: not on the runtime's threads.
async fn digests(entries: Vec<Listed>) -> Result<Vec<Digest>, Refused> {
    spawn_blocking(move || admin::bucket_digests(entries)).await.map_err(|error| unavailable(error.to_string()))
}

async fn state(State(api): State<DirectoryApi>) -> Response {
    api.answer(api.state().await)
}

async fn buckets(State(api): State<DirectoryApi>) -> Response {
    api.answer(api.buckets().await)
}

async fn bucket(State(api): State<DirectoryApi>, Path(bucket): Path<String>) -> Response {
    let number = Some(&bucket).filter(|it| it.bytes().all(|octet| octet.is_ascii_digit()));
    match number.and_then(|it| it.parse().ok()).filter(|number| *number < BUCKETS) {
        Some(number) => api.answer(api.listed(ListingOf::Bucket(number)).await),
        None => {
            let message = format!("there are buckets 0 to {}", BUCKETS - 1);
            api.answer::<Bucket>(Err(Refused::new(StatusCode::NOT_FOUND, RefusalReason::Invalid, message)))
        }
    }
}

async fn domains(State(api): State<DirectoryApi>) -> Response {
    api.answer(api.listed(ListingOf::Domains).await)
}

async fn change(State(api): State<DirectoryApi>, request: Request) -> Response {
    let result = api.change(request).await;
    if let Err(refused) = &result {
        let reason = label(refused.refusal.reason);
        tracing::warn!(reason, message = refused.refusal.message, "a change of the directory was refused");
    }
    api.answer(result)
}

/// The change that the JSON is, if the store can take it as it is.
fn read(body: &[u8]) -> Result<DirectoryChange, Refused> {
    // Names the place, and of the value only its kind.
    let change: Change = serde_json::from_slice(body).map_err(|error| {
        let place = format!("the change cannot be read at line {}, column {}", error.line(), error.column());
        Refused::new(StatusCode::BAD_REQUEST, RefusalReason::Invalid, place)
    })?;
    let count = change.put.len().saturating_add(change.delete.len());
    if count > CHANGE_ENTRIES_MAX {
        let message = format!("{count} entries; send at most {CHANGE_ENTRIES_MAX} in one change");
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, RefusalReason::Invalid, message));
    }
    let mut keys = std::collections::HashSet::new();
    for entry in &change.put {
        let key = entry.value.key();
        if let Some(wrong) = wrong_with(entry, &key) {
            return Err(invalid(format!("{wrong}: {}", key.escape_debug())));
        }
        if !keys.insert(key) {
            return Err(invalid(format!("{} is put twice", entry.value.key())));
        }
    }
    let Change { epoch, base, put, delete, complete } = change;
    Ok(DirectoryChange { epoch, base: Some(base), delete, put, complete })
}

/// What keeps an entry from being stored. A key that cannot sign is no reason: it must not hold up the others.
fn wrong_with(entry: &Entry, key: &str) -> Option<&'static str> {
    if key.len() > KEY_OCTETS_MAX || key.chars().any(char::is_control) {
        return Some("the key is too long or has control characters");
    }
    // A part that is not known here would be lost, and nobody would notice.
    if entry.digest != entry.value.inputs() {
        return Some("the digest is not the one of the inputs as they are read here; let all pods be of one version");
    }
    match &entry.value {
        Value::Mailbox(mailbox) if mailbox.login.as_ref().is_some_and(|keys| keys.is_underived()) => {
            Some("the password's keys are still to be derived")
        }
        _ => None,
    }
}

/// A refusal and its status.
struct Refused {
    status: StatusCode,
    refusal: Refusal,
}

impl Refused {
    fn new(status: StatusCode, reason: RefusalReason, message: impl Into<String>) -> Self {
        Self { status, refusal: Refusal { reason, message: message.into() } }
    }
}

fn invalid(message: String) -> Refused {
    Refused::new(StatusCode::CONFLICT, RefusalReason::Invalid, message)
}

fn unavailable(message: impl Into<String>) -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, RefusalReason::Unavailable, message)
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        unavailable(error.to_string())
    }
}

impl From<DirectoryError> for Refused {
    fn from(error: DirectoryError) -> Self {
        let refusal = match error {
            DirectoryError::Store(error) => return error.into(),
            DirectoryError::Refused(refusal) => refusal,
        };
        let reason = match refusal {
            DirectoryRefusal::Fenced { .. } => RefusalReason::Fenced,
            DirectoryRefusal::Moved { .. } => RefusalReason::Moved,
            DirectoryRefusal::Owned { .. } => RefusalReason::Owned,
        };
        Self::new(StatusCode::CONFLICT, reason, refusal.to_string())
    }
}

impl From<BytesRejection> for Refused {
    fn from(rejection: BytesRejection) -> Self {
        let message = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => format!("send at most {CHANGE_OCTETS_MAX} octets in one change"),
            _ => "the change did not come whole".to_owned(),
        };
        Self::new(rejection.status(), RefusalReason::Invalid, message)
    }
}

/// As the metrics name it.
fn label(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::Fenced => "fenced",
        RefusalReason::Moved => "moved",
        RefusalReason::Owned => "owned",
        RefusalReason::Invalid => "invalid",
        RefusalReason::Unavailable => "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use paquebot_mta_api::directory::{DkimKeyEntry, KeyAlgorithm, LoginKeys, MailboxEntry, PrivateKey};
    use uuid::Uuid;

    use super::*;

    fn mailbox(login: Option<LoginKeys>) -> Entry {
        let address = "x@a.example".parse().unwrap();
        Entry::new(
            Uuid::nil(),
            Value::Mailbox(MailboxEntry { address, account: Uuid::nil(), quota_bytes: None, login }),
        )
    }

    fn key(selector: &str) -> Entry {
        let (domain, private_key) = ("a.example".parse().unwrap(), PrivateKey(b"no key".to_vec()));
        let algorithm = KeyAlgorithm::Rsa;
        let key = DkimKeyEntry { domain, selector: selector.to_owned(), algorithm, private_key };
        Entry::new(Uuid::nil(), Value::DkimKey(key))
    }

    fn said(put: Vec<Entry>, delete: usize) -> Result<usize, (u16, RefusalReason)> {
        let change = Change { epoch: 1, base: 0, put, delete: vec!["domain/x".to_owned(); delete], complete: true };
        match read(&serde_json::to_vec(&change).unwrap()) {
            Ok(change) => Ok(change.put.len()),
            Err(refused) => Err((refused.status.as_u16(), refused.refusal.reason)),
        }
    }

    #[test]
    fn what_can_be_stored() {
        use RefusalReason::Invalid;
        let derived = LoginKeys::derive("secret", &[1; 16], 4096, b"");
        let other = Entry { digest: Digest::of(b"x"), ..mailbox(None) };
        for (put, delete, wanted) in [
            (vec![], 0, Ok(0)),
            (vec![mailbox(None), key("s")], 998, Ok(2)),
            (vec![mailbox(None), key("s")], 999, Err((413, Invalid))),
            (vec![mailbox(Some(derived))], 0, Ok(1)),
            (vec![mailbox(Some(LoginKeys::underived("x".into())))], 0, Err((409, Invalid))),
            (vec![other], 0, Err((409, Invalid))),
            (vec![Entry { digest: Digest::default(), ..mailbox(None) }], 0, Err((409, Invalid))),
            (vec![key("s"), key("s")], 0, Err((409, Invalid))),
            (vec![key("s\0")], 0, Err((409, Invalid))),
            (vec![key(&"s".repeat(KEY_OCTETS_MAX))], 0, Err((409, Invalid))),
        ] {
            assert_eq!(said(put.clone(), delete), wanted, "{put:?} {delete}");
        }
    }

    #[test]
    fn what_is_no_change_is_refused_and_not_repeated() {
        let deep = "[".repeat(1_000_000);
        for body in ["", "null", "{}", "{\"epoch\": -1}", "{\"epoch\": \"open sesame\"}", &deep, "\u{0}"] {
            let Err(refused) = read(body.as_bytes()) else { panic!("taken") };
            assert_eq!(refused.status, StatusCode::BAD_REQUEST);
            assert!(!refused.refusal.message.contains("sesame"), "{}", refused.refusal.message);
        }
    }
}
