//! MX answers and addresses as values, and the targets in their order.

use super::*;

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

fn mx(records: &[(u16, &str)]) -> Answer<Mx> {
    Answer::Records(
        records.iter().map(|(preference, host)| Mx { preference: *preference, exchange: (*host).into() }).collect(),
    )
}

fn hosts(answer: &Answer<Mx>, dice: &[u32]) -> Result<Vec<String>, EnhancedCode> {
    exchangers(&domain("example.org"), answer, dice)
        .map(|list| list.into_iter().map(|it| it.host).collect())
        .map_err(|it| it.status)
}

#[test]
fn exchangers_by_answer() {
    let names = |list: &[&str]| Ok(list.iter().map(|name| (*name).to_owned()).collect());
    for (what, answer, dice, wanted) in [
        ("by preference", mx(&[(20, "b"), (10, "a")]), vec![], names(&["a", "b"])),
        ("shuffled among equals", mx(&[(10, "a"), (10, "b"), (5, "c")]), vec![9, 1, 7], names(&["c", "b", "a"])),
        ("repeated", mx(&[(10, "a"), (20, "a")]), vec![], names(&["a"])),
        ("implicit", Answer::NoRecords, vec![], names(&["example.org"])),
        ("null MX", mx(&[(0, "")]), vec![], Err(EnhancedCode(5, 1, 10))),
        ("null MX beside a real one", mx(&[(0, ""), (10, "a")]), vec![], names(&["a"])),
        ("NXDOMAIN", Answer::NoSuchName, vec![], Err(EnhancedCode(5, 1, 2))),
        ("SERVFAIL", Answer::TemporaryFault("SERVFAIL".into()), vec![], Err(EnhancedCode(4, 4, 3))),
    ] {
        assert_eq!(hosts(&answer, &dice), wanted, "{what}");
    }
}

#[test]
fn a_thousand_exchangers_cost_ten_look_ups() {
    let names: Vec<String> = (0..1000).map(|n| format!("h{n}")).collect();
    let records: Vec<(u16, &str)> = names.iter().map(|name| (10, name.as_str())).collect();
    assert_eq!(hosts(&mx(&records), &[]).unwrap().len(), EXCHANGERS_MAX);
}

fn to(found: &[(u16, &str, Answer<IpAddr>)]) -> Result<Vec<String>, EnhancedCode> {
    let found: Vec<_> = found
        .iter()
        .map(|(preference, host, answer)| (Exchanger { preference: *preference, host: (*host).into() }, answer.clone()))
        .collect();
    let ourselves = Ourselves {
        hostname: domain("mail.example.com"),
        addresses: vec!["192.0.2.9".parse().unwrap(), "127.0.0.2".parse().unwrap()],
    };
    let allowed = ["127.0.0.0/8".parse().unwrap()];
    targets(&domain("example.org"), &found, &ourselves, &allowed)
        .map(|list| list.into_iter().map(|it| format!("{} {}", it.host, it.address)).collect())
        .map_err(|it| it.status)
}

fn a(addresses: &[&str]) -> Answer<IpAddr> {
    Answer::Records(addresses.iter().map(|text| text.parse().unwrap()).collect())
}

#[test]
fn targets_by_addresses() {
    let names = |list: &[&str]| Ok(list.iter().map(|name| (*name).to_owned()).collect());
    let fault = || Answer::TemporaryFault("SERVFAIL".into());
    for (what, found, wanted) in [
        (
            "A and AAAA, in order of preference",
            vec![(10, "a", a(&["198.51.100.1", "2001:db8::1"])), (20, "b", a(&["198.51.100.2"]))],
            names(&["a 198.51.100.1", "a 2001:db8::1", "b 198.51.100.2"]),
        ),
        (
            "a host without addresses is skipped",
            vec![(10, "a", Answer::NoSuchName), (20, "b", a(&["198.51.100.2"]))],
            names(&["b 198.51.100.2"]),
        ),
        ("private ones are skipped", vec![(10, "a", a(&["10.0.0.1", "198.51.100.1"]))], names(&["a 198.51.100.1"])),
        ("allowed ones are not", vec![(10, "a", a(&["127.0.0.3"]))], names(&["a 127.0.0.3"])),
        ("only private ones", vec![(10, "a", a(&["10.0.0.1"]))], Err(EnhancedCode(5, 4, 4))),
        (
            "no address at all",
            vec![(10, "a", Answer::NoRecords), (10, "b", Answer::NoSuchName)],
            Err(EnhancedCode(5, 4, 4)),
        ),
        ("a fault leaves hope", vec![(10, "a", Answer::NoRecords), (20, "b", fault())], Err(EnhancedCode(4, 4, 3))),
        (
            "a fault beside an address does not matter",
            vec![(10, "a", fault()), (20, "b", a(&["198.51.100.2"]))],
            names(&["b 198.51.100.2"]),
        ),
        ("implicit MX without address", vec![(0, "example.org", Answer::NoRecords)], Err(EnhancedCode(5, 1, 2))),
        (
            "we by name: equal and worse go",
            vec![
                (5, "x", a(&["198.51.100.1"])),
                (10, "MAIL.example.com", a(&["198.51.100.5"])),
                (10, "b", a(&["198.51.100.2"])),
                (20, "c", a(&["198.51.100.3"])),
            ],
            names(&["x 198.51.100.1"]),
        ),
        (
            "we by address",
            vec![(10, "a", a(&["192.0.2.9"])), (20, "b", a(&["198.51.100.2"]))],
            Err(EnhancedCode(5, 4, 6)),
        ),
        ("we as a mapped address", vec![(10, "a", a(&["::ffff:192.0.2.9"]))], Err(EnhancedCode(5, 4, 6))),
        ("we as an allowed target", vec![(10, "a", a(&["127.0.0.2"]))], Err(EnhancedCode(5, 4, 6))),
        (
            "the same address twice",
            vec![(10, "a", a(&["198.51.100.1"])), (20, "b", a(&["198.51.100.1"]))],
            names(&["a 198.51.100.1"]),
        ),
    ] {
        assert_eq!(to(&found), wanted, "{what}");
    }
}

#[test]
fn connections_are_bounded() {
    let many: Vec<String> = (1..200).map(|n| format!("198.51.100.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(to(&[(10, "a", a(&many))]).unwrap().len(), ADDRESSES_PER_EXCHANGER_MAX);
    let hosts: Vec<_> = (0..10).map(|n| (n, "h", a(&many[usize::from(n) * 10..]))).collect();
    assert_eq!(to(&hosts).unwrap().len(), TARGETS_MAX);
}
