//! A directory and a login for the decision tables.

use std::{net::IpAddr, sync::Arc};

use paquebot_mta_api::directory::{AliasEntry, DomainEntry, Entry, LoginKeys, MailboxEntry, Value};
use paquebot_proto::sasl::{LoginAnswer, LoginAsk, Secret};
use uuid::Uuid;

use crate::{
    admin::metrics::Metrics,
    directory::{Directory, Snapshot},
    login::{Authenticated, LoginSession, Logins},
};

fn mailbox(address: &str, account: u128) -> Value {
    Value::Mailbox(MailboxEntry {
        address: address.parse().unwrap(),
        account: Uuid::from_u128(account),
        quota_bytes: None,
        login: Some(LoginKeys::derive("secret", b"0123456789abcdef", 4096, b"")),
    })
}

fn alias(address: &str, to: &[&str]) -> Value {
    let to = to.iter().map(|to| to.parse().unwrap()).collect();
    Value::Alias(AliasEntry { address: address.parse().unwrap(), to })
}

fn domain(name: &str, catch_all: Option<&str>) -> Value {
    let catch_all = catch_all.map(|address| address.parse().unwrap());
    Value::Domain(DomainEntry { domain: name.parse().unwrap(), id: Uuid::nil(), catch_all })
}

/// example.com: alice, bob, aliases; example.net: alice gets all.
pub fn directory() -> Snapshot {
    let values = [
        domain("example.com", None),
        domain("example.net", Some("alice@example.com")),
        mailbox("alice@example.com", 1),
        mailbox("bob@example.com", 2),
        alias("postmaster@example.com", &["alice@example.com"]),
        alias("info@example.com", &["alice@example.com", "bob@example.com"]),
        alias("away@example.com", &["alice@elsewhere.example"]),
        alias("loop@example.com", &["pool@example.com"]),
        alias("pool@example.com", &["loop@example.com"]),
    ];
    Snapshot::new(1, values.into_iter().map(|value| Entry::new(Uuid::nil(), value)).collect())
}

/// Logs in for real: nothing else makes an [`Authenticated`].
pub async fn login(name: &str) -> Authenticated {
    let served = Directory::default();
    served.replace(directory());
    let logins = Logins::new(Arc::new(served), Arc::new(Metrics::new().unwrap()), 10, b"salts");
    let mut session = LoginSession::new("submission");
    let ask = LoginAsk::Password { name: name.into(), password: Secret(b"secret".to_vec()) };
    let answer = logins.answer(ask, IpAddr::from([192, 0, 2, 1]), &mut session).await;
    assert_eq!(answer, LoginAnswer::Granted);
    session.authenticated().unwrap().clone()
}
