//! What must hold of each object and across objects. Calls the same pure functions as the operator.

use super::{Problem, Resources};

/// What must hold of each object.
pub fn each(_resources: &Resources) -> Vec<Problem> {
    Vec::new()
}

/// What must hold across objects.
pub fn together(_resources: &Resources) -> Vec<Problem> {
    Vec::new()
}

/// Makes the MailServers that domains use without naming one.
pub fn add_default_servers(_resources: &mut Resources) {}
