//! Zone text is read again by another program's parser, whatever is in it.

use std::collections::BTreeMap;

use hickory_resolver::proto::{
    rr::{Name, RData},
    serialize::txt::Parser,
};
use proptest::prelude::*;

use super::*;

/// The records that a parser finds: name, type, value with texts joined.
fn parsed(text: &str) -> Vec<(String, Vec<u8>)> {
    let zone = format!("example. 60 IN SOA ns.example. root.example. 1 60 60 60 60\n{text}");
    let (_, sets) = Parser::new(zone, None, Some(Name::from_ascii("example.").unwrap())).parse().unwrap();
    let mut found = Vec::new();
    for record in sets.values().flat_map(|set| set.records_without_rrsigs()) {
        let value = match &record.data {
            RData::TXT(txt) => {
                assert!(txt.txt_data.iter().all(|piece| piece.len() <= TXT_STRING_OCTETS_MAX));
                txt.txt_data.concat()
            }
            RData::SOA(_) => continue,
            other => other.to_string().into_bytes(),
        };
        found.push((record.name.to_string(), value));
    }
    found.sort();
    found
}

fn txt(text: &str) -> Record {
    let data = Data::Txt(text.to_owned());
    Record { id: "x".into(), name: "a.example".into(), ttl_seconds: 60, data, elsewhere: false }
}

proptest! {
    #[test]
    fn printable_text_comes_back(text in "[ -~]{0,700}") {
        prop_assert_eq!(parsed(&zone_text(&[txt(&text)])), vec![("a.example.".to_owned(), text.into_bytes())]);
    }

    #[test]
    fn pieces_fit_and_join(text in "\\PC{0,900}") {
        let pieces = txt_pieces(&text);
        prop_assert!(pieces.iter().all(|piece| piece.len() <= TXT_STRING_OCTETS_MAX));
        prop_assert_eq!(pieces.concat(), text);
    }
}

#[test]
fn nothing_escapes_its_line() {
    let long = ["x".repeat(255), "x".repeat(256)];
    for text in ["\" evil", "\\", "; comment", "", "a\\\"b", &long[0], &long[1]] {
        assert_eq!(parsed(&zone_text(&[txt(text)])), [("a.example.".to_owned(), text.as_bytes().to_vec())], "{text:?}");
    }
    // This parser reads \DDD as something else than RFC 1035 §5.1 says; BIND reads these in tests/zone.rs.
    let zone = zone_text(&[txt("a\nevil.example. 60 IN A 192.0.2.1\u{0}\u{7f}é")]);
    assert!(zone.ends_with("\"a\\010evil.example. 60 IN A 192.0.2.1\\000\\127\\195\\169\"\n"), "{zone}");
    assert_eq!(zone.lines().count(), 1);
}

#[test]
fn every_type_comes_back() {
    let host: Domain = "mail.example".parse().unwrap();
    let cases = BTreeMap::from([
        ("192.0.2.1", Data::A("192.0.2.1".parse().unwrap())),
        ("2001:db8::1", Data::Aaaa("2001:db8::1".parse().unwrap())),
        ("10 mail.example.", Data::Mx { preference: 10, host: host.clone() }),
        ("0 1 465 mail.example.", Data::Srv { priority: 0, weight: 1, port: 465, target: host }),
    ]);
    for (wanted, data) in cases {
        let record = Record { data, ..txt("") };
        let found = parsed(&zone_text(&[record]));
        assert_eq!(found, [("a.example.".to_owned(), wanted.as_bytes().to_vec())]);
    }
}

#[test]
fn records_of_others_are_comments() {
    let foreign = Record { elsewhere: true, ..txt("v=DMARC1") };
    assert!(zone_text(&[foreign]).lines().all(|line| line.starts_with(';')));
}

#[test]
fn programs_read_the_records_of_a_config_map() {
    let host: Domain = "mail.example.com".parse().unwrap();
    let data = [
        Data::A("192.0.2.1".parse().unwrap()),
        Data::Aaaa("2001:db8::1".parse().unwrap()),
        Data::Mx { preference: 10, host: host.clone() },
        Data::Txt("v=DKIM1; p=\"\\;\u{fc}".repeat(50)),
        Data::Srv { priority: 0, weight: 1, port: 465, target: host },
    ];
    let record = |(number, data): (usize, &Data)| Record {
        id: format!("r/{number}"),
        data: data.clone(),
        elsewhere: number == 3,
        ..txt("")
    };
    let records: Vec<Record> = data.iter().enumerate().map(record).collect();
    let map = config_map_data(&records);
    assert_eq!(serde_json::from_str::<Vec<Record>>(&map[RECORDS_KEY]).unwrap(), records);
}
