//! Where to go: each kind of wrongness of MX, A, AAAA and SRV, aliases, and what is said of it.

use super::*;

fn mx(text: &str) -> Value {
    let (preference, host) = text.split_once(' ').unwrap();
    Value::Mx { preference: preference.parse().unwrap(), host: host.trim_end_matches('.').to_owned() }
}

fn srv(text: &str) -> Value {
    let parts: Vec<&str> = text.split(' ').collect();
    let number = |place: usize| parts[place].parse().unwrap();
    let target = parts[3].trim_end_matches('.').to_owned();
    Value::Srv { priority: number(0), weight: number(1), port: number(2), target }
}

fn data(value: &Value) -> Data {
    match value.clone() {
        Value::A(it) => Data::A(it),
        Value::Aaaa(it) => Data::Aaaa(it),
        Value::Mx { preference, host } => Data::Mx { preference, host: host.parse().unwrap() },
        Value::Srv { priority, weight, port, target } => {
            Data::Srv { priority, weight, port, target: target.parse().unwrap() }
        }
        Value::Txt(text) => Data::Txt(String::from_utf8(text).unwrap()),
    }
}

fn address(text: &str) -> Value {
    match text.parse().unwrap() {
        std::net::IpAddr::V4(it) => Value::A(it),
        std::net::IpAddr::V6(it) => Value::Aaaa(it),
    }
}

/// Each case: all that is wanted, the first of which is judged; what is seen; what is said.
fn table(read: impl Fn(&str) -> Value, cases: &[(&[&str], &[&str], &str)]) {
    for (wanted, seen, expected) in cases {
        let wanted: Vec<Data> = wanted.iter().map(|it| data(&read(it))).collect();
        let set: Vec<&Data> = wanted.iter().collect();
        let values: Vec<Value> = seen.iter().map(|it| read(it)).collect();
        let verdict = judge(&wanted[0], &set, &values, None);
        let (state, word) = expected.split_once(' ').unwrap_or((expected, ""));
        let said = verdict.what.unwrap_or_default();
        assert!(verdict.state.text() == state && said.contains(word), "{wanted:?}\n{seen:?}\n{said}\n{expected}");
    }
}

#[test]
fn exchangers() {
    table(
        mx,
        &[
            (&["10 mail.example.com"], &["10 mail.example.com."], "Verified"),
            // A number alone says nothing.
            (&["10 mail.example.com"], &["0 mail.example.com"], "Verified"),
            (&["10 mail.example.com"], &["10 mail.example.com", "20 mail.example.com"], "Verified"),
            (&["10 a.example", "20 b.example"], &["1 a.example", "2 b.example"], "Verified"),
            (&["10 a.example", "10 b.example"], &["5 b.example", "5 a.example"], "Verified"),
            (&["10 mail.example.com"], &[], "Missing"),
            (&["10 mail.example.com"], &["0 ."], "Different null MX"),
            (&["10 mail.example.com"], &["0 .", "10 mail.example.com"], "Different null MX"),
            (
                &["10 mail.example.com"],
                &["10 mx.other.example"],
                "Different mail goes to mx.other.example (preference 10) instead",
            ),
            (&["10 mail.example.com"], &["1 192.0.2.10"], "Different an address where a name must stand"),
            (&["10 mail.example.com"], &["1 mail.example.com.example.com"], "Different mail.example.com.example.com"),
            (
                &["10 mail.example.com"],
                &["10 mail.example.com", "20 mx.other.example"],
                "Conflicting mail goes to mx.other.example (preference 20), too",
            ),
            (
                &["10 mail.example.com"],
                &["10 mail.example.com", "1 mx.other.example"],
                "Conflicting (preference 1), too",
            ),
            (&["10 a.example", "20 b.example"], &["10 b.example"], "Different a.example is not in it"),
            (&["20 b.example", "10 a.example"], &["10 b.example"], "Verified"),
            (&["10 a.example", "20 b.example"], &["30 a.example", "20 b.example"], "Different the order is another"),
            (&["20 b.example", "10 a.example"], &["30 a.example", "20 b.example"], "Different the order is another"),
            (&["10 a.example", "20 b.example"], &["20 a.example", "20 b.example"], "Different the order is another"),
            (
                &["10 a.example"],
                &["1 b.example", "2 c.example", "3 d.example", "4 e.example", "5 f.example"],
                "Different and 2 more instead",
            ),
        ],
    );
}

