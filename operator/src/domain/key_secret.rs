//! A DKIM key as a Secret, and back. The Secret is the key's only source: immutable, and without an owner under
//! `deletionPolicy: Retain`, so that a deleted MailDomain takes no key with it.
//!
//! Nobody prints a Secret: its `{:?}` shows what is in it.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp};
use kube::Resource;
use paquebot_mta_api::directory::KeyAlgorithm;

use super::{
    keys::{KeyError, KeyPair},
    records,
};
use crate::{
    api::{
        MailDomain,
        domain::{DeletionPolicy, ImportedKey},
    },
    names,
};

/// The component label of these Secrets: by it, and the instance label, they are listed.
pub const COMPONENT: &str = "dkim-key";
/// The private key, PKCS#8 PEM.
pub const PRIVATE: &str = "private.pem";
/// The public key, PEM.
pub const PUBLIC: &str = "public.pem";
/// The TXT record's value, ready to publish.
pub const RECORD: &str = "record";
/// The selector.
pub const SELECTOR: &str = "selector";
/// The annotation with the domain: too long for a label.
pub const DOMAIN_ANNOTATION: &str = "paquebot.dev/domain";
/// The annotation with the selector.
pub const SELECTOR_ANNOTATION: &str = "paquebot.dev/selector";
/// The annotation with the algorithm.
pub const ALGORITHM_ANNOTATION: &str = "paquebot.dev/algorithm";
/// The annotation with the time at which the key was made.
pub const CREATED_ANNOTATION: &str = "paquebot.dev/created";

/// Why a Secret gives no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// It belongs to another domain, or to nobody.
    #[error("it is not this domain's: the annotation {DOMAIN_ANNOTATION} names another domain or none")]
    NotOurs,
    /// Something is not in it.
    #[error("it has no {0}")]
    Missing(String),
    /// It has it, and it is empty.
    #[error("its {0} is empty")]
    Empty(String),
    /// It has another key than its name says.
    #[error("its selector is not the one that its annotation names")]
    Selector,
    /// What is in it is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A key that lies in a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The Secret's name.
    pub secret_name: String,
    /// The key.
    pub key: KeyPair,
    /// When it was made, as the annotation says.
    pub created: Option<Timestamp>,
}

/// What is there under a Secret's name: a key, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The Secret's name.
    pub secret_name: String,
    /// The selector that it claims: taken, whatever is in it.
    pub selector: Option<String>,
    /// The key.
    pub stored: Result<Stored, SecretFault>,
}

/// The name of the Secret of a domain's key.
pub fn name(domain: &str, selector: &str) -> String {
    format!("{}-{selector}", names::base("MailDomain", domain))
}

/// The Secret of a key, made at this time. The same key and time give the same Secret.
pub fn build(domain: &MailDomain, key: &KeyPair, created: Option<Timestamp>) -> Secret {
    let owner = domain.metadata.name.clone().unwrap_or_default();
    let algorithm = match key.algorithm {
        KeyAlgorithm::Rsa => "RSA",
        KeyAlgorithm::Ed25519 => "Ed25519",
    };
    let mut annotations = BTreeMap::from([
        (DOMAIN_ANNOTATION.to_owned(), owner.clone()),
        (SELECTOR_ANNOTATION.to_owned(), key.selector.clone()),
        (ALGORITHM_ANNOTATION.to_owned(), algorithm.to_owned()),
    ]);
    annotations.extend(created.map(|time| (CREATED_ANNOTATION.to_owned(), time.to_string())));
    let record = super::name(domain).map(|name| records::dkim(&name, &key.public_key()).data.plain());
    let data = [
        (PRIVATE, key.private_pem()),
        (PUBLIC, key.public_pem()),
        (RECORD, record.unwrap_or_default()),
        (SELECTOR, key.selector.clone()),
    ];
    let owned = domain.spec.deletion_policy == DeletionPolicy::Delete;
    Secret {
        metadata: ObjectMeta {
            name: Some(name(&owner, &key.selector)),
            namespace: domain.metadata.namespace.clone(),
            labels: Some(names::labels(&names::base("MailDomain", &owner), COMPONENT)),
            annotations: Some(annotations),
            owner_references: domain.owner_ref(&()).filter(|_| owned).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        immutable: Some(true),
        data: Some(data.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes()))).collect()),
        string_data: None,
    }
}

/// What a Secret with the labels of this domain's keys has.
pub fn read(domain: &MailDomain, secret: &Secret) -> Found {
    let secret_name = secret.metadata.name.clone().unwrap_or_default();
    let selector = annotation(secret, SELECTOR_ANNOTATION).map(str::to_owned);
    let stored = stored(domain, secret, &secret_name);
    Found { secret_name, selector, stored }
}

fn stored(domain: &MailDomain, secret: &Secret, secret_name: &str) -> Result<Stored, SecretFault> {
    let owner = domain.metadata.name.as_deref().unwrap_or_default();
    if annotation(secret, DOMAIN_ANNOTATION) != Some(owner) {
        return Err(SecretFault::NotOurs);
    }
    let selector = String::from_utf8(value(secret.data.as_ref(), SELECTOR)?.to_vec()).unwrap_or_default();
    // A copy under another name would sign under a selector that somebody else watches.
    if annotation(secret, SELECTOR_ANNOTATION) != Some(&selector) || name(owner, &selector) != secret_name {
        return Err(SecretFault::Selector);
    }
    let key = KeyPair::from_pem(&selector, value(secret.data.as_ref(), PRIVATE)?)?;
    let created = annotation(secret, CREATED_ANNOTATION).and_then(|it| it.parse().ok());
    Ok(Stored { secret_name: secret_name.to_owned(), key, created })
}

