//! Which addresses mail is never sent to, whatever DNS says: a stranger's MX record must not make this
//! server speak to itself, to its neighbours or to the cluster.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Whether an MX may name this address.
pub fn is_allowed(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = address.to_canonical();
    allowed.iter().any(|network| network.contains(&address)) || is_public(address)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// RFC 6890's special-purpose addresses, without the ones for documentation, which harm nobody.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let this_network = a == 0;
    let shared = a == 100 && (64..128).contains(&b); // RFC 6598: carrier NAT, also pod networks
    let protocol_assignments = (a, b, c) == (192, 0, 0);
    let benchmarking = a == 198 && (b == 18 || b == 19);
    let reserved = a >= 240; // with 255.255.255.255
    !(this_network
        || shared
        || protocol_assignments
        || benchmarking
        || reserved
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [h1, h2] = high.to_be_bytes();
        let [l1, l2] = low.to_be_bytes();
        Ipv4Addr::new(h1, h2, l1, l2)
    };
    match (a, b, c, d, e, f) {
        // ::/96: unspecified, loopback and the deprecated v4-compatible addresses.
        (0, 0, 0, 0, 0, 0) => false,
        // ::ffff:0:0/96, v4-mapped; 64:ff9b::/96, NAT64 (RFC 6052): as the address within.
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => is_public_v4(embedded(g, h)),
        // 64:ff9b:1::/48, local NAT64 (RFC 8215).
        (0x64, 0xff9b, 1, ..) => false,
        // 2002::/16, 6to4.
        (0x2002, high, low, ..) => is_public_v4(embedded(high, low)),
        // fc00::/7 unique local, fe80::/10 link-local, fec0::/10 site-local, ff00::/8 multicast.
        _ => a & 0xfe00 != 0xfc00 && a & 0xff80 != 0xfe80 && a & 0xff00 != 0xff00,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_point_at_us() {
        for inside in [
            "127.0.0.1",
            "127.255.0.9",
            "0.0.0.0",
            "0.1.2.3",
            "10.96.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::808:808",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fd00:10:96::a",
            "ff02::1",
        ] {
            assert!(!is_allowed(inside.parse().unwrap(), &[]), "{inside}");
        }
    }

    #[test]
    fn the_world_is_reachable() {
        for outside in [
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.2.1",
            "198.20.0.1",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(is_allowed(outside.parse().unwrap(), &[]), "{outside}");
        }
    }

    #[test]
    fn configuration_opens_exactly_what_it_names() {
        let allowed = ["127.0.0.2/32".parse().unwrap(), "fd00::/64".parse().unwrap()];
        for (address, may) in [
            ("127.0.0.2", true),
            ("::ffff:127.0.0.2", true),
            ("127.0.0.3", false),
            ("fd00::7", true),
            ("fd00:0:0:1::7", false),
        ] {
            assert_eq!(is_allowed(address.parse().unwrap(), &allowed), may, "{address}");
        }
    }
}
