//! Applies resources to a data directory and a running MTA: all of it, or nothing and a reason.
//!
//! Preparing reads and makes keys and passwords; it may take long, so it never runs on the runtime's threads.
//! Only what differs from the store is written, only what is not declared any more is deleted.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use paquebot_mta::{
    serve::{ServeError, Server},
    store::{DirectoryChange, DirectorySet, Store, StoreError},
};
use paquebot_mta_api::{
    address::{Address, Domain},
    config::Config,
    directory::{Entry, LoginKeys, Value},
};

use super::{
    certificate::{self, Certificate},
    data::{DataDir, DataError},
    dkim,
    passwords::{Passwords, login_keys},
    plan::{self, PlanError},
    settings::Settings,
};
use crate::{
    dns::Record,
    load::{self, Problem, Resources},
};

/// Local mode has one writer, which the lock on the data directory ensures.
const EPOCH: u64 = 1;

/// Why nothing was applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The YAML.
    #[error("{}", crate::cli::output::listed(.0).trim_end())]
    Invalid(Vec<Problem>),
    /// The resources together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The store.
    #[error("{0}; {advice}", advice = advice(.0))]
    Store(#[from] StoreError),
    /// The MTA.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The system gives no random numbers, or a thread died.
    #[error("{0}: try again, and look for what the system lacks (memory, entropy)")]
    System(&'static str),
}

/// What to do about a store that does not serve.
fn advice(fault: &StoreError) -> &'static str {
    match fault {
        StoreError::Unavailable(_) | StoreError::Full(_) => {
            "free space or mend the disk of the data directory, then try again"
        }
        StoreError::Corrupt(_) => "restore the data directory from a copy, or give another one with --data",
        StoreError::Fenced | StoreError::Conflict(_) => {
            "nothing was changed; run the program that wrote the data directory, or give another one with --data"
        }
    }
}

/// Where resources are applied to.
#[derive(Debug, Clone)]
pub struct Target {
    /// YAML files and folders.
    pub files: Vec<PathBuf>,
    /// The data directory.
    pub data: Arc<DataDir>,
    /// What no resource says.
    pub settings: Settings,
    /// Where it listens.
    pub address: IpAddr,
    passwords: Arc<Mutex<Passwords>>,
}

/// All that follows from the resources, ready to be applied.
#[derive(Debug)]
pub struct Prepared {
    /// For the MTA.
    pub config: Config,
    /// For the directory.
    pub entries: Vec<Entry>,
    /// To publish, by domain.
    pub records: Vec<(Domain, Vec<Record>)>,
    /// Who logs in.
    pub addresses: Vec<Address>,
    /// What is served.
    pub certificate: Certificate,
    /// What local mode leaves out.
    pub left_out: Vec<String>,
}

