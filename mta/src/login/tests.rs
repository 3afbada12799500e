//! Logins against a real directory: names, mechanisms, what strangers can tell.

use paquebot_mta_api::directory::{Entry, LoginKeys, Value};
use uuid::Uuid;

use super::*;
use crate::{admin::metrics::Metrics, directory::Snapshot};

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn mailbox(address: &str, password: Option<&str>) -> Entry {
    let value = Value::Mailbox(MailboxEntry {
        address: address.parse().unwrap(),
        account: Uuid::from_u128(7),
        quota_bytes: None,
        login: password.map(|password| LoginKeys::derive(password, b"0123456789abcdef", 4096, b"")),
    });
    Entry::new(Uuid::nil(), value)
}

fn logins(failed_logins: u32) -> Logins {
    let directory = Directory::default();
    directory.replace(Snapshot::new(
        1,
        vec![mailbox("Alice@bücher.example", Some("secret")), mailbox("locked@example.com", None)],
    ));
    Logins::new(Arc::new(directory), Arc::new(Metrics::new().unwrap()), failed_logins, b"salts")
}

fn password(name: &str, password: &str) -> LoginAsk {
    LoginAsk::Password { name: name.into(), password: Secret(password.into()) }
}

fn keys(name: &str) -> LoginAsk {
    LoginAsk::Keys { name: name.into() }
}

fn proved(name: &str, right: bool) -> LoginAsk {
    LoginAsk::Proved { name: name.into(), right }
}

async fn once(logins: &Logins, ask: LoginAsk) -> LoginAnswer {
    logins.answer(ask, CLIENT, &mut LoginSession::new("pop3")).await
}

#[tokio::test]
async fn names_and_passwords() {
    let logins = logins(100);
    for (name, sent, granted) in [
        ("alice@bücher.example", "secret", true),
        ("ALICE@xn--bcher-kva.example", "secret", true),
        ("alice@BÜCHER.example", "secret", true),
        ("alice@bücher.example", "Secret", false),
        ("alice+tag@bücher.example", "secret", false),
        ("alice", "secret", false),
        ("locked@example.com", "", false),
        ("locked@example.com", "secret", false),
        ("nobody@example.com", "secret", false),
        ("", "", false),
    ] {
        let mut session = LoginSession::new("pop3");
        let answer = logins.answer(password(name, sent), CLIENT, &mut session).await;
        assert_eq!(answer, if granted { LoginAnswer::Granted } else { LoginAnswer::Denied }, "{name}");
        assert_eq!(session.authenticated().is_some(), granted, "{name}");
    }
    assert_eq!(logins.metrics.logins.with_label_values(&["pop3", "granted"]).get(), 3);
    assert_eq!(logins.metrics.logins.with_label_values(&["pop3", "denied"]).get(), 7);
}

#[tokio::test]
async fn a_proof_counts_for_the_keys_that_were_given() {
    let logins = logins(100);
    let alice = "alice@bücher.example";
    let mut session = LoginSession::new("pop3");
    assert_eq!(logins.answer(proved(alice, true), CLIENT, &mut session).await, LoginAnswer::Denied);

    assert!(matches!(logins.answer(keys("nobody"), CLIENT, &mut session).await, LoginAnswer::Keys(_)));
    assert_eq!(logins.answer(proved(alice, true), CLIENT, &mut session).await, LoginAnswer::Denied);

    assert!(matches!(logins.answer(keys(alice), CLIENT, &mut session).await, LoginAnswer::Keys(_)));
    assert_eq!(logins.answer(proved(alice, false), CLIENT, &mut session).await, LoginAnswer::Denied);
    assert_eq!(logins.answer(proved(alice, true), CLIENT, &mut session).await, LoginAnswer::Denied, "used once");

    assert!(matches!(logins.answer(keys(alice), CLIENT, &mut session).await, LoginAnswer::Keys(_)));
    assert_eq!(logins.answer(proved(alice, true), CLIENT, &mut session).await, LoginAnswer::Granted);
    assert_eq!(session.authenticated().unwrap().account(), AccountId(Uuid::from_u128(7)));
}

