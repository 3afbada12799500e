//! The SPF record (RFC 7208): the server's addresses and the owner's, merged, never flattened.

use std::net::IpAddr;

use crate::api::domain::{Spf, SpfAll};

/// Look-ups that a receiver makes at most (RFC 7208 §4.6.4).
pub const LOOKUPS_MAX: usize = 10;

/// Look-ups that the record costs itself: what the included records cost comes on top.
pub fn lookups(spf: &Spf) -> usize {
    spf.include.len()
}

/// The record's text; `None` where nobody could send, because no address is known.
pub fn text(spf: &Spf, egress: &[IpAddr]) -> Option<String> {
    let mut terms: Vec<String> = Vec::new();
    let mut add = |term: String| {
        if !terms.contains(&term) {
            terms.push(term);
        }
    };
    for address in egress {
        match address.to_canonical() {
            IpAddr::V4(it) => add(format!("ip4:{it}")),
            IpAddr::V6(it) => add(format!("ip6:{it}")),
        }
    }
    spf.ip4.iter().for_each(|it| add(format!("ip4:{it}")));
    spf.ip6.iter().for_each(|it| add(format!("ip6:{it}")));
    spf.include.iter().for_each(|it| add(format!("include:{it}")));
    if terms.is_empty() {
        return None;
    }
    let all = match spf.all {
        SpfAll::HardFail => "-all",
        SpfAll::SoftFail => "~all",
    };
    Some(format!("v=spf1 {} {all}", terms.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged() {
        let spf = Spf {
            ip4: vec!["192.0.2.10".into(), "198.51.100.0/24".into()],
            ip6: vec!["2001:db8::/32".into()],
            include: vec!["_spf.example.net".into()],
            all: SpfAll::SoftFail,
        };
        let egress: Vec<IpAddr> = vec!["192.0.2.10".parse().unwrap(), "2001:db8::10".parse().unwrap()];
        assert_eq!(
            text(&spf, &egress).unwrap(),
            "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 ip4:198.51.100.0/24 ip6:2001:db8::/32 include:_spf.example.net ~all"
        );
        assert_eq!(text(&Spf::default(), &[]), None);
        assert_eq!(text(&Spf::default(), &egress[..1]).unwrap(), "v=spf1 ip4:192.0.2.10 -all");
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(text(&Spf::default(), &[mapped]).unwrap(), "v=spf1 ip4:192.0.2.1 -all");
    }
}
