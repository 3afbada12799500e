//! What the demo's name server serves: for both systems exactly what `paquebot dns` says, with the next hosts of
//! three domains changed; and the domains whose names the forger uses.

use std::net::IpAddr;

use super::world::{BUSY_GATE, DOWN_GATE, LATE_GATE};
use crate::local::nameserver::Zone;

/// Listed in the forged domains' SPF: an address for documentation (RFC 5737), which nobody here has.
const LISTED: &str = "192.0.2.1";

/// A domain that the forger uses, and what it publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forged {
    /// Its name.
    pub domain: &'static str,
    /// Its SPF record's last word.
    pub all: &'static str,
    /// Its DMARC policy; empty: no record.
    pub policy: &'static str,
}

/// One domain for each policy of case 5.
pub const FORGED: [Forged; 5] = [
    Forged { domain: "reject.example", all: "-all", policy: "reject" },
    Forged { domain: "quarantine.example", all: "-all", policy: "quarantine" },
    Forged { domain: "hardfail.example", all: "-all", policy: "" },
    Forged { domain: "softfail.example", all: "~all", policy: "" },
    Forged { domain: "none.example", all: "-all", policy: "none" },
];

/// The forged domains' zones.
pub fn forged() -> Vec<Zone> {
    let zone = |forged: &Forged| {
        let mut text =
            format!("@ IN TXT \"v=spf1 ip4:{LISTED} {}\"\n@ IN MX 10 mail\nmail IN A {LISTED}\n", forged.all);
        if !forged.policy.is_empty() {
            text.push_str(&format!("_dmarc IN TXT \"v=DMARC1; p={}\"\n", forged.policy));
        }
        Zone { origin: forged.domain.to_owned(), text }
    };
    FORGED.iter().map(zone).collect()
}

/// The name of a gateway, in a zone of its own, so that the zones of others stay as they are.
fn gate(address: IpAddr) -> String {
    let last = address.to_string().rsplit('.').next().unwrap_or_default().to_owned();
    format!("gate{last}.gates.example")
}

/// The gateways' addresses.
pub fn gates() -> Zone {
    let lines = [DOWN_GATE, BUSY_GATE, LATE_GATE].map(|address| format!("{}. IN A {address}\n", gate(address)));
    Zone { origin: "gates.example".to_owned(), text: lines.concat() }
}

/// A domain's zone with the scenario's next hosts: one more, preferred, that refuses; or another one instead.
pub fn with_gates(zone: Zone) -> Zone {
    let text = match zone.origin.trim_end_matches('.') {
        "down.example.org" => format!("{}\n@ IN MX 1 {}.\n", zone.text, gate(DOWN_GATE)),
        "busy.example.org" => format!("{}\n@ IN MX 1 {}.\n", without_mx(&zone.text), gate(BUSY_GATE)),
        "late.example.org" => format!("{}\n@ IN MX 1 {}.\n", without_mx(&zone.text), gate(LATE_GATE)),
        _ => zone.text,
    };
    Zone { origin: zone.origin, text }
}

fn without_mx(text: &str) -> String {
    let is_mx = |line: &&str| line.split_whitespace().any(|word| word.eq_ignore_ascii_case("MX"));
    text.lines().filter(|line| !is_mx(line)).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(origin: &str) -> Zone {
        Zone { origin: origin.into(), text: "$TTL 60\n@ IN MX 10 mail.example.org.\n@ IN TXT \"v=spf1 -all\"\n".into() }
    }

    #[test]
    fn only_the_scenarios_next_hosts_change() {
        assert_eq!(with_gates(zone("example.org")), zone("example.org"));
        let down = with_gates(zone("down.example.org.")).text;
        assert!(down.contains("MX 10 mail.example.org.") && down.contains("MX 1 gate4.gates.example."), "{down}");
        let busy = with_gates(zone("busy.example.org")).text;
        assert!(!busy.contains("MX 10") && busy.contains("MX 1 gate5") && busy.contains("spf1"), "{busy}");
    }

    #[tokio::test]
    async fn the_name_server_takes_them() {
        let mut zones = forged();
        zones.push(gates());
        zones.push(with_gates(zone("busy.example.org")));
        crate::local::nameserver::NameServer::start("127.0.0.1:0".parse().unwrap(), &zones).await.unwrap();
    }
}
