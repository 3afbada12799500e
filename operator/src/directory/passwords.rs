//! The keys of a password, derived only for what is put. Passwords come from the caller, one by one, and are neither
//! kept nor shown.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;
use paquebot_mta_api::{
    address::Address,
    directory::{Entry, LoginKeys, MailboxEntry, Value},
    password::{ITERATIONS, SALT_BYTES},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// A password, and the key of its digest in the directory.
#[derive(Clone)]
pub struct Password {
    /// In clear.
    pub text: String,
    /// The key with which [`LoginKeys::digest`] made the digest in the desired entry.
    pub digest_key: Arc<[u8]>,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Gives passwords.
pub trait Passwords: Send + Sync {
    /// The password of the mailbox that this resource owns. An error says what to do, and names no password.
    fn password(&self, owner: Uuid, address: Address) -> BoxFuture<'_, Result<Password, String>>;
}

/// Why a mailbox's entry cannot be put now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// There is no password.
    #[error("{0}")]
    Absent(String),
    /// It is another one than that of the entry: the entry of the new one is on its way.
    #[error("the password was changed a moment ago: it is taken up with the next look at its Secret")]
    Changed,
    /// The computer gave no random numbers, or is being stopped.
    #[error("no key could be derived: try again later")]
    Failed,
}

/// The entry as it is written: with keys, where it has a password. `slots` bounds how many are derived at once.
pub async fn derived(entry: &Entry, passwords: &dyn Passwords, slots: &Semaphore) -> Result<Entry, NoKeys> {
    let Value::Mailbox(mailbox) = &entry.value else { return Ok(entry.clone()) };
    let Some(wanted) = mailbox.login.as_ref().filter(|keys| keys.is_underived()) else { return Ok(entry.clone()) };
    let password = passwords.password(entry.owner, mailbox.address.clone()).await.map_err(NoKeys::Absent)?;
    if LoginKeys::digest(&password.text, &password.digest_key) != wanted.password_digest {
        return Err(NoKeys::Changed);
    }
    let _slot = slots.acquire().await.map_err(|_| NoKeys::Failed)?;
    let keys = tokio::task::spawn_blocking(move || derive(&password)).await.map_err(|_| NoKeys::Failed)?;
    let login = Some(keys.ok_or(NoKeys::Failed)?);
    Ok(Entry { value: Value::Mailbox(MailboxEntry { login, ..mailbox.clone() }), ..*entry })
}

fn derive(password: &Password) -> Option<LoginKeys> {
    let mut salt = [0; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).ok()?;
    Some(LoginKeys::derive(&password.text, &salt, ITERATIONS, &password.digest_key))
}