#[tokio::test]
async fn a_password_changed_during_the_exchange_denies() {
    let logins = logins(100);
    let alice = "alice@bücher.example";
    let mut session = LoginSession::new("pop3");
    drop(logins.answer(keys(alice), CLIENT, &mut session).await);
    logins.directory.replace(Snapshot::new(2, vec![mailbox(alice, Some("changed"))]));
    assert_eq!(logins.answer(proved(alice, true), CLIENT, &mut session).await, LoginAnswer::Denied);
}

/// Neither salts, shapes nor replies tell whether a name exists.
#[tokio::test]
async fn an_unknown_user_looks_like_a_known_one() {
    let logins = logins(100);
    let mut salts = Vec::new();
    for name in ["nobody@example.com", "NOBODY@example.com", "locked@example.com", "alice@bücher.example"] {
        let (first, second) = (once(&logins, keys(name)).await, once(&logins, keys(name)).await);
        assert_eq!(first, second, "{name}: the same at each try");
        let LoginAnswer::Keys(keys) = first else { panic!("{name}: no keys") };
        assert_eq!(keys.salt.len(), 16, "{name}");
        salts.push(keys.salt);
        assert_eq!(once(&logins, proved(name, false)).await, LoginAnswer::Denied, "{name}");
        assert_eq!(once(&logins, password(name, "wrong")).await, LoginAnswer::Denied, "{name}");
    }
    assert_eq!(salts[0], salts[1], "case tells nothing");
    // Even a "right" proof of made-up keys opens nothing.
    let mut session = LoginSession::new("pop3");
    drop(logins.answer(keys("nobody@example.com"), CLIENT, &mut session).await);
    assert_eq!(logins.answer(proved("nobody@example.com", true), CLIENT, &mut session).await, LoginAnswer::Denied);
}

#[tokio::test]
async fn throttled_whatever_the_mechanism_and_even_with_the_right_password() {
    let logins = logins(2);
    let alice = "alice@bücher.example";
    assert_eq!(once(&logins, password(alice, "one")).await, LoginAnswer::Denied);
    let mut session = LoginSession::new("pop3");
    drop(logins.answer(keys(alice), CLIENT, &mut session).await);
    assert_eq!(logins.answer(proved(alice, false), CLIENT, &mut session).await, LoginAnswer::Denied);
    assert_eq!(once(&logins, password(alice, "secret")).await, LoginAnswer::Throttled);
    assert_eq!(once(&logins, keys(alice)).await, LoginAnswer::Throttled);
    assert_eq!(once(&logins, keys("nobody@example.com")).await, LoginAnswer::Throttled);
}

/// All tasks guess at the same moment; no more than the limit are tried.
#[tokio::test]
async fn guesses_in_parallel_are_throttled() {
    let logins = logins(3);
    let guesses = (0..20).map(|n| {
        let logins = &logins;
        async move { once(logins, password("alice@bücher.example", &n.to_string())).await }
    });
    let answers = futures::future::join_all(guesses).await;
    assert_eq!(answers.iter().filter(|answer| **answer == LoginAnswer::Denied).count(), 3);
}

#[tokio::test]
async fn more_waiting_than_allowed_is_unavailable_and_no_failure() {
    let logins = logins(1);
    let all = u32::try_from(logins.waiting.available_permits()).unwrap();
    let held = logins.waiting.clone().try_acquire_many_owned(all).unwrap();
    assert_eq!(once(&logins, password("alice@bücher.example", "secret")).await, LoginAnswer::Unavailable);
    drop(held);
    assert_eq!(once(&logins, password("alice@bücher.example", "secret")).await, LoginAnswer::Granted);
}

#[tokio::test]
async fn before_the_first_directory_nobody_is_denied() {
    let logins = Logins::new(Arc::default(), Arc::new(Metrics::new().unwrap()), 1, b"salts");
    for _ in 0..3 {
        assert_eq!(once(&logins, password("alice@bücher.example", "secret")).await, LoginAnswer::Unavailable);
        assert_eq!(once(&logins, keys("alice@bücher.example")).await, LoginAnswer::Unavailable);
    }
}
