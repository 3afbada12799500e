//! Login exchanges: the vectors of the RFCs, wrong input, answers that do not fit.

use proptest::prelude::*;

use super::*;

fn exchange(mechanism: Mechanism) -> Exchange {
    Exchange::start(mechanism, [7; 24])
}

fn challenge(step: SaslStep) -> Vec<u8> {
    match step {
        SaslStep::Challenge(challenge) => challenge,
        other => panic!("no challenge: {other:?}"),
    }
}

fn failure(step: &SaslStep) -> Option<SaslFailure> {
    match step {
        SaslStep::Failed(failure) => Some(*failure),
        _ => None,
    }
}

#[test]
fn mechanisms_by_name() {
    for (name, mechanism) in [
        ("PLAIN", Some(Mechanism::Plain)),
        ("plain", Some(Mechanism::Plain)),
        ("Login", Some(Mechanism::Login)),
        ("SCRAM-SHA-256", Some(Mechanism::ScramSha256)),
        ("scram-sha-256", Some(Mechanism::ScramSha256)),
        ("SCRAM-SHA-256-PLUS", None),
        ("SCRAM-SHA-1", None),
        ("", None),
    ] {
        assert_eq!(Mechanism::parse(name), mechanism, "{name}");
    }
}

#[test]
fn plain() {
    let long_name = [b"\0".as_slice(), &[b'a'; NAME_BYTES_MAX + 1], b"\0secret"].concat();
    let long_password = [b"\0alice\0".as_slice(), &[b'a'; PASSWORD_BYTES_MAX + 1]].concat();
    for (response, asked) in [
        (b"\0alice\0secret".as_slice(), Some(("alice", b"secret".as_slice()))),
        (b"alice\0alice\0secret", Some(("alice", b"secret"))),
        (b"\0j\xc3\xb6rg\0\xff", Some(("jörg", b"\xff"))),
        (b"bob\0alice\0secret", None),
        (b"\0\0secret", None),
        (b"\0alice\0", None),
        (b"\0alice\0secret\0", None),
        (b"\0alice", None),
        (b"", None),
        (b"\0al\xffice\0secret", None),
        (b"\0al\nice\0secret", None),
        (&long_name, None),
        (&long_password, None),
    ] {
        match (exchange(Mechanism::Plain).response(Some(response)), asked) {
            (SaslStep::Ask(LoginAsk::Password { name, password }), Some((want_name, want_password))) => {
                assert_eq!((name.as_str(), password.0.as_slice()), (want_name, want_password));
            }
            (SaslStep::Failed(SaslFailure::Malformed), None) => {}
            (other, _) => panic!("{response:?}: {other:?}"),
        }
    }
}

#[test]
fn plain_without_initial_response_gets_an_empty_challenge() {
    let mut exchange = exchange(Mechanism::Plain);
    assert_eq!(challenge(exchange.response(None)), b"");
    assert!(matches!(exchange.response(Some(b"\0alice\0secret")), SaslStep::Ask(LoginAsk::Password { .. })));
    assert!(matches!(exchange.answer(LoginAnswer::Granted), SaslStep::Done { name, last: None } if name == "alice"));
}

#[test]
fn login_with_and_without_initial_response() {
    for initial in [None, Some(b"alice".as_slice())] {
        let mut exchange = exchange(Mechanism::Login);
        let step = exchange.response(initial);
        let step = if initial.is_none() {
            assert_eq!(challenge(step), b"Username:");
            exchange.response(Some(b"alice"))
        } else {
            step
        };
        assert_eq!(challenge(step), b"Password:");
        assert!(matches!(
            exchange.response(Some(b"secret")),
            SaslStep::Ask(LoginAsk::Password { name, password }) if name == "alice" && password.0 == b"secret"
        ));
        assert!(matches!(exchange.answer(LoginAnswer::Granted), SaslStep::Done { last: None, .. }));
    }
}

