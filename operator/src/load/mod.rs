//! YAML files and folders into resources. Reads files, decides nothing; reports every problem, and
//! gives resources only where there is none.
//!
//! - [`files`]: which files, within limits.
//! - [`yaml`]: text into documents and plain values, within limits.
//! - [`schema`]: a value against the schema of its kind: defaults set, every deviation named.
//! - [`near`]: the nearest known word.
//! - [`lines`]: the line of a field.
//! - [`object`]: a document into a resource.
//! - [`problem`]: what is wrong, where, and what to write instead.
//! - [`secret`]: `v1` Secrets.
//! - [`check`]: what must hold across objects.

pub mod check;
mod files;
mod lines;
pub mod near;
mod object;
mod problem;
pub mod schema;
mod secret;
mod yaml;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use files::is_read;
pub use object::Object;
pub use problem::{Problem, Source};
pub use secret::Secret;

use crate::api::{MailDomain, MailServer, Mailbox, refs::SecretKeyRef};

/// An object, and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<T> {
    /// Where it was written.
    pub source: Source,
    /// The object; its namespace is always set.
    pub object: T,
}

/// All that was declared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// The mail domains, in the order of files and documents.
    pub domains: Vec<Loaded<MailDomain>>,
    /// The mail servers, those made by default included.
    pub servers: Vec<Loaded<MailServer>>,
    /// The mailboxes.
    pub mailboxes: Vec<Loaded<Mailbox>>,
    /// The secrets that they refer to.
    pub secrets: Vec<Loaded<Secret>>,
}

impl Resources {
    /// The value of a Secret that a resource of this namespace refers to.
    pub fn secret(&self, namespace: &str, reference: &SecretKeyRef) -> Option<&[u8]> {
        let named = |it: &&Loaded<Secret>| it.object.name == reference.name && it.object.namespace == namespace;
        self.secrets.iter().find(named)?.object.get(&reference.key)
    }

    /// The server that carries a domain.
    pub fn server(&self, domain: &MailDomain) -> Option<&MailServer> {
        check::find_server(&self.servers, domain).map(|it| &it.object)
    }
}

/// Reads files and folders (not their sub-folders), validates each object and all of them together.
///
/// # Errors
/// Every problem there is, in the order of files and documents; nothing is half loaded.
pub fn load(paths: &[PathBuf]) -> Result<Resources, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut resources = Resources::default();
    for file in files::find(paths, &mut problems) {
        match files::read(&file) {
            Ok(text) => add(&file, &text, &mut resources, &mut problems),
            Err(problem) => problems.push(problem),
        }
    }
    finish(resources, problems)
}

/// The same for a text that is already there; `file` is the name used in problems.
///
/// # Errors
/// As [`load`].
pub fn load_text(file: &Path, text: &str) -> Result<Resources, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut resources = Resources::default();
    add(file, text, &mut resources, &mut problems);
    finish(resources, problems)
}

fn add(file: &Path, text: &str, resources: &mut Resources, problems: &mut Vec<Problem>) {
    for document in yaml::documents(file, text) {
        let loaded = document.and_then(|document| object::read(&document));
        match loaded {
            Ok(Some(Object::Domain(it))) => resources.domains.push(*it),
            Ok(Some(Object::Server(it))) => resources.servers.push(*it),
            Ok(Some(Object::Mailbox(it))) => resources.mailboxes.push(*it),
            Ok(Some(Object::Secret(it))) => resources.secrets.push(*it),
            Ok(None) => {}
            Err(found) => problems.extend(found),
        }
    }
}

fn finish(mut resources: Resources, mut problems: Vec<Problem>) -> Result<Resources, Vec<Problem>> {
    problems.extend(check::each(&resources));
    // What refers to an object that could not be read would be reported as missing.
    if problems.is_empty() {
        check::add_default_servers(&mut resources);
        problems.extend(check::together(&resources));
    }
    if problems.is_empty() { Ok(resources) } else { Err(problems) }
}