/// The key that a MailDomain imports, from the Secret's data.
///
/// # Errors
/// What is missing or wrong.
pub fn imported(import: &ImportedKey, data: Option<&BTreeMap<String, ByteString>>) -> Result<KeyPair, SecretFault> {
    Ok(KeyPair::from_pem(&import.selector, value(data, &import.secret_ref.key)?)?)
}

fn annotation<'a>(secret: &'a Secret, key: &str) -> Option<&'a str> {
    secret.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn value<'a>(data: Option<&'a BTreeMap<String, ByteString>>, key: &str) -> Result<&'a [u8], SecretFault> {
    match data.and_then(|data| data.get(key)) {
        None => Err(SecretFault::Missing(key.to_owned())),
        Some(octets) if octets.0.is_empty() => Err(SecretFault::Empty(key.to_owned())),
        Some(octets) => Ok(&octets.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{
            MailDomainSpec,
            domain::{Algorithm, DkimKey},
            refs::SecretKeyRef,
        },
        domain::keys,
    };

    fn domain(policy: DeletionPolicy) -> MailDomain {
        let mut domain = MailDomain::new("example.com", MailDomainSpec::default());
        domain.metadata.namespace = Some("mail".to_owned());
        domain.metadata.uid = Some("0193b1f0-0000-7000-8000-000000000001".to_owned());
        domain.spec.deletion_policy = policy;
        domain
    }

    /// RFC 8463 §A.2: the key of its example, so that the record can be compared with the one printed there.
    fn key() -> KeyPair {
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        KeyPair::from_pem("20261125-ed25519", pem.as_bytes()).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_795_600_000).unwrap()
    }

    #[test]
    fn as_people_find_it() {
        let mut secret = build(&domain(DeletionPolicy::Retain), &key(), Some(now()));
        // The private key is not for a snapshot.
        secret.data.as_mut().unwrap().remove(PRIVATE);
        let data: BTreeMap<_, _> = secret.data.take().unwrap();
        let texts: Vec<String> =
            data.iter().map(|(key, value)| format!("{key}: {}", String::from_utf8_lossy(&value.0))).collect();
        insta::assert_snapshot!(format!("{}\n{}", serde_yaml::to_string(&secret).unwrap(), texts.join("\n")));
        assert!(texts.iter().any(|it| it.contains("p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")), "RFC 8463 §A.2");
    }

    #[test]
    fn there_and_back() {
        let rsa = keys::generate("20261125-rsa", &DkimKey { algorithm: Algorithm::Rsa, bits: None }).unwrap();
        for key in [key(), rsa] {
            let domain = domain(DeletionPolicy::Retain);
            let secret = build(&domain, &key, Some(now()));
            let found = read(&domain, &secret);
            let stored = found.stored.unwrap();
            assert_eq!((&stored.key, stored.created), (&key, Some(now())));
            assert_eq!(build(&domain, &stored.key, stored.created), secret, "a settled Secret is not written again");
            let base64: String = key.private_pem().lines().nth(1).unwrap().to_owned();
            assert!(!format!("{stored:?}").contains(&base64[..20]));
        }
    }

    #[test]
    fn only_delete_gives_it_an_owner() {
        assert_eq!(build(&domain(DeletionPolicy::Retain), &key(), None).metadata.owner_references, None);
        let owners = build(&domain(DeletionPolicy::Delete), &key(), None).metadata.owner_references.unwrap();
        assert_eq!((owners.len(), owners[0].kind.as_str()), (1, "MailDomain"));
    }

    #[test]
    fn what_is_no_key_says_why() {
        let domain = domain(DeletionPolicy::Retain);
        let whole = build(&domain, &key(), None);
        let broken = |change: &dyn Fn(&mut Secret)| {
            let mut secret = whole.clone();
            change(&mut secret);
            read(&domain, &secret).stored.unwrap_err()
        };
        let data = |secret: &mut Secret, key: &str, text: &str| {
            secret.data.as_mut().unwrap().insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
        };
        assert_eq!(broken(&|it| it.data = None), SecretFault::Missing(SELECTOR.into()));
        assert_eq!(broken(&|it| data(it, PRIVATE, "")), SecretFault::Empty(PRIVATE.into()));
        assert_eq!(broken(&|it| data(it, PRIVATE, "x")), SecretFault::Key(KeyError::NotAKey));
        assert_eq!(broken(&|it| data(it, SELECTOR, "other")), SecretFault::Selector);
        assert_eq!(broken(&|it| it.metadata.name = Some("copy".into())), SecretFault::Selector);
        assert_eq!(broken(&|it| it.metadata.annotations = None), SecretFault::NotOurs);
    }

    #[test]
    fn an_imported_key() {
        let secret_ref = SecretKeyRef { name: "old".into(), key: "tls.key".into() };
        let import = ImportedKey { selector: "s1".into(), secret_ref };
        let with = |text: &str| BTreeMap::from([("tls.key".to_owned(), ByteString(text.as_bytes().to_vec()))]);
        assert_eq!(imported(&import, None), Err(SecretFault::Missing("tls.key".into())));
        assert_eq!(imported(&import, Some(&with(""))), Err(SecretFault::Empty("tls.key".into())));
        assert_eq!(imported(&import, Some(&with("x"))), Err(SecretFault::Key(KeyError::NotAKey)));
        assert_eq!(imported(&import, Some(&with(&key().private_pem()))).unwrap().public, key().public);
    }
}
