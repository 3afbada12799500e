//! DKIM signatures (RFC 6376, RFC 8301, RFC 8463).
//!
//! - [`Signers`]: signs off the runtime, keys parsed once: what the server calls.
//! - [`key`]: a private key, ready to sign.
//! - [`field`]: the DKIM-Signature field: which fields are signed, how it is written.

use std::{num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use moka::sync::Cache;
use paquebot_mta_api::directory::DkimKeyEntry;
use tokio::sync::Semaphore;

pub mod field;
pub mod key;

pub use key::SigningKey;

use crate::{message::canonical::Hash, time::Micros};

/// Parsed keys kept; a rarely used one is parsed again.
const KEYS_MAX: u64 = 4096;
/// A key that has not signed for so long leaves the memory: it may have been withdrawn.
const KEY_IDLE_MAX: Duration = Duration::from_secs(3600);
/// Signatures of one message: a domain has two keys, and four while they rotate.
pub const SIGNATURES_MAX: usize = 4;

/// Why a message was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key in the directory cannot be used.
    #[error("the DKIM key {selector}._domainkey.{domain} cannot be used: {why}; replace its Secret")]
    Key {
        /// The selector.
        selector: String,
        /// The domain.
        domain: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The signature could not be made.
    #[error("signing failed: {0}; the message may be sent again")]
    Failed(&'static str),
}

/// Signs messages on a bounded pool: an RSA signature costs a core most of a millisecond.
#[derive(Clone)]
pub struct Signers {
    keys: Cache<Hash, Arc<SigningKey>>,
    permits: Arc<Semaphore>,
}

impl Default for Signers {
    fn default() -> Self {
        Self {
            keys: Cache::builder().max_capacity(KEYS_MAX).time_to_idle(KEY_IDLE_MAX).build(),
            permits: Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))),
        }
    }
}

/// What was signed, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signatures {
    /// The DKIM-Signature fields, one a key, each ended by CRLF; to be put before the header.
    pub fields: String,
    /// For the journey: domain, algorithms and selectors of the keys that signed; empty where none did.
    pub words: String,
}

impl Signatures {
    fn add(&mut self, field: &str, key: &SigningKey) {
        self.fields.push_str(field);
        if self.words.is_empty() {
            self.words = format!("DKIM d={}: ", key.domain);
        } else {
            self.words.push_str(", ");
        }
        self.words.push_str(&format!("{} s={}", key.algorithm(), key.selector));
    }
}

impl Signers {
    /// Signs with each of a domain's keys. `header` is what is passed on, `body_hash` the relaxed one.
    pub async fn sign(
        &self,
        header: bytes::Bytes,
        body_hash: Hash,
        keys: &[Arc<DkimKeyEntry>],
        now: Micros,
    ) -> Result<Signatures, SignError> {
        if keys.is_empty() {
            return Ok(Signatures::default());
        }
        let keys: Vec<_> = keys.iter().take(SIGNATURES_MAX).cloned().collect();
        let cache = self.keys.clone();
        let closed = |_| SignError::Failed("the pool has ended");
        let permit = self.permits.clone().acquire_owned().await.map_err(closed)?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            sign_with_each(&cache, &header, &body_hash, &keys, now)
        })
        .await
        .map_err(|_| SignError::Failed("the pool has ended"))?
    }
}

/// One key that cannot be used must not stop a domain's mail while another can: it is logged.
fn sign_with_each(
    cache: &Cache<Hash, Arc<SigningKey>>,
    header: &[u8],
    body_hash: &Hash,
    keys: &[Arc<DkimKeyEntry>],
    now: Micros,
) -> Result<Signatures, SignError> {
    let mut signed = Signatures::default();
    let mut failed = None;
    for entry in keys {
        let key = parsed(cache, entry);
        match key.and_then(|key| Ok((field::sign(header, body_hash, &key, now)?, key))) {
            Ok((field, key)) => signed.add(&field, &key),
            Err(error) => {
                tracing::error!(%error, "a DKIM key was left out");
                failed.get_or_insert(error);
            }
        }
    }
    failed.filter(|_| signed.fields.is_empty()).map_or(Ok(signed), Err)
}

fn parsed(cache: &Cache<Hash, Arc<SigningKey>>, entry: &DkimKeyEntry) -> Result<Arc<SigningKey>, SignError> {
    let id = SigningKey::id(entry);
    if let Some(key) = cache.get(&id) {
        return Ok(key);
    }
    let key = Arc::new(SigningKey::parse(entry)?);
    cache.insert(id, key.clone());
    Ok(key)
}