#[test]
fn addresses() {
    table(
        address,
        &[
            (&["192.0.2.10"], &["192.0.2.10"], "Verified"),
            (&["192.0.2.10", "192.0.2.11"], &["192.0.2.11", "192.0.2.10"], "Verified"),
            (&["192.0.2.10"], &[], "Missing"),
            (&["192.0.2.10"], &["203.0.113.9"], "Different the name has 203.0.113.9 instead"),
            (&["192.0.2.10", "192.0.2.11"], &["192.0.2.11"], "Different not among them"),
            (&["192.0.2.11", "192.0.2.10"], &["192.0.2.11"], "Verified"),
            (&["192.0.2.10"], &["192.0.2.10", "203.0.113.9"], "Conflicting the name has 203.0.113.9, too"),
            (&["2001:db8::10"], &["2001:db8::10"], "Verified"),
            (&["2001:db8::10"], &[], "Missing"),
            (&["2001:db8::10"], &["2001:db8::11"], "Different 2001:db8::11 instead"),
            (&["2001:db8::10"], &["2001:db8::10", "2001:db8::11"], "Conflicting 2001:db8::11, too"),
        ],
    );
}

#[test]
fn services() {
    table(
        srv,
        &[
            (&["0 1 465 mail.example.com"], &["0 1 465 mail.example.com."], "Verified"),
            // A weight among one says nothing.
            (&["0 1 465 mail.example.com"], &["0 0 465 mail.example.com"], "Verified"),
            (&["0 1 465 mail.example.com"], &[], "Missing"),
            (&["0 1 465 mail.example.com"], &["0 0 0 ."], "Different RFC 2782"),
            (
                &["0 1 465 mail.example.com"],
                &["10 1 465 mail.example.com"],
                "Different the priority is 10, 0 is wanted",
            ),
            (
                &["0 1 465 mail.example.com"],
                &["0 1 587 mail.example.com"],
                "Different mail.example.com port 587 instead",
            ),
            (
                &["0 1 465 mail.example.com"],
                &["0 1 465 mx.other.example"],
                "Different mx.other.example port 465 instead",
            ),
            (
                &["0 1 465 mail.example.com"],
                &["0 1 465 mail.example.com", "0 1 465 mx.other.example"],
                "Conflicting too",
            ),
            (
                &["0 1 465 a.example", "0 1 465 b.example"],
                &["0 1 465 b.example"],
                "Different a.example port 465 is not in it",
            ),
        ],
    );
}

#[test]
fn aliases() {
    let host: paquebot_mta_api::address::Domain = "mail.example.com".parse().unwrap();
    let key = Data::Txt("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".into());
    let policy = Data::Txt("v=DMARC1; p=none".into());
    let texts = |data: &Data| vec![Value::Txt(data.plain().into_bytes())];
    for (wanted, values, state) in [
        (&Data::Mx { preference: 10, host: host.clone() }, vec![mx("10 mail.example.com")], State::Different),
        (&Data::A([192, 0, 2, 10].into()), vec![address("192.0.2.10")], State::Different),
        (&Data::Aaaa("2001:db8::10".parse().unwrap()), vec![], State::Different),
        (&Data::Txt("v=spf1 -all".into()), vec![Value::Txt(b"v=spf1 -all".to_vec())], State::Different),
        // Receivers follow these.
        (&key, texts(&key), State::Verified),
        (&key, vec![], State::Missing),
        (&policy, texts(&policy), State::Verified),
        (
            &Data::Srv { priority: 0, weight: 1, port: 465, target: host },
            vec![srv("0 1 465 mail.example.com")],
            State::Verified,
        ),
    ] {
        let verdict = judge(wanted, &[wanted], &values, Some("target.example.net"));
        assert_eq!(verdict.state, state, "{wanted:?}");
        let said = verdict.what.unwrap_or_default();
        assert!(state != State::Different || said.contains("target.example.net"), "{said}");
    }
}
