//! Kubernetes Events: what a person wants to know, not each reconcile. A lost event is no fault.

use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use super::apply::within;

/// Octets of an event's note at most (the API allows 1,024).
const NOTE_OCTETS_MAX: usize = 1000;

/// Tells people.
#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// As this process.
    pub fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter { controller: "paquebot-operator".to_owned(), instance: Some(instance) };
        Self(Recorder::new(client, reporter))
    }

    /// Tells of a resource.
    pub async fn tell<K: Resource<DynamicType = ()>>(&self, resource: &K, warning: bool, reason: &str, note: &str) {
        let mut end = note.len().min(NOTE_OCTETS_MAX);
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: note.get(..end).map(str::to_owned),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let reference = resource.object_ref(&());
        if let Err(error) = within("an event could not be written".to_owned(), self.0.publish(&event, &reference)).await
        {
            tracing::debug!(%error, "an event is lost");
        }
    }
}
