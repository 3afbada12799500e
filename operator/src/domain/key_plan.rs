//! Which DKIM keys are made, sign, and stand in the DNS. Pure.
//!
//! A key goes Generated → Published → Active → Retiring → Revoked, each at most once under its selector. A lost key
//! is never made again: its successor has another selector, and signs when its record is seen; until then the servers
//! go on with the sealed copy that they have. The first key of an algorithm signs at once, because nothing else could.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    ByteString,
    jiff::{SignedDuration, Timestamp},
};
use paquebot_mta_api::directory::KeyAlgorithm;

use super::{
    PublicKey,
    key_secret::{self, Found, SecretFault},
    keys::{self, KeyPair},
};
use crate::api::{
    MailDomain,
    domain::{Algorithm, DkimKey, KeyState, KeyStatus, RecordStatus, VerificationMode},
};

/// Hours that the record of a key stays after its last signature: mail is under way for five days at most, and a
/// receiver may check it some days later.
pub const RETIRING_HOURS: i64 = 7 * 24;
/// Keys in a status at most; the oldest revoked ones are forgotten first.
pub const KEYS_MAX: usize = 32;

/// What is known of a domain's keys.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The domain.
    pub domain: &'a MailDomain,
    /// What the Secrets with our labels hold ([`key_secret::read`]). Read from the API server, not from a cache: what
    /// is not among them counts as lost.
    pub found: &'a [Found],
    /// The data of the Secret of each import, in the order of `spec.dkim.imported`; `None`: there is no such Secret.
    pub imports: &'a [Option<&'a BTreeMap<String, ByteString>>],
    /// Selectors of the domain's keys in the servers' directory; `None`: it could not be asked.
    pub sealed: Option<&'a BTreeSet<String>>,
    /// Selectors whose record every authoritative server gives ([`verified`]).
    pub verified: &'a BTreeSet<String>,
    /// The time.
    pub now: Timestamp,
}

/// What follows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Keys to make now: their Secrets come first, all else follows when they are there.
    pub make: Vec<NewKey>,
    /// Keys for the directory.
    pub sign_with: Vec<KeyPair>,
    /// Keys whose records belong in the DNS.
    pub publish: Vec<PublicKey>,
    /// Selectors in the directory to leave alone: their Secret is lost, their sealed copy goes on signing.
    pub keep_sealed: Vec<String>,
    /// What the status says of the keys.
    pub status: Vec<KeyStatus>,
    /// What people should know.
    pub findings: Vec<KeyFinding>,
    /// When to plan again, if nothing happens before: a record is withdrawn then.
    pub due: Option<Timestamp>,
}

impl Plan {
    /// The plan where no key can be made now: of those that it wants made nothing is said.
    #[must_use]
    pub fn without_new(mut self) -> Self {
        self.status.retain(|key| !self.make.iter().any(|new| new.selector == key.selector));
        self.make.clear();
        self
    }

    /// Whether mail is signed under it.
    pub fn signs(&self) -> bool {
        !self.sign_with.is_empty() || !self.keep_sealed.is_empty()
    }
}

/// A key to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewKey {
    /// Its selector.
    pub selector: String,
    /// Algorithm and size: for [`keys::generate`].
    pub key: DkimKey,
}

/// Something that people should know of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFinding {
    /// CamelCase, for programs.
    pub reason: &'static str,
    /// A sentence that says what to do.
    pub message: String,
    /// Whether something that the spec asks for is not there because of it.
    pub blocking: bool,
}

/// Selectors whose records are verified, from a status.
pub fn verified(records: &[RecordStatus]) -> BTreeSet<String> {
    let good = records.iter().filter(|it| it.state == "Verified");
    good.filter_map(|it| it.id.strip_prefix("dkim/")).map(str::to_owned).collect()
}

/// What follows from what is known of a domain's keys.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let mut plan = Plan::default();
    let Some(name) = super::name(inputs.domain) else { return plan };
    let mut planner = Planner { inputs, name: name.as_str(), keys: BTreeMap::new(), plan: &mut plan };
    planner.collect();
    planner.import();
    for wanted in &inputs.domain.spec.dkim.keys {
        planner.want(wanted);
    }
    planner.retire();
    planner.say();
    plan
}