/// The exchange of RFC 7677 §3, word for word.
#[test]
fn scram_as_in_rfc_7677() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let keys = ScramKeys::derive(b"pencil", &salt, 4096);
    let mut exchange = exchange(Mechanism::ScramSha256);
    exchange.server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".into();

    assert_eq!(challenge(exchange.response(None)), b"");
    let step = exchange.response(Some(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
    assert!(matches!(step, SaslStep::Ask(LoginAsk::Keys { name }) if name == "user"));
    assert_eq!(
        challenge(exchange.answer(LoginAnswer::Keys(keys))),
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let step = exchange.response(Some(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    ));
    assert!(matches!(step, SaslStep::Ask(LoginAsk::Proved { name, right: true }) if name == "user"));
    let SaslStep::Done { last: Some(last), .. } = exchange.answer(LoginAnswer::Granted) else { panic!("not granted") };
    assert_eq!(last, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

/// Up to the proof, made for `password`, against keys of "pencil".
fn scram_to_proof(password: &str) -> (Exchange, SaslStep) {
    let mut exchange = exchange(Mechanism::ScramSha256);
    drop(exchange.response(Some(b"n,,n=user,r=abc")));
    let server_first = challenge(exchange.answer(LoginAnswer::Keys(ScramKeys::derive(b"pencil", b"salt", 4096))));
    let proof = client_proof(password, "n=user,r=abc", std::str::from_utf8(&server_first).unwrap());
    let step = exchange.response(Some(proof.as_bytes()));
    (exchange, step)
}

/// What a client with this password sends, salt "salt", 4096 iterations.
pub(crate) fn client_proof(password: &str, bare: &str, server_first: &str) -> String {
    use aws_lc_rs::{digest, hmac, pbkdf2};
    let nonce = server_first.split(',').next().unwrap();
    let without_proof = format!("c=biws,{nonce}");
    let message = format!("{bare},{server_first},{without_proof}");
    let mut salted = [0; 32];
    let rounds = std::num::NonZeroU32::new(4096).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, b"salt", password.as_bytes(), &mut salted);
    let sign = |key: &[u8], octets: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), octets);
    let client_key = sign(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let signature = sign(stored_key.as_ref(), message.as_bytes());
    let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
    format!("{without_proof},p={}", STANDARD.encode(proof))
}

#[test]
fn a_wrong_proof_is_asked_as_wrong_and_never_granted() {
    let (mut right, step) = scram_to_proof("pencil");
    assert!(matches!(step, SaslStep::Ask(LoginAsk::Proved { right: true, .. })));
    assert!(matches!(right.answer(LoginAnswer::Granted), SaslStep::Done { .. }));

    let (mut wrong, step) = scram_to_proof("pencils");
    assert!(matches!(step, SaslStep::Ask(LoginAsk::Proved { right: false, .. })));
    assert_eq!(failure(&wrong.answer(LoginAnswer::Granted)), Some(SaslFailure::Denied));
}

#[test]
fn answers_map_to_failures() {
    for (answer, want) in [
        (LoginAnswer::Denied, SaslFailure::Denied),
        (LoginAnswer::Unavailable, SaslFailure::Unavailable),
        (LoginAnswer::Throttled, SaslFailure::Throttled),
        (LoginAnswer::Keys(ScramKeys::derive(b"x", b"salt", 1)), SaslFailure::Unavailable),
    ] {
        let mut exchange = exchange(Mechanism::Plain);
        drop(exchange.response(Some(b"\0alice\0secret")));
        assert_eq!(failure(&exchange.answer(answer)), Some(want));
    }
}

#[test]
fn nothing_is_granted_out_of_turn() {
    for mechanism in Mechanism::ALL {
        assert_eq!(failure(&exchange(mechanism).answer(LoginAnswer::Granted)), Some(SaslFailure::Unavailable));
    }
    let mut scram = exchange(Mechanism::ScramSha256);
    drop(scram.response(Some(b"n,,n=user,r=abc")));
    assert_eq!(failure(&scram.answer(LoginAnswer::Granted)), Some(SaslFailure::Unavailable));
    let mut plain = exchange(Mechanism::Plain);
    drop(plain.response(Some(b"\0alice\0secret")));
    assert_eq!(failure(&plain.response(Some(b"\0alice\0secret"))), Some(SaslFailure::Malformed));
    assert_eq!(failure(&plain.answer(LoginAnswer::Granted)), Some(SaslFailure::Unavailable));
}

#[test]
fn secrets_are_not_printed() {
    let mut exchange = exchange(Mechanism::Plain);
    let step = exchange.response(Some(b"\0alice\0hunter2"));
    assert!(!format!("{step:?} {exchange:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn no_input_panics_or_grants(
        which in 0..3usize,
        responses in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..64)), 1..4),
    ) {
        let mut exchange = exchange(Mechanism::ALL[which]);
        for response in &responses {
            let step = exchange.response(response.as_deref());
            let granted = matches!(step, SaslStep::Done { .. });
            prop_assert!(!granted);
        }
    }

    #[test]
    fn scram_like_text_never_panics(first in "[nyp],(a=[a-z]{0,3})?,(n=[a-z=,2CD3]{0,8})?(,r=[a-z]{0,5})?", last in "c=(biws|eSws),r=[a-z]{0,5}(,p=[A-Za-z=]{0,44})?") {
        let mut exchange = exchange(Mechanism::ScramSha256);
        if let SaslStep::Ask(_) = exchange.response(Some(first.as_bytes())) {
            drop(exchange.answer(LoginAnswer::Keys(ScramKeys::derive(b"x", b"salt", 1))));
            prop_assert_eq!(failure(&exchange.response(Some(last.as_bytes()))), Some(SaslFailure::Malformed));
        }
    }
}
