//! DNS records: what they are, and how they are written down.
//!
//! - [`zone`]: as a zone file (RFC 1035 §5), which every name server reads.
//! - [`table`]: as a table, to be copied into a provider's form.
//! - [`endpoint`]: for external-dns, which publishes them.
//! - [`resolvers`]: which resolvers are asked.
//! - [`verify`]: whether the authoritative servers answer them.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use paquebot_mta_api::address::Domain;
use serde::{Deserialize, Serialize};

mod endpoint;
mod resolvers;
mod table;
pub mod verify;
mod zone;

pub use endpoint::endpoint;
pub use resolvers::{ResolverError, resolver_address, resolvers};
pub use table::table;
pub use zone::zone_text;

/// Octets of one character-string in a TXT record at most (RFC 1035 §3.3).
pub const TXT_STRING_OCTETS_MAX: usize = 255;

/// Octets of a record's id at most, as the status' schema has it.
pub const ID_OCTETS_MAX: usize = 253;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Which record it is, unique and stable: `spf`, `dkim/20261123-rsa`, `host/192.0.2.10`. At most
    /// [`ID_OCTETS_MAX`].
    pub id: String,
    /// The absolute name, without the last dot.
    pub name: String,
    /// Seconds that resolvers may keep it.
    pub ttl_seconds: u32,
    /// Type and value.
    #[serde(flatten)]
    pub data: Data,
    /// It belongs in a zone of somebody else, and is shown only.
    pub elsewhere: bool,
}

/// Type and value of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "UPPERCASE", rename_all_fields = "camelCase")]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Where mail goes.
    Mx {
        /// The lowest is tried first.
        preference: u16,
        /// The host.
        host: Domain,
    },
    /// Text of any length; split where it is written.
    Txt(String),
    /// Where a service is.
    Srv {
        /// The lowest is tried first.
        priority: u16,
        /// The share among equals.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: Domain,
    },
}

impl Data {
    /// The type's name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::A(_) => "A",
            Self::Aaaa(_) => "AAAA",
            Self::Mx { .. } => "MX",
            Self::Txt(_) => "TXT",
            Self::Srv { .. } => "SRV",
        }
    }

    /// The value as people read it: text in one piece, names without the last dot.
    pub fn plain(&self) -> String {
        match self {
            Self::A(address) => address.to_string(),
            Self::Aaaa(address) => address.to_string(),
            Self::Mx { preference, host } => format!("{preference} {host}"),
            Self::Txt(text) => text.clone(),
            Self::Srv { priority, weight, port, target } => format!("{priority} {weight} {port} {target}"),
        }
    }
}

/// The key in a domain's ConfigMap under which programs find the records, as JSON.
pub const RECORDS_KEY: &str = "records.json";

/// What the ConfigMap of a domain holds: `zone`, to be included into any zone, `table`, to be read and copied, and
/// [`RECORDS_KEY`] for programs.
pub fn config_map_data(records: &[Record]) -> BTreeMap<String, String> {
    let json = serde_json::to_string(records).unwrap_or_default();
    let pairs = [("zone", zone_text(records)), ("table", table(records)), (RECORDS_KEY, json)];
    pairs.into_iter().map(|(key, text)| (key.to_owned(), text)).collect()
}

/// The pieces of a text that fit into character-strings, never cutting a character.
pub fn txt_pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let mut end = rest.len().min(TXT_STRING_OCTETS_MAX);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        pieces.push(piece);
        if after.is_empty() {
            return pieces;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests;