/// A key, as far as it is known.
struct Key {
    status: KeyStatus,
    pair: Option<KeyPair>,
    /// The directory has it, or might have it.
    sealed: bool,
    /// It is made here, not imported.
    ours: bool,
    /// The spec wants it.
    wanted: bool,
}

impl Key {
    fn can_sign(&self) -> bool {
        self.status.state == KeyState::Active && (self.pair.is_some() || self.sealed)
    }
}

struct Planner<'a> {
    inputs: &'a Inputs<'a>,
    name: &'a str,
    keys: BTreeMap<String, Key>,
    plan: &'a mut Plan,
}

impl Planner<'_> {
    fn sealed(&self, selector: &str) -> bool {
        self.inputs.sealed.is_none_or(|all| all.contains(selector))
    }

    fn find(&mut self, blocking: bool, reason: &'static str, message: String) {
        self.plan.findings.push(KeyFinding { reason, message, blocking });
    }

    fn status(&self, selector: &str, algorithm: Algorithm, state: KeyState) -> KeyStatus {
        KeyStatus {
            selector: selector.to_owned(),
            algorithm,
            state,
            secret_name: Some(key_secret::name(self.name, selector)),
            since: Some(self.inputs.now.to_string()),
            public_key: None,
        }
    }

    /// All keys that the status, the Secrets and the directory know of.
    fn collect(&mut self) {
        for status in self.inputs.domain.status.iter().flat_map(|it| &it.keys) {
            let ours = status.secret_name.as_deref() == Some(&key_secret::name(self.name, &status.selector));
            let sealed = status.state == KeyState::Active && self.sealed(&status.selector);
            let key = Key { status: status.clone(), pair: None, sealed, ours, wanted: false };
            self.keys.insert(status.selector.clone(), key);
        }
        for found in self.inputs.found {
            match &found.stored {
                Ok(stored) => self.take(&stored.key),
                Err(fault) => self.find(
                    false,
                    "KeySecretBroken",
                    format!("the Secret {} holds no usable key: {fault}; delete it", found.secret_name),
                ),
            }
        }
        for selector in self.inputs.sealed.into_iter().flatten() {
            if let (false, Some(algorithm)) = (self.keys.contains_key(selector), keys::algorithm_of(selector)) {
                let status = self.status(selector, algorithm, KeyState::Active);
                self.keys.insert(selector.clone(), Key { status, pair: None, sealed: true, ours: true, wanted: false });
            }
        }
        // Its Secret was never made, or was gone before anybody saw the key: the selector is still free.
        self.keys.retain(|_, key| key.status.state != KeyState::Generated || key.pair.is_some());
    }

    fn take(&mut self, pair: &KeyPair) {
        let fresh = self.status(&pair.selector, spec_algorithm(pair.algorithm), KeyState::Generated);
        let key = self.keys.entry(pair.selector.clone()).or_insert(Key {
            status: fresh,
            pair: None,
            sealed: false,
            ours: true,
            wanted: false,
        });
        key.ours = true;
        key.status.algorithm = spec_algorithm(pair.algorithm);
        key.status.secret_name = Some(key_secret::name(self.name, &pair.selector));
        key.status.public_key = Some(pair.public.clone());
        key.pair = Some(pair.clone());
    }

    /// Keys from elsewhere are published already: they sign as soon as they are there.
    fn import(&mut self) {
        for (index, import) in self.inputs.domain.spec.dkim.imported.iter().enumerate() {
            let (selector, secret) = (&import.selector, &import.secret_ref.name);
            let path = format!("spec.dkim.imported[{index}]");
            if self.keys.get(selector).is_some_and(|key| key.ours && key.pair.is_some()) {
                let message = format!("{path}.selector: {selector} is a key that was made here: leave the import out");
                self.find(true, "ImportedSelectorTaken", message);
                continue;
            }
            let data = self.inputs.imports.get(index).copied().flatten();
            let fault = match (data, key_secret::imported(import, data)) {
                (_, Ok(pair)) => {
                    self.take(&pair);
                    if let Some(key) = self.keys.get_mut(selector) {
                        (key.ours, key.wanted) = (false, true);
                        key.status.secret_name = Some(secret.clone());
                        turn(key, KeyState::Active, self.inputs.now);
                    }
                    continue;
                }
                (None, Err(_)) => ("ImportedSecretMissing", format!("there is no Secret {secret}: make it")),
                (Some(_), Err(SecretFault::Key(fault))) => ("ImportedKeyInvalid", fault.to_string()),
                (Some(_), Err(fault)) => ("ImportedKeyMissing", format!("the Secret {secret}: {fault}: add it")),
            };
            if let Some(key) = self.keys.get_mut(selector) {
                (key.ours, key.wanted) = (false, true);
            }
            self.find(true, fault.0, format!("{path}.secretRef: {}", fault.1));
        }
    }

    /// One key that is to be made here: the newest that fits, or a new one.
    fn want(&mut self, wanted: &DkimKey) {
        let now = self.inputs.now;
        let of_algorithm = |key: &Key| key.ours && key.status.algorithm == wanted.algorithm;
        let fits = |key: &Key| {
            of_algorithm(key)
                && key.status.state != KeyState::Revoked
                && key.pair.as_ref().is_some_and(|it| it.fits(wanted))
        };
        let newest = self.keys.values().filter(|key| fits(key)).max_by_key(|key| age(&key.status.selector));
        let target = newest.map(|key| key.status.selector.clone());
        let others = |key: &Key| of_algorithm(key) && Some(&key.status.selector) != target.as_ref();
        let signers: Vec<String> = (self.keys.values().filter(|key| others(key) && key.can_sign()))
            .map(|key| key.status.selector.clone())
            .collect();
        let inputs = self.inputs;
        let unchecked = inputs.domain.spec.dns.verification.mode == VerificationMode::Disabled;
        let starts = target.as_ref().is_some_and(|selector| {
            let active = self.keys.get(selector).is_some_and(|key| key.status.state == KeyState::Active);
            active || unchecked || signers.is_empty() || self.inputs.verified.contains(selector)
        });
        for key in self.keys.values_mut() {
            if Some(&key.status.selector) == target.as_ref() {
                key.wanted = true;
                turn(key, if starts { KeyState::Active } else { KeyState::Published }, now);
            } else if !starts && signers.contains(&key.status.selector) {
                key.wanted = true;
            }
        }
        if let Some(successor) = target.as_ref().filter(|it| starts && !unchecked && !inputs.verified.contains(*it)) {
            self.lost(wanted.algorithm, successor);
        }
        let successor = target.unwrap_or_else(|| self.make(wanted));
        for selector in signers.iter().filter(|_| !starts) {
            let lost = self.keys.get(selector).is_some_and(|key| key.pair.is_none());
            if lost {
                let secret = key_secret::name(self.name, selector);
                let message = format!(
                    "the Secret {secret} with the DKIM key {selector} is gone: the servers sign with their copy until the name servers give the record of its successor {successor}"
                );
                self.find(false, "KeySecretLost", message);
            }
        }
    }

    /// Keys that are nowhere any more: what signs instead of them cannot be checked by anybody yet.
    fn lost(&mut self, algorithm: Algorithm, successor: &str) {
        let signed = |key: &Key| matches!(key.status.state, KeyState::Active | KeyState::Retiring);
        let gone = |key: &Key| key.ours && key.status.algorithm == algorithm && signed(key) && key.pair.is_none();
        let lost: Vec<String> = self.keys.values().filter(|it| gone(it)).map(|it| it.status.selector.clone()).collect();
        for selector in lost {
            let secret = key_secret::name(self.name, &selector);
            let message = format!(
                "the DKIM key {selector} is lost, its Secret {secret} and the servers' copy are gone: its successor {successor} signs, and receivers can check that when the name servers give its record"
            );
            self.find(false, "KeyLost", message);
        }
    }

    fn make(&mut self, wanted: &DkimKey) -> String {
        let inputs = self.inputs;
        let first = keys::selector(inputs.now.as_microsecond(), wanted.algorithm);
        let taken = |selector: &str| {
            self.keys.contains_key(selector)
                || inputs.sealed.is_some_and(|all| all.contains(selector))
                || inputs.domain.spec.dkim.imported.iter().any(|it| it.selector == selector)
                || inputs.found.iter().any(|it| {
                    it.selector.as_deref() == Some(selector) || it.secret_name == key_secret::name(self.name, selector)
                })
        };
        let selector = keys::free(&first, &taken);
        let status = self.status(&selector, wanted.algorithm, KeyState::Generated);
        self.keys.insert(selector.clone(), Key { status, pair: None, sealed: false, ours: true, wanted: true });
        self.plan.make.push(NewKey { selector: selector.clone(), key: wanted.clone() });
        selector
    }

    /// What is not wanted any more ends: at once if it never signed, after a while if it did.
    fn retire(&mut self) {
        let now = self.inputs.now;
        for key in self.keys.values_mut().filter(|key| !key.wanted) {
            match key.status.state {
                KeyState::Active => turn(key, KeyState::Retiring, now),
                KeyState::Published | KeyState::Generated => turn(key, KeyState::Revoked, now),
                KeyState::Retiring | KeyState::Revoked => {}
            }
        }
        for key in self.keys.values_mut().filter(|key| key.status.state == KeyState::Retiring) {
            let since: Timestamp = key.status.since.as_deref().and_then(|it| it.parse().ok()).unwrap_or(now);
            let end = since.checked_add(SignedDuration::from_hours(RETIRING_HOURS)).unwrap_or(now);
            if end <= now {
                turn(key, KeyState::Revoked, now);
            } else {
                self.plan.due = Some(self.plan.due.map_or(end, |due| due.min(end)));
            }
        }
    }

    /// The keys in the order in which people read them: those that sign, as the spec has them, then those that end.
    fn say(&mut self) {
        let spec = &self.inputs.domain.spec.dkim.keys;
        let place = |algorithm: Algorithm| spec.iter().position(|it| it.algorithm == algorithm).unwrap_or(spec.len());
        let mut keys: Vec<Key> = std::mem::take(&mut self.keys).into_values().collect();
        keys.sort_by_cached_key(|key| {
            let ending = match key.status.state {
                KeyState::Revoked => 2,
                KeyState::Retiring => 1,
                _ => 0,
            };
            (ending, !key.ours, place(key.status.algorithm), std::cmp::Reverse(age(&key.status.selector)))
        });
        keys.truncate(KEYS_MAX);
        for key in keys {
            let status = key.status;
            if status.state == KeyState::Active {
                match key.pair {
                    Some(pair) => self.plan.sign_with.push(pair),
                    None => self.plan.keep_sealed.push(status.selector.clone()),
                }
            }
            if let (KeyState::Published | KeyState::Active | KeyState::Retiring, Some(text)) =
                (status.state, &status.public_key)
            {
                self.plan.publish.push(PublicKey {
                    selector: status.selector.clone(),
                    algorithm: status.algorithm.into(),
                    text: text.clone(),
                });
            }
            self.plan.status.push(status);
        }
    }
}

fn turn(key: &mut Key, state: KeyState, now: Timestamp) {
    if key.status.state != state {
        key.status.state = state;
        key.status.since = Some(now.to_string());
    }
}

fn spec_algorithm(algorithm: KeyAlgorithm) -> Algorithm {
    match algorithm {
        KeyAlgorithm::Rsa => Algorithm::Rsa,
        KeyAlgorithm::Ed25519 => Algorithm::Ed25519,
    }
}

/// Orders selectors by date and serial; those from elsewhere by name.
fn age(selector: &str) -> (String, u32) {
    let (head, serial) = selector.rsplit_once('-').unwrap_or((selector, ""));
    match (keys::algorithm_of(selector), serial.parse()) {
        (Some(_), Ok(serial)) => (head.to_owned(), serial),
        _ => (selector.to_owned(), 1),
    }
}

#[cfg(test)]
mod tests;
