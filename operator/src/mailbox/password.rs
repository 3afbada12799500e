//! Passwords as Secrets: generated ones, and those that a Mailbox refers to. Pure: random octets come from the caller.
//!
//! A password never appears in a `{:?}`, a status or an event.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;

use crate::{
    api::{MailDomain, Mailbox, refs::SecretKeyRef},
    names,
    refusal::{self, Refusal},
};

/// Characters of a generated password: 32 of them, none that look alike, so that each is 5 bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters of a generated password: 125 bits. As many random octets make one.
pub const CHARACTERS: usize = 25;
/// A hyphen after so many, for those who type it.
const GROUP_CHARACTERS: usize = 5;
/// Octets of a password at most: more is not read at login.
pub const PASSWORD_OCTETS_MAX: usize = 1024;
/// The component label of these Secrets.
pub const COMPONENT: &str = "password";
/// The key of the login name.
pub const USERNAME: &str = "username";
/// The key of the password.
pub const PASSWORD: &str = "password";
/// The end of the name of a Mailbox's generated Secret.
pub const PASSWORD_SUFFIX: &str = "-password";
/// The end of the name of the Secret of a MailDomain's postmaster.
pub const POSTMASTER_SUFFIX: &str = "-postmaster";

/// Why a Secret gives no password. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// There is none.
    #[error("there is no Secret {secret}: make it with stringData: {{{key}: …}}")]
    SecretMissing {
        /// Its name.
        secret: String,
        /// The key that it should have.
        key: String,
    },
    /// It has no such key.
    #[error("the Secret {secret} has no key {key}: add it")]
    KeyMissing {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
    },
    /// Nothing is in it.
    #[error("the Secret {secret} has an empty {key}: give it a value")]
    Empty {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
    },
    /// Nobody could send it.
    #[error("the {key} in the Secret {secret} has more than {PASSWORD_OCTETS_MAX} octets: use a shorter one")]
    TooLong {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
    },
    /// A client can only send text.
    #[error("the {key} in the Secret {secret} is not text in one line (UTF-8): use letters, digits and signs")]
    NotText {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
    },
    /// The API server does not let us make it, or read it.
    #[error(transparent)]
    Refused(Refusal),
}

impl PasswordFault {
    /// CamelCase, for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SecretMissing { .. } => "PasswordSecretMissing",
            Self::KeyMissing { .. } => "PasswordKeyMissing",
            Self::Empty { .. } | Self::TooLong { .. } | Self::NotText { .. } => "PasswordInvalid",
            Self::Refused(_) => refusal::REASON,
        }
    }
}

impl PasswordFault {
    /// The refusal that may heal without a change that we hear of.
    pub fn passing(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) if refusal.heals() => Some(refusal),
            _ => None,
        }
    }
}

/// A password that no `{:?}` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// What is to be hashed, and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A password of random octets.
pub fn generate(random: &[u8; CHARACTERS]) -> Password {
    let mut password = String::new();
    for (index, octet) in random.iter().enumerate() {
        if index > 0 && index % GROUP_CHARACTERS == 0 {
            password.push('-');
        }
        password.push(ALPHABET.get(usize::from(octet % 32)).copied().map_or('x', char::from));
    }
    Password(password)
}

/// The text of a password in a Secret: editors and `echo` end a line, and nobody means it.
pub fn trimmed(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok().map(|text| text.trim_end_matches(['\r', '\n']))
}

/// The password in the Secret that a Mailbox refers to. `data`: the Secret's, `None` where there is none.
///
/// # Errors
/// What is missing or wrong, and what to do.
pub fn read(reference: &SecretKeyRef, data: Option<&BTreeMap<String, ByteString>>) -> Result<Password, PasswordFault> {
    let (secret, key) = (reference.name.clone(), reference.key.clone());
    let Some(data) = data else { return Err(PasswordFault::SecretMissing { secret, key }) };
    let Some(octets) = data.get(&key) else { return Err(PasswordFault::KeyMissing { secret, key }) };
    let Some(text) = trimmed(&octets.0) else { return Err(PasswordFault::NotText { secret, key }) };
    if text.is_empty() {
        return Err(PasswordFault::Empty { secret, key });
    }
    if text.len() > PASSWORD_OCTETS_MAX {
        return Err(PasswordFault::TooLong { secret, key });
    }
    // RFC 4616 §2: a NUL ends a field; a line break ends the command of POP3's USER and PASS.
    if text.contains(['\0', '\r', '\n']) {
        return Err(PasswordFault::NotText { secret, key });
    }
    Ok(Password(text.to_owned()))
}

/// Where a Mailbox's password lies: the Secret that it names, or the one that is generated.
pub fn reference(mailbox: &Mailbox) -> SecretKeyRef {
    mailbox.spec.password_secret_ref.clone().unwrap_or_else(|| SecretKeyRef {
        name: format!(
            "{}{PASSWORD_SUFFIX}",
            names::base("Mailbox", mailbox.metadata.name.as_deref().unwrap_or_default())
        ),
        key: PASSWORD.to_owned(),
    })
}

