//! Stable ids where no cluster gives any: the same name gives the same id at every start.

use aws_lc_rs::digest;
use kube::Resource;
use uuid::Uuid;

/// The UID of a resource: the cluster's, or one made of kind, namespace and name.
pub fn uid<R: Resource<DynamicType = ()>>(resource: &R) -> Uuid {
    let meta = resource.meta();
    let given = meta.uid.as_deref().and_then(|uid| Uuid::parse_str(uid).ok());
    given.unwrap_or_else(|| {
        let name = meta.name.as_deref().unwrap_or_default();
        derived(&[&R::kind(&()), meta.namespace.as_deref().unwrap_or_default(), name])
    })
}

/// The id of the account of an address that belongs to the resource with this UID.
pub fn account(owner: Uuid, name: &str) -> Uuid {
    derived(&["account", &owner.to_string(), name])
}

/// A UUID of version 8 (RFC 9562 §5.8) from SHA-256; a NUL between parts keeps "a", "bc" apart from "ab", "c".
fn derived(parts: &[&str]) -> Uuid {
    let digest = digest::digest(&digest::SHA256, format!("paquebot\0{}", parts.join("\0")).as_bytes());
    let mut octets = [0; 16];
    octets.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    uuid::Builder::from_custom_bytes(octets).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{MailDomain, MailDomainSpec};

    #[test]
    fn stable_and_apart() {
        let one = MailDomain::new("example.com", MailDomainSpec::default());
        let mut other = MailDomain::new("example.com", MailDomainSpec::default());
        assert_eq!(uid(&one), uid(&other));
        assert_eq!(uid(&one).get_version_num(), 8);
        other.metadata.namespace = Some("mail".to_owned());
        assert_ne!(uid(&one), uid(&other));
        other.metadata.uid = Some("0193b1f0-0000-7000-8000-000000000001".to_owned());
        assert_eq!(uid(&other).to_string(), "0193b1f0-0000-7000-8000-000000000001");
        assert_ne!(derived(&["a", "bc"]), derived(&["ab", "c"]));
    }
}
