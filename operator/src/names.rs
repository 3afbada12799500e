//! Names and labels of the objects that we make. Pure.
//!
//! A name follows from the resource's: dots become dashes, cut, then a hash, so that `a.example` and `a-example`
//! do not meet. A domain never stands in a label: labels are too short for some, and listed by many.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};

/// The label that says who made an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label that says to which resource of ours an object belongs: the resource's [`base`] name.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// The label that says what an object is for: `mta`, `dkim-key`, `dns`, `password`.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// The value of [`MANAGED_BY`], and our field manager.
pub const MANAGER: &str = "paquebot";

/// Characters that are left of the resource's name.
const KEPT_MAX: usize = 40;

/// What all names of objects of one resource begin with: at most 49 characters, so that 14 are left for a suffix.
/// Unique among all kinds and names of a namespace.
pub fn base(kind: &str, name: &str) -> String {
    let dashed: String = name.chars().take(KEPT_MAX).map(|c| if c == '.' { '-' } else { c }).collect();
    format!("{}-{}", dashed.trim_end_matches('-'), hash8(&format!("{kind}/{name}")))
}

/// Eight hexadecimal digits of SHA-256.
pub fn hash8(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(4).map(|octet| format!("{octet:02x}")).collect()
}

/// The labels of an object of the resource with this [`base`] name.
pub fn labels(base: &str, component: &str) -> BTreeMap<String, String> {
    let pairs =
        [("app.kubernetes.io/name", "paquebot"), (MANAGED_BY, MANAGER), (INSTANCE, base), (COMPONENT, component)];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let long = format!("{}.example.com", "x".repeat(200));
        let name = base("MailDomain", &long);
        assert!(name.len() <= 49, "{name}");
        assert_ne!(base("MailDomain", "a.example"), base("MailDomain", "a-example"));
        assert_ne!(base("MailDomain", "main"), base("MailServer", "main"));
        assert!(base("MailDomain", "example.com").starts_with("example-com-"));
        let cut_at_a_dash = format!("{}.com", "x".repeat(39));
        assert!(!base("MailDomain", &cut_at_a_dash).contains("--"));
        assert!(labels(&name, "mta").values().all(|value| value.len() <= 63));
    }
}
