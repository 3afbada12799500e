//! The Secret with the key that seals DKIM keys in the store. Made once: who loses it loses the sealed keys.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::names;
use crate::{api::MailServer, names::labels, server::config::SEAL_KEY};

/// The length of the key: XChaCha20-Poly1305 and AES-256-GCM take 32 octets.
pub const SEAL_KEY_OCTETS: usize = 32;

/// The Secret, of octets that the caller drew at random. It cannot be edited, and nobody owns it: like the volume
/// whose keys it opens it outlives the MailServer.
pub fn build(server: &MailServer, namespace: &str, key: &[u8; SEAL_KEY_OCTETS]) -> Secret {
    let names = names(server);
    Secret {
        metadata: ObjectMeta {
            name: Some(names.seal_key),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels(&names.base, "seal-key")),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        immutable: Some(true),
        data: Some(BTreeMap::from([(SEAL_KEY.to_owned(), ByteString(key.to_vec()))])),
        ..Secret::default()
    }
}
