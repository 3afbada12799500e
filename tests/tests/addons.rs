//! The operator together with what users have in their clusters: cert-manager issues the certificate for mail,
//! external-dns publishes the records. Both for real, each on a node of its own: their kinds are cluster-wide.
//!
//! - [`servers`]: BIND and PowerDNS as name servers of the made-up internet.

#[path = "addons/cert_manager.rs"]
mod cert_manager;
#[path = "addons/external_dns.rs"]
mod external_dns;
#[path = "addons/servers.rs"]
mod servers;
