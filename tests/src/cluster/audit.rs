//! Who asked the API server for what, by its own audit log: every write, and every read but those of Kubernetes' own
//! parts; no contents.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use serde_json::Value;

use super::Cluster;

/// One request that was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// As the API server knows it: `admin`, `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// What the client calls itself.
    pub agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Plural, with the subresource where there is one: `maildomains/status`.
    pub resource: String,
    /// Empty where it has none.
    pub namespace: String,
    /// Empty for lists.
    pub name: String,
    /// HTTP status.
    pub code: u64,
    /// No rule gives the user the right.
    pub denied: bool,
}

impl Request {
    /// Whether it changes something.
    pub fn writes(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    fn read(line: &str) -> Option<Self> {
        let event: Value = serde_json::from_str(line).ok()?;
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut resource = text("/objectRef/resource");
        let subresource = text("/objectRef/subresource");
        if !subresource.is_empty() {
            resource = format!("{resource}/{subresource}");
        }
        // A watch is known when it starts; all else when it is answered.
        let (stage, verb) = (text("/stage"), text("/verb"));
        let counts = if verb == "watch" { stage == "ResponseStarted" } else { stage == "ResponseComplete" };
        counts.then(|| Self {
            user: text("/user/username"),
            agent: text("/userAgent"),
            verb,
            resource,
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default(),
            denied: text("/annotations/authorization.k8s.io~1decision") == "forbid",
        })
    }
}

/// The log from some moment on.
#[derive(Debug)]
pub struct Audit {
    file: PathBuf,
    from: u64,
}

impl Cluster {
    /// The audit log from now on.
    pub fn audit(&self) -> Audit {
        let file = self.folder().join("log/audit.log");
        let from = file.metadata().map_or(0, |metadata| metadata.len());
        Audit { file, from }
    }
}

impl Audit {
    /// What was asked since, in order of the answers.
    pub fn requests(&self) -> Vec<Request> {
        let mut text = Vec::new();
        let mut file = File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(self.from)).unwrap();
        file.read_to_end(&mut text).unwrap();
        // The last line may be half written: it is no JSON yet.
        String::from_utf8_lossy(&text).lines().filter_map(Request::read).collect()
    }
}
