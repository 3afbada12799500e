//! Settings of the local process that no resource has: ports, name servers, how mail leaves.
//!
//! The defaults serve a newcomer; the demo and the tests give a file (YAML), as the MTA's own configuration has them.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use paquebot_mta_api::config::{Delivery, Limits, Listener, Protocol};
use serde::{Deserialize, Serialize};

use super::data::{self, DataError};

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Where it listens.
    pub ports: Ports,
    /// Name servers to ask; empty: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// How mail leaves.
    pub delivery: Delivery,
    /// What one client may use.
    pub limits: Limits,
}

impl Settings {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let octets = data::read(path)?.ok_or_else(|| DataError::broken(path, "there is no such file"))?;
        serde_yaml::from_slice(&octets).map_err(|error| DataError::broken(path, error))
    }
}

/// Ports that need no privilege: the well-known ones after a 2, 993 and the like included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ports {
    /// Instead of 25.
    pub smtp: u16,
    /// Instead of 587.
    pub submission: u16,
    /// Instead of 465.
    pub submissions: u16,
    /// Instead of 110.
    pub pop3: u16,
    /// Instead of 995.
    pub pop3s: u16,
    /// `/metrics`, `/healthz`, `/readyz`.
    pub metrics: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { smtp: 2525, submission: 2587, submissions: 2465, pop3: 2110, pop3s: 2995, metrics: 2080 }
    }
}

impl Ports {
    /// The mail listeners on this address.
    pub fn listeners(&self, address: IpAddr) -> Vec<Listener> {
        [
            (Protocol::Smtp, self.smtp),
            (Protocol::Submission, self.submission),
            (Protocol::Submissions, self.submissions),
            (Protocol::Pop3, self.pop3),
            (Protocol::Pop3s, self.pop3s),
        ]
        .map(|(protocol, port)| Listener { protocol, address: SocketAddr::new(address, port) })
        .to_vec()
    }

    /// All of them, in the order of the fields.
    pub fn all(&self) -> [u16; 6] {
        [self.smtp, self.submission, self.submissions, self.pop3, self.pop3s, self.metrics]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_some_settings() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("settings.yaml");
        std::fs::write(&path, "ports: {smtp: 3525}\ndelivery: {port: 3525, retry: {firstMs: 200}}\n").unwrap();
        let settings = Settings::read(&path).unwrap();
        assert_eq!((settings.ports.smtp, settings.ports.pop3), (3525, 2110));
        assert_eq!((settings.delivery.port, settings.delivery.retry.first_ms), (3525, 200));
        std::fs::write(&path, "prots: {}\n").unwrap();
        assert!(Settings::read(&path).unwrap_err().to_string().contains("prots"));
        assert!(Settings::read(&base.path().join("none")).is_err());
    }
}
