//! HTTP for Prometheus, for probes, and for `queue` and `trace`.
//!
//! Reads only. The size of an answer is bounded. Shows no body of a message.

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use paquebot_mta_api::journey::Queued;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::health::Health;
use crate::{
    message::MessageId,
    store::{JourneyOf, RecipientIndex, Store, StoreError},
};

/// Steps of a journey in one answer.
const EVENTS_MAX: usize = 1000;
/// Rows of the queue in one answer.
const QUEUE_ROWS_MAX: usize = 1000;
/// Rows of the queue where the question names no limit.
const QUEUE_ROWS_DEFAULT: usize = 100;

/// `/metrics`, `/healthz`, `/readyz`.
pub fn metrics_routes(health: Health) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(health)
}

/// `/v1/journey`, `/v1/queue`.
pub fn people_routes(store: Store) -> Router {
    Router::new().route("/v1/journey", get(journey)).route("/v1/queue", get(queue)).with_state(store)
}

async fn metrics(State(health): State<Health>) -> Response {
    health.refresh().await;
    match health.metrics().text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn healthz(State(health): State<Health>) -> Response {
    said(health.alive().await)
}

async fn readyz(State(health): State<Health>) -> Response {
    said(health.ready().await)
}

fn said(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct JourneyQuestion {
    message_id: Option<String>,
    id: Option<Uuid>,
}

async fn journey(State(store): State<Store>, Query(question): Query<JourneyQuestion>) -> Response {
    let of = match (question.message_id, question.id) {
        (Some(field), None) => JourneyOf::MessageIdField(field.trim().trim_matches(['<', '>']).to_owned()),
        (None, Some(id)) => JourneyOf::Message(MessageId(id)),
        _ => return wrong("ask for either message-id= or id="),
    };
    match store.journey(of, EVENTS_MAX).await {
        Ok(events) => Json(events).into_response(),
        Err(error) => unavailable(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueQuestion {
    limit: Option<usize>,
    after: Option<String>,
}

/// A page of the queue.
#[derive(Debug, Serialize)]
pub struct QueuePage {
    /// Oldest first.
    pub items: Vec<Queued>,
    /// For `after=`, where there may be more.
    pub next: Option<String>,
}

async fn queue(State(store): State<Store>, Query(question): Query<QueueQuestion>) -> Response {
    let limit = question.limit.unwrap_or(QUEUE_ROWS_DEFAULT).clamp(1, QUEUE_ROWS_MAX);
    let after = match question.after.as_deref().map(read_mark) {
        Some(None) => return wrong("after= takes what `next` of the page before says"),
        Some(mark) => mark,
        None => None,
    };
    match store.queue(after, limit).await {
        Ok(rows) => {
            let next = (rows.len() == limit).then(|| rows.last().map(|(index, row)| mark(row.message, *index)));
            Json(QueuePage { next: next.flatten(), items: rows.into_iter().map(|(_, row)| row).collect() })
                .into_response()
        }
        Err(error) => unavailable(&error),
    }
}

/// A place in the queue: message and recipient.
fn mark(message: Uuid, index: RecipientIndex) -> String {
    format!("{}.{}", message.simple(), index.0)
}

fn read_mark(text: &str) -> Option<(MessageId, RecipientIndex)> {
    let (message, index) = text.split_once('.')?;
    Some((MessageId(message.parse().ok()?), RecipientIndex(index.parse().ok()?)))
}

fn wrong(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
}

fn unavailable(error: &StoreError) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_nonsense_does_not() {
        let id = Uuid::now_v7();
        assert_eq!(read_mark(&mark(id, RecipientIndex(7))), Some((MessageId(id), RecipientIndex(7))));
        for text in ["", ".", "x.1", "1", "00000000000000000000000000000000.", "00000000000000000000000000000000.-1"] {
            assert_eq!(read_mark(text), None, "{text}");
        }
    }
}
