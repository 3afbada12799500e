//! The ports: what is served, where the world finds it, and where the process listens in a pod.
//!
//! Inside a pod all ports are high: binding one below 1024 needs a capability that `restricted` does not give.

use paquebot_mta_api::config::Protocol;

/// The protocols and their standard ports.
pub const PORTS_STANDARD: [(Protocol, u16); 5] = [
    (Protocol::Smtp, 25),
    (Protocol::Submissions, 465),
    (Protocol::Submission, 587),
    (Protocol::Pop3s, 995),
    (Protocol::Pop3, 110),
];

/// In a pod a protocol listens at its standard port and this.
const INSIDE_OFFSET: u16 = 2000;
/// The port of metrics and health in a pod.
pub const METRICS_PORT: u16 = 9090;
/// The port of the admin API in a pod.
pub const ADMIN_PORT: u16 = 8443;

/// Where a protocol of this standard port listens in a pod: 2025, 2465, 2587, 2995, 2110.
pub fn inside(standard: u16) -> u16 {
    standard.saturating_add(INSIDE_OFFSET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_a_pod_no_port_is_privileged_and_none_stands_twice() {
        let mut ports: Vec<u16> = PORTS_STANDARD.iter().map(|(_, port)| inside(*port)).collect();
        ports.extend([METRICS_PORT, ADMIN_PORT]);
        assert!(ports.iter().all(|port| *port >= 1024));
        let count = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), count);
        assert!(PORTS_STANDARD.iter().all(|(protocol, _)| protocol.name().len() <= 15));
    }
}