/// Where the password of the postmaster that a MailDomain makes lies.
pub fn postmaster_reference(domain: &MailDomain) -> SecretKeyRef {
    SecretKeyRef {
        name: format!(
            "{}{POSTMASTER_SUFFIX}",
            names::base("MailDomain", domain.metadata.name.as_deref().unwrap_or_default())
        ),
        key: PASSWORD.to_owned(),
    }
}

/// The Secret of a generated password of a Mailbox; it goes with the Mailbox.
pub fn secret(mailbox: &Mailbox, password: &Password) -> Secret {
    let base = names::base("Mailbox", mailbox.metadata.name.as_deref().unwrap_or_default());
    build(mailbox, &base, reference(mailbox).name, &mailbox.spec.address, password)
}

/// The Secret of the password of the postmaster that a MailDomain makes.
pub fn postmaster_secret(domain: &MailDomain, password: &Password) -> Secret {
    let name = domain.metadata.name.clone().unwrap_or_default();
    let base = names::base("MailDomain", &name);
    let address = format!("{}@{name}", crate::domain::POSTMASTER);
    build(domain, &base, postmaster_reference(domain).name, &address, password)
}

fn build<R: Resource<DynamicType = ()>>(
    owner: &R,
    base: &str,
    name: String,
    address: &str,
    password: &Password,
) -> Secret {
    let value = |text: &str| ByteString(text.as_bytes().to_vec());
    Secret {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: owner.meta().namespace.clone(),
            labels: Some(names::labels(base, COMPONENT)),
            owner_references: owner.owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/basic-auth".to_owned()),
        data: Some(BTreeMap::from([
            (USERNAME.to_owned(), value(address)),
            (PASSWORD.to_owned(), value(password.reveal())),
        ])),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{MailDomainSpec, MailboxSpec};

    const UID: &str = "0193b1f0-0000-7000-8000-000000000001";

    #[test]
    fn generated_ones_can_be_typed() {
        let random: [u8; CHARACTERS] = std::array::from_fn(|index| u8::try_from(index * 10).unwrap());
        let made = generate(&random);
        assert_eq!(made.reveal().len(), 29);
        assert!(made.reveal().chars().all(|it| it == '-' || ALPHABET.contains(&u8::try_from(it).unwrap())));
        assert_ne!(made, generate(&[7; CHARACTERS]));
        assert_eq!(format!("{made:?}"), "Password(…)");
        let reference = SecretKeyRef { name: "x".into(), key: PASSWORD.into() };
        let data = BTreeMap::from([(PASSWORD.to_owned(), ByteString(made.reveal().as_bytes().to_vec()))]);
        assert_eq!(read(&reference, Some(&data)), Ok(made));
    }

    #[test]
    fn as_people_find_them() {
        let spec = MailboxSpec { address: "alice@example.com".into(), quota: None, password_secret_ref: None };
        let mut mailbox = Mailbox::new("alice", spec);
        let mut domain = MailDomain::new("example.com", MailDomainSpec::default());
        for meta in [&mut mailbox.metadata, &mut domain.metadata] {
            (meta.namespace, meta.uid) = (Some("mail".into()), Some(UID.into()));
        }
        let password = generate(&[7; CHARACTERS]);
        let text = [secret(&mailbox, &password), postmaster_secret(&domain, &password)];
        insta::assert_snapshot!(text.map(|it| serde_yaml::to_string(&it).unwrap()).join("---\n"));
        mailbox.spec.password_secret_ref = Some(SecretKeyRef { name: "own".into(), key: "key".into() });
        assert_eq!(reference(&mailbox).name, "own");
    }

    #[test]
    fn what_a_secret_gives() {
        let reference = SecretKeyRef { name: "alice".into(), key: "password".into() };
        let with = |octets: &[u8]| BTreeMap::from([("password".to_owned(), ByteString(octets.to_vec()))]);
        for (octets, wanted) in [
            (&b"secret"[..], Ok("secret")),
            (b"secret\n", Ok("secret")),
            (b"secret\r\n", Ok("secret")),
            (b" spaces stay ", Ok(" spaces stay ")),
            ("pässwörd".as_bytes(), Ok("pässwörd")),
            (b"", Err("PasswordInvalid")),
            (b"\n", Err("PasswordInvalid")),
            (b"two\nlines", Err("PasswordInvalid")),
            (b"nul\0", Err("PasswordInvalid")),
            (b"\xff\xfe", Err("PasswordInvalid")),
            (&[b'x'; PASSWORD_OCTETS_MAX], Ok(std::str::from_utf8(&[b'x'; PASSWORD_OCTETS_MAX]).unwrap())),
            (&[b'x'; PASSWORD_OCTETS_MAX + 1], Err("PasswordInvalid")),
        ] {
            let found = read(&reference, Some(&with(octets)));
            let said = found.as_ref().map(Password::reveal).map_err(PasswordFault::reason);
            assert_eq!(said, wanted);
            assert!(found.is_ok() || !found.unwrap_err().to_string().contains("lines\n"));
        }
        assert_eq!(read(&reference, None).unwrap_err().reason(), "PasswordSecretMissing");
        assert_eq!(read(&reference, Some(&BTreeMap::new())).unwrap_err().reason(), "PasswordKeyMissing");
    }
}