/// What an edit changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changed {
    /// Entries of the directory put, new or replaced.
    pub put: usize,
    /// Entries of the directory deleted.
    pub deleted: usize,
    /// The MTA's settings or certificate.
    pub settings: bool,
    /// The records to publish.
    pub records: bool,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.put > 0 || self.deleted > 0 {
            parts.push(format!("entries of the directory: {} put, {} deleted", self.put, self.deleted));
        }
        if self.settings {
            parts.push("the server's settings are new".to_owned());
        }
        if self.records {
            parts.push("the DNS records to publish are others (`paquebot dns` shows them)".to_owned());
        }
        f.write_str(if parts.is_empty() { "nothing follows from it" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

impl Target {
    /// A target in this data directory.
    pub fn new(
        files: Vec<PathBuf>,
        data: Arc<DataDir>,
        settings: Settings,
        address: IpAddr,
    ) -> Result<Self, DataError> {
        let passwords = Arc::new(Mutex::new(Passwords::open(&data)?));
        Ok(Self { files, data, settings, address, passwords })
    }

    /// Reads the YAML and prepares all that follows. `before` is what the store has: keys of passwords that did not
    /// change are taken from there. `now_us`: microseconds since 1970 UTC.
    pub async fn prepare(&self, before: DirectorySet, now_us: i64) -> Result<Prepared, ApplyError> {
        let target = self.clone();
        let prepared = tokio::task::spawn_blocking(move || target.prepare_now(&before, now_us));
        prepared.await.map_err(|_| ApplyError::System("preparing ended early"))?
    }

    fn prepare_now(&self, before: &DirectorySet, now_us: i64) -> Result<Prepared, ApplyError> {
        let resources = load::load(&self.files).map_err(ApplyError::Invalid)?;
        let (_, facts) = plan::carrier(&resources)?;
        let now_seconds = u64::try_from(now_us / 1_000_000).unwrap_or(0);
        let certificate = certificate::ensure(&self.data, &facts.hostname, &[self.address], now_seconds)?;
        let make = |it: &load::Loaded<crate::api::MailDomain>| dkim::ensure(&self.data, &it.object, &resources, now_us);
        let keys = resources.domains.iter().map(make).collect::<Result<Vec<_>, _>>()?;
        let addresses = plan::addresses(&resources);
        let logins = self.logins(&resources, &addresses, before)?;
        Ok(Prepared {
            config: plan::config(&resources, &self.settings, self.address, &self.data, &certificate)?,
            entries: plan::entries(&resources, &keys, &|address| logins.get(&address.folded()).cloned()),
            records: plan::records(&resources, &keys)?,
            addresses,
            certificate,
            left_out: plan::left_out(&resources),
        })
    }

    /// The keys of everybody's password; generated passwords are on disk before anything is made of them.
    fn logins(
        &self,
        resources: &Resources,
        addresses: &[Address],
        before: &DirectorySet,
    ) -> Result<BTreeMap<Address, LoginKeys>, ApplyError> {
        let digest_key = self.data.secret("password-digest.key")?;
        let known = known_logins(before);
        let mut passwords = self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
        let mut logins = BTreeMap::new();
        for address in addresses {
            let password = match plan::declared_password(resources, address) {
                Some(declared) => declared,
                None => passwords.ensure(address)?,
            };
            let folded = address.folded();
            let keys = login_keys(password, &digest_key, known.get(&folded).copied())
                .map_err(|_| ApplyError::System("no random numbers"))?;
            logins.insert(folded, keys);
        }
        passwords.save()?;
        Ok(logins)
    }
}

fn known_logins(before: &DirectorySet) -> BTreeMap<Address, &LoginKeys> {
    before
        .entries
        .iter()
        .filter_map(|entry| match &entry.value {
            Value::Mailbox(mailbox) => Some(mailbox.address.folded()).zip(mailbox.login.as_ref()),
            _ => None,
        })
        .collect()
}

/// The difference: what to put, and what to delete. `None`: there is none.
pub fn difference(before: &DirectorySet, wanted: &[Entry]) -> Option<DirectoryChange> {
    let have: BTreeMap<String, &Entry> = before.entries.iter().map(|entry| (entry.value.key(), entry)).collect();
    let want: BTreeMap<String, &Entry> = wanted.iter().map(|entry| (entry.value.key(), entry)).collect();
    let put: Vec<Entry> =
        want.iter().filter(|(key, entry)| have.get(*key) != Some(entry)).map(|(_, entry)| (*entry).clone()).collect();
    // A key of another owner is freed before it is taken.
    let is_other = |key: &String, entry: &Entry| want.get(key).is_none_or(|wanted| wanted.owner != entry.owner);
    let gone = have.into_iter().filter(|(key, entry)| is_other(key, entry)).map(|(key, _)| key);
    let delete: Vec<String> = gone.chain(before.unreadable.iter().cloned()).collect();
    // A store that never had a directory is not ready, so its first one is written even if it is empty.
    let same = put.is_empty() && delete.is_empty() && before.complete;
    (!same).then_some(DirectoryChange { epoch: EPOCH, base: None, delete, put, complete: true })
}

/// Writes the difference to the store; all of it or nothing. Says what changed of the directory.
pub async fn write(store: &Store, before: &DirectorySet, wanted: &[Entry]) -> Result<Changed, StoreError> {
    let Some(change) = difference(before, wanted) else { return Ok(Changed::default()) };
    let changed = Changed { put: change.put.len(), deleted: change.delete.len(), ..Changed::default() };
    store.change_directory(change).await.map_err(StoreError::from)?;
    Ok(changed)
}

/// Applies the YAML as it is now to a running server. On an error the running state is what it was.
pub async fn again(
    target: &Target,
    server: &Server,
    running: &Prepared,
    now_us: i64,
) -> Result<(Prepared, Changed), ApplyError> {
    let before = server.store().directory().await?;
    let prepared = target.prepare(before.clone(), now_us).await?;
    let other = prepared.config != running.config;
    if other {
        server.reload(prepared.config.clone()).await?;
    }
    let written = write(server.store(), &before, &prepared.entries).await;
    match written {
        Ok(directory) => {
            server.directory_changed().await?;
            let settings = other || prepared.certificate.fingerprint != running.certificate.fingerprint;
            let changed = Changed { settings, records: prepared.records != running.records, ..directory };
            Ok((prepared, changed))
        }
        Err(error) => {
            if other {
                server.reload(running.config.clone()).await?;
            }
            Err(error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use paquebot_mta_api::directory::{AliasEntry, DomainEntry};
    use uuid::Uuid;

    use super::*;

    fn domain(name: &str) -> Entry {
        let value = Value::Domain(DomainEntry { domain: name.parse().unwrap(), id: Uuid::nil(), catch_all: None });
        Entry::new(Uuid::nil(), value)
    }

    fn alias(name: &str, to: &str) -> Entry {
        let value = Value::Alias(AliasEntry { address: name.parse().unwrap(), to: vec![to.parse().unwrap()] });
        Entry::new(Uuid::nil(), value)
    }

    #[test]
    fn only_what_differs() {
        let before = DirectorySet {
            revision: 3,
            complete: true,
            entries: vec![
                domain("a.example"),
                alias("x@a.example", "y@a.example"),
                alias("z@a.example", "y@a.example"),
            ],
            unreadable: vec![],
        };
        let same: Vec<Entry> = before.entries.iter().rev().cloned().collect();
        assert_eq!(difference(&before, &same), None);
        let wanted = [domain("a.example"), alias("x@a.example", "other@a.example"), domain("b.example")];
        let change = difference(&before, &wanted).unwrap();
        let put: Vec<_> = change.put.iter().map(|entry| entry.value.key()).collect();
        assert_eq!(put, ["alias/x@a.example", "domain/b.example"]);
        assert_eq!(change.delete, ["alias/z@a.example"]);
        assert!(change.complete && change.base.is_none());
    }

    #[test]
    fn what_another_owned_or_nobody_can_read_is_deleted_first() {
        let theirs = Entry { owner: Uuid::from_u128(7), ..domain("a.example") };
        let unreadable = vec!["domain/b.example".to_owned()];
        let before = DirectorySet { revision: 3, complete: true, entries: vec![theirs], unreadable };
        let change = difference(&before, &[domain("a.example"), domain("b.example")]).unwrap();
        assert_eq!(change.delete, ["domain/a.example", "domain/b.example"]);
        assert_eq!(change.put, [domain("a.example"), domain("b.example")]);
    }

    #[test]
    fn each_fault_of_the_store_has_its_own_advice() {
        for (fault, words) in [
            (StoreError::Unavailable("x".into()), "mend the disk"),
            (StoreError::Full("x".into()), "free space"),
            (StoreError::Corrupt("x".into()), "restore"),
            (StoreError::Conflict("the store's schema is version 2".into()), "run the program that wrote"),
        ] {
            let text = ApplyError::from(fault).to_string();
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn an_edit_in_words() {
        for (changed, words) in [
            (Changed::default(), "nothing follows from it"),
            (Changed { put: 2, deleted: 1, ..Changed::default() }, "entries of the directory: 2 put, 1 deleted"),
            (
                Changed { settings: true, records: true, ..Changed::default() },
                "the server's settings are new, the DNS records to publish are others (`paquebot dns` shows them)",
            ),
        ] {
            assert_eq!(changed.to_string(), words);
        }
    }

    #[test]
    fn a_new_store_gets_a_first_revision() {
        let none = DirectorySet::default();
        assert!(difference(&none, &[]).is_some());
    }
}
